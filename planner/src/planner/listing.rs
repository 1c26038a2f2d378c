//! What the planner tells about tables and functions without planning anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::information_schema::{
    INFORMATION_SCHEMA, INFORMATION_SCHEMA_TABLES, InformationSchemaProvider,
};
use datafusion::catalog::{MemoryCatalogProviderList, SchemaProvider};
use datafusion::logical_expr::ScalarUDF;
use datafusion::sql::sqlparser::keywords::{
    Keyword, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_IDENTIFIER, RESERVED_FOR_TABLE_ALIAS,
};
use jetway_odf::identity::{AccountName, DatasetId};
use jetway_odf::metadata::DatasetKind;

use super::Planner;
use crate::functions::Section;
use crate::resolve::{Reading, Resolver};
use crate::{Access, Result, SYSTEM_SCHEMA, Subject, TableDescription, View};

/// A dataset as a table of the SQL catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEntry {
    /// The account, which is the schema in SQL.
    pub account: String,
    /// The dataset's name, which is the table in SQL.
    pub name: String,
    /// Root or derivative.
    pub kind: DatasetKind,
    /// The dataset.
    pub id: DatasetId,
}

/// A table that the node itself makes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemTable {
    /// The schema that it is in.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: SchemaRef,
}

/// Names of the functions of SQL that give one value for each row, sorted, by what they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunctionNames {
    /// Over numbers.
    pub numeric: Vec<String>,
    /// Over texts and bytes.
    pub string: Vec<String>,
    /// Over dates and times.
    pub datetime: Vec<String>,
    /// The others that take plain values.
    pub system: Vec<String>,
}

impl Planner {
    /// Schemas of the SQL catalog, in order: accounts whose datasets the subject may read, and those of system tables.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn schemas(&self, subject: &Subject) -> Result<Vec<String>> {
        let accounts = self.shared.catalog.accounts(subject).await?;
        let system = self.system_tables().await?.into_iter().map(|table| table.schema);
        let names: BTreeSet<String> = accounts.into_iter().chain(system).collect();
        Ok(names.into_iter().collect())
    }

    /// The datasets that the subject may read, of one account or of all, ordered by account and name. Names only: no chain is
    /// read and no head looked up.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn tables(&self, subject: &Subject, account: Option<&str>) -> Result<Vec<TableEntry>> {
        let account = match account.map(str::parse::<AccountName>) {
            Some(Ok(account)) => Some(account),
            // No account can have such a name.
            Some(Err(_)) => return Ok(Vec::new()),
            None => None,
        };
        let entries = self.shared.catalog.names(subject, account.as_ref()).await?;
        let tables = entries.into_iter().map(|entry| TableEntry {
            account: entry
                .alias
                .account
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            name: entry.alias.name.to_string(),
            kind: entry.kind,
            id: entry.id,
        });
        Ok(tables.collect())
    }

    /// Columns and keys of a table at its current head.
    ///
    /// # Errors
    /// `NotFound` when the dataset is gone meanwhile; when its chain cannot be read.
    pub async fn describe(&self, subject: &Subject, table: &TableEntry) -> Result<Arc<TableDescription>> {
        let dataset = self.shared.catalog.resolve_id(subject, &table.id, Access::Read).await?;
        self.shared.descriptions.get(&self.shared.summaries, &dataset).await
    }

    /// The views that the subject may read, of one account or of all, ordered by account and name.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn views(&self, subject: &Subject, account: Option<&str>) -> Result<Vec<View>> {
        let account = match account.map(str::parse::<AccountName>) {
            Some(Ok(account)) => Some(account),
            Some(Err(_)) => return Ok(Vec::new()),
            None => None,
        };
        self.shared.catalog.views(subject, account.as_ref()).await
    }

    /// The columns of a view for a subject.
    ///
    /// # Errors
    /// Whatever readers of the view are told.
    pub async fn describe_view(&self, subject: &Subject, view: &View) -> Result<SchemaRef> {
        let reading = Reading {
            subject,
            pins: None,
            known: None,
            as_of: None,
        };
        let table = Resolver::new(&self.shared.sources, reading)
            .view_table(view.clone())
            .await?;
        Ok(table.schema())
    }

    /// The tables that are no datasets, ordered by schema and name.
    ///
    /// # Errors
    /// None that can happen.
    pub async fn system_tables(&self) -> Result<Vec<SystemTable>> {
        let provider = InformationSchemaProvider::new(Arc::new(MemoryCatalogProviderList::new()));
        let mut tables = Vec::with_capacity(INFORMATION_SCHEMA_TABLES.len());
        for &name in INFORMATION_SCHEMA_TABLES {
            if let Some(table) = provider.table(name).await? {
                tables.push(SystemTable {
                    schema: INFORMATION_SCHEMA.to_owned(),
                    name: name.to_owned(),
                    columns: table.schema(),
                });
            }
        }
        tables.extend(self.shared.system.iter().map(|table| SystemTable {
            schema: SYSTEM_SCHEMA.to_owned(),
            name: table.name().to_owned(),
            columns: table.schema(),
        }));
        tables.extend(self.shared.system.iter().map(|table| SystemTable {
            schema: SYSTEM_SCHEMA.to_owned(),
            name: table.name().to_owned(),
            columns: table.schema(),
        }));
        tables.sort_unstable_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        Ok(tables)
    }

    /// The functions that statements may call.
    #[must_use]
    pub fn functions(&self) -> FunctionNames {
        let mut names = FunctionNames::default();
        for function in self.shared.engine.functions() {
            let Some(list) = names.list(&function) else { continue };
            list.push(function.name().to_owned());
            list.extend(function.aliases().iter().cloned());
        }
        for list in [
            &mut names.numeric,
            &mut names.string,
            &mut names.datetime,
            &mut names.system,
        ] {
            list.sort_unstable();
            list.dedup();
        }
        names
    }

    /// Words that the parser keeps for itself, sorted: as names they need quotes.
    #[must_use]
    pub fn reserved_words(&self) -> Vec<String> {
        let lists = [
            RESERVED_FOR_COLUMN_ALIAS,
            RESERVED_FOR_TABLE_ALIAS,
            RESERVED_FOR_IDENTIFIER,
        ];
        let words: BTreeSet<Keyword> = lists.into_iter().flatten().copied().collect();
        let mut words: Vec<String> = words.into_iter().map(|word| format!("{word:?}")).collect();
        words.sort_unstable();
        words
    }
}

impl FunctionNames {
    /// The list that a function belongs to; none for those over lists, maps and structs, for which no client has a place.
    fn list(&mut self, function: &ScalarUDF) -> Option<&mut Vec<String>> {
        match Section::of(function.name())? {
            Section::Numeric => Some(&mut self.numeric),
            Section::Text | Section::Regex | Section::Hash | Section::Json => Some(&mut self.string),
            Section::Time => Some(&mut self.datetime),
            Section::Condition | Section::Geometry | Section::Type => Some(&mut self.system),
            Section::Nested => None,
        }
    }
}
