//! From the names in a statement to pinned datasets.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::Statement as SqlStatement;
use jetway_odf::identity::{DatasetAlias, DatasetId, Multihash};

use crate::describe::Descriptions;
use crate::functions::{self, Call, Events, Moments, Point, nearest};
use crate::read_index::ReadIndexes;
use crate::session::Engine;
use crate::summary::{DatasetSummary, SummaryCache};
use crate::system::{SYSTEM_SCHEMA, SystemProvider, SystemTableSource};
use crate::table::DatasetTable;
use crate::{
    Access, CATALOG, DatasetCatalog, DatasetEntry, Error, ErrorKind, Pin, PinnedDataset, PlanRequest, Result, Subject,
    TableName,
};

mod fixed;
mod place;
mod schema;
mod view;

pub(crate) use fixed::FixedNames;
use schema::{ListedTable, Schema};
use view::ListedView;

const INFORMATION_SCHEMA: &str = "information_schema";

/// What names are resolved through.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) engine: Engine,
    pub(crate) catalog: Arc<dyn DatasetCatalog>,
    pub(crate) summaries: Arc<SummaryCache>,
    pub(crate) descriptions: Arc<Descriptions>,
    pub(crate) indexes: Arc<ReadIndexes>,
    pub(crate) moments: Moments,
    pub(crate) system: Vec<Arc<dyn SystemTableSource>>,
}

/// Whose names, resolved through what.
#[derive(Debug)]
pub(crate) struct Resolver<'a> {
    sources: &'a Arc<Sources>,
    reading: Reading<'a>,
    /// Names that were looked up so far; none once something was asked that the names do not tell.
    lookups: Mutex<Option<Vec<Lookup>>>,
}

/// What the names of a statement were found to mean.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The datasets that it reads, in the order of identity.
    pub(crate) pins: Vec<Pin>,
    /// All that its meaning depends on; none if it depends on more than names and their datasets.
    pub(crate) lookups: Option<Vec<Lookup>>,
    /// A digest of the definitions of all views that it reads.
    pub(crate) views: Option<Multihash>,
    /// Whether these views give the same rows whenever they are read at the same heads.
    pub(crate) repeatable: bool,
}

impl Resolved {
    /// Looks whether views are those that an earlier plan saw.
    ///
    /// # Errors
    /// `Conflict` when they are others.
    pub(crate) fn check_views(&self, request: &PlanRequest) -> Result<()> {
        if request.pins.is_none() || request.views == self.views {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "a view was changed since the statement was planned; run the statement again",
        ))
    }
}

/// On whose behalf datasets are read, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) subject: &'a Subject,
    /// Heads that an earlier plan saw: there are no others.
    pub(crate) pins: Option<&'a [Pin]>,
    /// A dataset that is read at a head which is known already.
    pub(crate) known: Option<Pin>,
    /// When datasets are read for which the statement names no point.
    pub(crate) as_of: Option<Point>,
}

impl<'a> Reading<'a> {
    /// # Errors
    /// `InvalidArgument` when the session's point is none.
    pub(crate) fn of(request: &'a PlanRequest) -> Result<Self> {
        Ok(Self {
            subject: &request.subject,
            pins: request.pins.as_deref(),
            known: None,
            as_of: request.session.point()?,
        })
    }
}

/// A name that a statement looked up, and what it meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// The name within the schema of the session.
    pub(crate) name: TableName,
    pub(crate) id: DatasetId,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(sources: &'a Arc<Sources>, reading: Reading<'a>) -> Self {
        Self {
            sources,
            reading,
            lookups: Mutex::new(Some(Vec::new())),
        }
    }
}

