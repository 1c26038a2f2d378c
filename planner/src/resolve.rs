//! From the names in a statement to pinned datasets.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::Statement as SqlStatement;
use jetway_odf::identity::DatasetId;

use crate::describe::Descriptions;
use crate::functions::{self, Call, nearest};
use crate::read_index::ReadIndexes;
use crate::session::Engine;
use crate::summary::{DatasetSummary, SummaryCache};
use crate::system::{SYSTEM_SCHEMA, SystemProvider, SystemTableSource};
use crate::table::DatasetTable;
use crate::{
    Access, CATALOG, DatasetCatalog, DatasetEntry, Error, ErrorKind, Pin, PinnedDataset, Result, Subject, TableName,
};

mod fixed;
mod place;
mod schema;

pub(crate) use fixed::FixedNames;
use schema::{ListedTable, Schema};

const INFORMATION_SCHEMA: &str = "information_schema";

/// Whose names, resolved through what.
pub(crate) struct Resolver<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) catalog: &'a Arc<dyn DatasetCatalog>,
    pub(crate) summaries: &'a Arc<SummaryCache>,
    pub(crate) descriptions: &'a Arc<Descriptions>,
    pub(crate) indexes: &'a Arc<ReadIndexes>,
    pub(crate) subject: &'a Subject,
    pub(crate) system: &'a [Arc<dyn SystemTableSource>],
    pub(crate) pins: Option<&'a [Pin]>,
    /// Names that were looked up so far; none once something was asked that the names do not tell.
    pub(crate) lookups: Mutex<Option<Vec<Lookup>>>,
}

/// A name that a statement looked up, and what it meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// The name within the schema of the session.
    pub(crate) name: TableName,
    pub(crate) id: DatasetId,
}

/// What a statement reads.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// In the order of identity.
    pub(crate) pins: Vec<Pin>,
    /// All that its meaning depends on; none if it depends on more than names and their datasets.
    pub(crate) lookups: Option<Vec<Lookup>>,
}