impl Resolver<'_> {
    /// Registers every dataset and view that a statement names with its session.
    pub(crate) async fn register(&self, session: &mut SessionState, statement: &SqlStatement) -> Result<Resolved> {
        let mut pins = Pins::from(self.reading.known);
        self.register_in(session, statement, &[], &mut pins).await?;
        let resolved = pins.finish();
        // Every dataset must have been found by a name that can be looked up again.
        let lookups = self.lookups().take().filter(|lookups| {
            let is_known = |pin: &Pin| lookups.iter().any(|lookup| lookup.id == pin.dataset);
            resolved.pins.iter().all(is_known)
        });
        Ok(Resolved { lookups, ..resolved })
    }

    /// The same within the views of a path.
    async fn register_in(
        &self,
        session: &mut SessionState,
        statement: &SqlStatement,
        path: &[DatasetAlias],
        pins: &mut Pins,
    ) -> Result<()> {
        let default = session.config_options().catalog.default_schema.clone();
        let schema = self.schema(&default);
        let mut calls = HashMap::new();
        for call in functions::calls(session, statement)? {
            let mut dataset = self.called(session, &call, schema).await?;
            pins.pin(&mut dataset);
            let table = self.result(&call, dataset).await?;
            calls.insert(call, table);
        }
        functions::register(session, calls);
        let references = session.resolve_table_references(statement)?;
        self.register_names(session, Some(statement), references, path, pins)
            .await
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
        self.register_names(session, statement, references, &[], pins).await
    }

    /// The same within the views of a path.
    async fn register_names(
        &self,
        session: &SessionState,
        statement: Option<&SqlStatement>,
        references: Vec<TableReference>,
        path: &[DatasetAlias],
        pins: &mut Pins,
    ) -> Result<()> {
        let default = session.config_options().catalog.default_schema.clone();
        let schema = self.schema(&default);
        let locate = |error: Error, reference: &TableReference| match statement {
            Some(statement) => place::locate(error, statement, reference),
            None => error,
        };
        let mut tables = Tables::new(self.reading.subject);
        let mut lists_tables = false;
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
                let table = table.map_err(|error| locate(error, &reference))?;
                tables.insert_system(reference.schema().unwrap_or(&default), table);
                continue;
            }
            let name = TableName::parse(reference.catalog(), reference.schema(), reference.table())?;
            let name = FixedNames::meaning(session, name).within(schema)?;
            let table = match self.pinned(&name).await {
                Ok(mut dataset) => {
                    pins.pin(&mut dataset);
                    self.table(dataset).await?
                }
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(locate(error, &reference)),
                Err(_) if is_function(session, &reference) => continue,
                Err(error) => match self.view(&name).await? {
                    Some(view) => self.expand(view, path, pins).await?,
                    None => return Err(locate(self.with_suggestion(&name, error).await, &reference)),
                },
            };
            let schema = reference.schema().unwrap_or(&default).to_owned();
            tables.insert((schema, reference.table().to_owned()), table);
        }
        if lists_tables {
            self.list_all(&mut tables).await?;
            for table in &self.sources.system {
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
        (default != self.reading.subject.name().as_str()).then_some(default)
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
        let found = self
            .sources
            .system
            .iter()
            .find(|table| table.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let known: Vec<&str> = self.sources.system.iter().map(|table| table.name()).collect();
            Error::new(ErrorKind::NotFound, format!("there is no system table \"{name}\""))
                .with_context("tables", known.join(", "))
        })
    }

    /// The dataset that a table function is called for.
    async fn called(&self, session: &SessionState, call: &Call, schema: Option<&str>) -> Result<PinnedDataset> {
        let mut first = None;
        for name in call.names() {
            let meant = name.and_then(|name| FixedNames::meaning(session, name).within(schema));
            let found = match meant {
                Ok(name) => match self.pinned(&name).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => Err(self.no_dataset(&name, error).await),
                    found => found,
                },
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
        let began = match call.from {
            None | Some(Point::SystemTime(_)) => None,
            Some(from) => Some(self.summary_at(from, &dataset).await?),
        };
        let events = self.events(call.to.or(self.reading.as_of), dataset).await?;
        call.table(&events, began.as_ref().map(|began| &began.state))
    }

    /// The events of a dataset up to a point, or to the present.
    async fn events(&self, point: Option<Point>, dataset: PinnedDataset) -> Result<Events> {
        let name = dataset.alias.to_string();
        let Some(point) = point else {
            let (table, summary) = self.open(dataset).await?;
            return Events::all(&name, table, summary);
        };
        let then = self.summary_at(point, &dataset).await?;
        let head = match point {
            // A hard compaction may have put older rows into a later block.
            Point::SystemTime(_) if !then.schema.fields().is_empty() => dataset.head,
            _ => then.state.head(),
        };
        let (table, summary) = self.open(PinnedDataset { head, ..dataset }).await?;
        Events::all(&name, table, summary)?.until(point, then)
    }

    async fn summary_at(&self, point: Point, dataset: &PinnedDataset) -> Result<Arc<DatasetSummary>> {
        let head = point.block(dataset, &self.sources.moments).await?;
        let then = PinnedDataset {
            head,
            ..dataset.clone()
        };
        self.sources.summaries.get(&then).await
    }

    /// A dataset by name, at the head that an earlier plan saw if there was one.
    async fn pinned(&self, name: &TableName) -> Result<PinnedDataset> {
        let (catalog, subject) = (&self.sources.catalog, self.reading.subject);
        let found = match name {
            TableName::Id(id) => catalog.resolve_id(subject, id, Access::Read).await,
            TableName::Alias(_) => catalog.resolve(subject, name, Access::Read).await,
        };
        if matches!(&found, Err(error) if error.kind() == ErrorKind::NotFound) {
            // It may be there at another time, and then mean something else than what is taken now.
            self.depends_on_more();
        }
        let mut dataset = found?;
        if let Some(lookups) = self.lookups().as_mut() {
            let (name, id) = (name.clone(), dataset.id);
            lookups.push(Lookup { name, id });
        }
        if let Some(pins) = self.reading.pins {
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

    async fn table(&self, dataset: PinnedDataset) -> Result<Arc<dyn TableProvider>> {
        match self.reading.as_of {
            Some(point) => self.events(Some(point), dataset).await?.table(),
            None => Ok(Arc::new(self.open(dataset).await?.0)),
        }
    }

    async fn open(&self, dataset: PinnedDataset) -> Result<(DatasetTable, Arc<DatasetSummary>)> {
        self.sources.engine.register_store(&dataset.storage)?;
        let summary = self.sources.summaries.get(&dataset).await?;
        let table = DatasetTable::open(dataset, Arc::clone(&summary), Arc::clone(&self.sources.indexes)).await;
        Ok((table, summary))
    }

    /// `information_schema` shows every table. Those that the statement does not read are known by name, and described only
    /// when somebody looks at their columns.
    async fn list_all(&self, tables: &mut Tables<'_>) -> Result<()> {
        for entry in self.sources.catalog.names(self.reading.subject, None).await? {
            let account = entry
                .alias
                .account
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let table = ListedTable {
                id: entry.id,
                subject: self.reading.subject.clone(),
                catalog: Arc::clone(&self.sources.catalog),
                summaries: Arc::clone(&self.sources.summaries),
                descriptions: Arc::clone(&self.sources.descriptions),
            };
            tables.list((account, entry.alias.name.to_string()), table);
        }
        for view in self.sources.catalog.views(self.reading.subject, None).await? {
            let account = view.alias.account.as_ref().map(ToString::to_string).unwrap_or_default();
            let name = view.alias.name.to_string();
            let listed = ListedView {
                view,
                sources: Arc::clone(self.sources),
                subject: self.reading.subject.clone(),
            };
            tables.by_schema.entry(account).or_default().views.insert(name, listed);
        }
        Ok(())
    }

    /// A misspelt name is the most frequent mistake: say which one may have been meant.
    async fn with_suggestion(&self, name: &TableName, error: Error) -> Error {
        let wanted = match name {
            TableName::Alias(alias) => alias.name.to_string().to_lowercase(),
            TableName::Id(_) => return error,
        };
        let subject = self.reading.subject;
        let datasets = self.sources.catalog.names(subject, None).await.unwrap_or_default();
        let own = |dataset: &DatasetEntry| dataset.alias.account.as_ref() == Some(subject.name());
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

/// What a statement was found to read so far.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    by_id: BTreeMap<String, Pin>,
    views: Option<Multihash>,
    /// Whether a view may give other rows at the same heads.
    changes: bool,
}

impl From<Option<Pin>> for Pins {
    fn from(known: Option<Pin>) -> Self {
        Self {
            by_id: known.map(|pin| (pin.dataset.to_string(), pin)).into_iter().collect(),
            ..Self::default()
        }
    }
}

impl Pins {
    /// A dataset that is named twice is read at one head, whatever is committed between finding it and finding it again.
    fn pin(&mut self, dataset: &mut PinnedDataset) {
        let pin = self.by_id.entry(dataset.id.to_string()).or_insert(Pin {
            dataset: dataset.id,
            head: dataset.head,
        });
        dataset.head = pin.head;
    }

    pub(crate) fn finish(self) -> Resolved {
        Resolved {
            pins: self.by_id.into_values().collect(),
            lookups: None,
            views: self.views,
            repeatable: !self.changes,
        }
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

    fn insert(&mut self, (schema, table): (String, String), provider: Arc<dyn TableProvider>) {
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