impl Resolver<'_> {
    /// Registers every dataset that a statement names with its session.
    pub(crate) async fn register(&self, session: &mut SessionState, statement: &SqlStatement) -> Result<Resolved> {
        let default = session.config_options().catalog.default_schema.clone();
        let schema = self.schema(&default);
        let mut pins = Pins::default();
        let mut calls = HashMap::new();
        for call in functions::calls(session, statement)? {
            let mut dataset = self.called(session, &call, schema).await?;
            pins.pin(&mut dataset);
            let table = self.result(&call, dataset).await?;
            calls.insert(call, table);
        }
        functions::register(session, calls);
        let references = session.resolve_table_references(statement)?;
        self.register_tables(session, Some(statement), references, &mut pins)
            .await?;
        let pins = pins.into_list();
        // Every dataset must have been found by a name that can be looked up again.
        let lookups = self.lookups().take().filter(|lookups| {
            let is_known = |pin: &Pin| lookups.iter().any(|lookup| lookup.id == pin.dataset);
            pins.iter().all(is_known)
        });
        Ok(Resolved { pins, lookups })
    }

    /// Registers the tables of some names with a session, in the place of all others. Errors tell where in the statement a name
    /// stands, if it came in one.
    pub(crate) async fn register_tables(
        &self,
        session: &SessionState,
        statement: Option<&SqlStatement>,
        references: Vec<TableReference>,
        pins: &mut Pins,
    ) -> Result<()> {
        let default = session.config_options().catalog.default_schema.clone();
        let schema = self.schema(&default);
        let mut tables = Tables::new(self.subject);
        let mut lists_tables = false;
        let located = |error: Error, table: &TableReference| match statement {
            Some(statement) => place::locate(error, statement, table),
            None => error,
        };
        for reference in references {
            if reference
                .schema()
                .or(schema)
                .is_some_and(|schema| schema.eq_ignore_ascii_case(INFORMATION_SCHEMA))
            {
                lists_tables = true;
                self.depends_on_more();
                continue;
            }
            if reference
                .schema()
                .or(schema)
                .is_some_and(|schema| schema.eq_ignore_ascii_case(SYSTEM_SCHEMA))
                && !is_function(session, &reference)
            {
                self.depends_on_more();
                let table = self.system_table(reference.table());
                let table = table.map_err(|error| located(error, &reference))?;
                tables.insert_system(reference.schema().unwrap_or(&default), table);
                continue;
            }
            let name = TableName::parse(reference.catalog(), reference.schema(), reference.table())?;
            let name = FixedNames::meaning(session, name);
            let mut dataset = match self.pinned(name, schema).await {
                Ok(dataset) => dataset,
                Err(error) if error.kind() == ErrorKind::NotFound && is_function(session, &reference) => continue,
                Err(error) => return Err(located(error, &reference)),
            };
            pins.pin(&mut dataset);
            let table = self.table(dataset).await?;
            let schema = reference.schema().unwrap_or(&default).to_owned();
            tables.insert((schema, reference.table().to_owned()), table);
        }
        if lists_tables {
            self.list_all(&mut tables).await?;
            for table in self.system {
                tables.insert_system(SYSTEM_SCHEMA, table);
            }
        }
        let mut memory = MemoryCatalogProvider::new();
        tables.register(&mut memory)?;
        session
            .catalog_list()
            .register_catalog(CATALOG.to_owned(), Arc::new(memory));
        Ok(())
    }

    /// The schema in which names without one are looked up; the subject's own account is where that happens anyhow.
    fn schema<'s>(&self, default: &'s str) -> Option<&'s str> {
        (default != self.subject.name().as_str()).then_some(default)
    }

    fn lookups(&self) -> MutexGuard<'_, Option<Vec<Lookup>>> {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the statement means depends on something else than the datasets that it names.
    fn depends_on_more(&self) {
        *self.lookups() = None;
    }

    /// A table that the node itself makes up.
    fn system_table(&self, name: &str) -> Result<&Arc<dyn SystemTableSource>> {
        let found = self.system.iter().find(|table| table.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let known: Vec<&str> = self.system.iter().map(|table| table.name()).collect();
            Error::new(ErrorKind::NotFound, format!("there is no system table \"{name}\""))
                .with_context("tables", known.join(", "))
        })
    }

    /// The dataset that a table function is called for.
    async fn called(&self, session: &SessionState, call: &Call, schema: Option<&str>) -> Result<PinnedDataset> {
        let mut first = None;
        for name in call.names() {
            let found = match name {
                Ok(name) => self.pinned(FixedNames::meaning(session, name), schema).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(dataset) => return Ok(dataset),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidArgument) => {
                    first.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or_else(|| Error::new(ErrorKind::NotFound, "there is no dataset without a name")))
    }

    async fn result(&self, call: &Call, dataset: PinnedDataset) -> Result<Arc<dyn TableProvider>> {
        let bound = match call.point {
            Some(point) => Some(point.bound(&dataset).await?),
            None => None,
        };
        let (table, summary) = self.open(dataset).await?;
        call.table(table, &summary, bound)
    }

    /// A dataset by name, at the head that an earlier plan saw if there was one.
    async fn pinned(&self, name: TableName, schema: Option<&str>) -> Result<PinnedDataset> {
        let name = &name.within(schema)?;
        let found = match name {
            TableName::Id(id) => self.catalog.resolve_id(self.subject, id, Access::Read).await,
            TableName::Alias(_) => self.catalog.resolve(self.subject, name, Access::Read).await,
        };
        let mut dataset = match found {
            Ok(dataset) => dataset,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // It may be there at another time, and then mean something else than what is taken now.
                self.depends_on_more();
                return Err(self.with_suggestion(name, error).await);
            }
            Err(error) => return Err(error),
        };
        if let Some(lookups) = self.lookups().as_mut() {
            let (name, id) = (name.clone(), dataset.id);
            lookups.push(Lookup { name, id });
        }
        if let Some(pins) = self.pins {
            let pin = pins.iter().find(|pin| pin.dataset == dataset.id).ok_or_else(|| {
                Error::new(
                    ErrorKind::Conflict,
                    "the name means another dataset than when the statement was planned; plan it again",
                )
                .with_context("table", name.to_string())
            })?;
            dataset.head = pin.head;
        }
        Ok(dataset)
    }

    async fn table(&self, dataset: PinnedDataset) -> Result<Arc<DatasetTable>> {
        Ok(Arc::new(self.open(dataset).await?.0))
    }

    async fn open(&self, dataset: PinnedDataset) -> Result<(DatasetTable, Arc<DatasetSummary>)> {
        self.engine.register_store(&dataset.storage)?;
        let summary = self.summaries.get(&dataset).await?;
        let table = DatasetTable::open(dataset, Arc::clone(&summary), Arc::clone(self.indexes)).await;
        Ok((table, summary))
    }

    /// `information_schema` shows every table. Those that the statement does not read are known by name, and described only
    /// when somebody looks at their columns.
    async fn list_all(&self, tables: &mut Tables<'_>) -> Result<()> {
        for entry in self.catalog.names(self.subject, None).await? {
            let account = entry
                .alias
                .account
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let table = ListedTable {
                id: entry.id,
                subject: self.subject.clone(),
                catalog: Arc::clone(self.catalog),
                summaries: Arc::clone(self.summaries),
                descriptions: Arc::clone(self.descriptions),
            };
            tables.list((account, entry.alias.name.to_string()), table);
        }
        Ok(())
    }

    /// A misspelt name is the most frequent mistake: say which one may have been meant.
    async fn with_suggestion(&self, name: &TableName, error: Error) -> Error {
        let wanted = match name {
            TableName::Alias(alias) => alias.name.to_string().to_lowercase(),
            TableName::Id(_) => return error,
        };
        let datasets = self.catalog.names(self.subject, None).await.unwrap_or_default();
        let own = |dataset: &DatasetEntry| dataset.alias.account.as_ref() == Some(self.subject.name());
        // Of names that are equally near, those of the own account come first.
        let (mine, others): (Vec<_>, Vec<_>) = datasets.into_iter().partition(own);
        let datasets: Vec<DatasetEntry> = mine.into_iter().chain(others).collect();
        let names = datasets.iter().map(|dataset| dataset.alias.name.to_string());
        let meant = nearest(&wanted, names);
        let meant = meant.and_then(|meant| datasets.iter().find(|dataset| dataset.alias.name.to_string() == meant));
        match meant.map(sql_name) {
            Some(suggestion) => {
                let message = format!("{}; did you mean {suggestion}?", error.message());
                Error::new(ErrorKind::NotFound, message)
                    .with_context("table", name.to_string())
                    .with_source(error)
            }
            None => error,
        }
    }
}

/// Whether it may be a call, such as `generate_series(1, 3)`: the names of both look alike.
fn is_function(session: &SessionState, reference: &TableReference) -> bool {
    reference.schema().is_none() && session.table_functions().contains_key(reference.table())
}

/// How the dataset is written in SQL.
fn sql_name(dataset: &DatasetEntry) -> String {
    match &dataset.alias.account {
        Some(account) => format!("\"{account}\".\"{}\"", dataset.alias.name),
        None => format!("\"{}\"", dataset.alias.name),
    }
}

/// Datasets that a statement reads, by identity.
#[derive(Default)]
pub(crate) struct Pins(BTreeMap<String, Pin>);

impl Pins {
    pub(crate) fn into_list(self) -> Vec<Pin> {
        self.0.into_values().collect()
    }

    /// A dataset that is named twice is read at one head, whatever is committed between finding it and finding it again.
    fn pin(&mut self, dataset: &mut PinnedDataset) {
        let pin = self.0.entry(dataset.id.to_string()).or_insert(Pin {
            dataset: dataset.id,
            head: dataset.head,
        });
        dataset.head = pin.head;
    }
}

struct Tables<'a> {
    subject: &'a Subject,
    by_schema: BTreeMap<String, Schema>,
}

impl<'a> Tables<'a> {
    fn new(subject: &'a Subject) -> Self {
        Self {
            subject,
            by_schema: BTreeMap::new(),
        }
    }

    fn insert_system(&mut self, schema: &str, table: &Arc<dyn SystemTableSource>) {
        let provider = Arc::new(SystemProvider {
            table: Arc::clone(table),
            subject: self.subject.clone(),
        });
        let system = &mut self.by_schema.entry(schema.to_owned()).or_default().system;
        system.insert(table.name().to_owned(), provider);
    }

    fn insert(&mut self, (schema, table): (String, String), provider: Arc<DatasetTable>) {
        let opened = &mut self.by_schema.entry(schema).or_default().opened;
        opened.entry(table).or_insert(provider);
    }

    fn list(&mut self, (schema, table): (String, String), listed: ListedTable) {
        self.by_schema.entry(schema).or_default().listed.insert(table, listed);
    }

    fn register(self, catalog: &mut MemoryCatalogProvider) -> Result<()> {
        for (name, schema) in self.by_schema {
            catalog.register_schema(&name, Arc::new(schema))?;
        }
        Ok(())
    }
}
