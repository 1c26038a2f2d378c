//! The smallest catalog there is: names in a map, datasets in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{AccountName, DatasetAlias, DatasetId, Multihash};
use jetway_odf::metadata::DatasetKind;
use jetway_odf::storage::{CommitOutcome, DatasetStorage, PendingObject, Repository, RepositoryOptions};
use jetway_planner::{
    Access, BatchStream, DatasetCatalog, Error, ErrorKind, IfNotExists, IngestOutcome, IngestRequest, PinnedDataset,
    Planner, PlannerOptions, Result, Subject, TableName, View,
};

#[derive(Debug)]
pub(crate) struct TestCatalog {
    repository: Repository,
    names: Mutex<BTreeMap<String, DatasetAlias>>,
    ids: Mutex<BTreeMap<String, DatasetId>>,
    /// Accounts that may read nothing.
    denied: Mutex<BTreeSet<String>>,
    views: Mutex<BTreeMap<String, View>>,
    /// Datasets that nobody may read.
    pub(crate) hidden: Mutex<Vec<String>>,
}

impl TestCatalog {
    /// Takes the permission to read from an account, or gives it back.
    pub(crate) fn deny(&self, account: &str, denied: bool) {
        let mut accounts = self.denied.lock().unwrap();
        match denied {
            true => accounts.insert(account.to_owned()),
            false => accounts.remove(account),
        };
    }

    fn check(&self, subject: &Subject) -> Result<()> {
        match self.denied.lock().unwrap().contains(subject.name().as_str()) {
            true => Err(Error::new(ErrorKind::PermissionDenied, "you may not read this dataset")),
            false => Ok(()),
        }
    }

    async fn pinned(&self, key: &str) -> Result<PinnedDataset> {
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no dataset {key}"));
        let id = *self.ids.lock().unwrap().get(key).ok_or_else(missing)?;
        let alias = self.names.lock().unwrap().get(key).cloned().ok_or_else(missing)?;
        let storage = self.repository.dataset(id);
        let head = storage.head().await?.ok_or_else(missing)?;
        Ok(PinnedDataset {
            id,
            alias,
            kind: DatasetKind::Root,
            storage,
            head,
        })
    }
}

#[async_trait]
impl DatasetCatalog for TestCatalog {
    async fn resolve(&self, subject: &Subject, name: &TableName, _: Access) -> Result<PinnedDataset> {
        let TableName::Alias(alias) = name else {
            return Err(Error::new(ErrorKind::NotFound, "not an alias"));
        };
        self.check(subject)?;
        let account = alias.account.as_ref().unwrap_or_else(|| subject.name());
        let key = format!("{account}/{}", alias.name).to_lowercase();
        if self.hidden.lock().unwrap().contains(&key) {
            return Err(Error::new(ErrorKind::PermissionDenied, "that dataset is hidden"));
        }
        self.pinned(&key).await
    }

    async fn resolve_id(&self, subject: &Subject, id: &DatasetId, _: Access) -> Result<PinnedDataset> {
        self.check(subject)?;
        let key = self
            .ids
            .lock()
            .unwrap()
            .iter()
            .find(|(_, found)| *found == id)
            .map(|(key, _)| key.clone());
        self.pinned(&key.unwrap_or_default()).await
    }

    fn list<'a>(&'a self, _: &'a Subject) -> BoxStream<'a, Result<PinnedDataset>> {
        let keys: Vec<String> = self.ids.lock().unwrap().keys().cloned().collect();
        stream::iter(keys)
            .then(move |key| async move { self.pinned(&key).await })
            .boxed()
    }

    async fn accounts(&self, subject: &Subject) -> Result<Vec<String>> {
        Ok(vec![subject.name().to_string()])
    }

    fn storage(&self, id: &DatasetId) -> DatasetStorage {
        self.repository.dataset(*id)
    }

    async fn create(
        &self,
        _: &Subject,
        alias: &DatasetAlias,
        blocks: Vec<EncodedBlock>,
        objects: Vec<PendingObject>,
    ) -> Result<PinnedDataset> {
        let key = alias.to_string().to_lowercase();
        let jetway_odf::metadata::MetadataEvent::Seed(seed) = &blocks[0].block.event else {
            panic!("no seed")
        };
        let id = seed.dataset_id;
        if self.ids.lock().unwrap().contains_key(&key) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("{alias} is taken")));
        }
        let outcome = self.repository.dataset(id).commit(None, &blocks, objects).await?;
        assert!(matches!(outcome, CommitOutcome::Committed { .. }));
        self.names.lock().unwrap().insert(key.clone(), alias.clone());
        self.ids.lock().unwrap().insert(key.clone(), id);
        self.pinned(&key).await
    }

    async fn view(&self, _: &Subject, alias: &DatasetAlias) -> Result<Option<View>> {
        Ok(self.views.lock().unwrap().get(&alias.to_string()).cloned())
    }

    async fn views(&self, _: &Subject, _: Option<&AccountName>) -> Result<Vec<View>> {
        Ok(self.views.lock().unwrap().values().cloned().collect())
    }

    async fn set_view(&self, _: &Subject, view: &View, replace: bool) -> Result<()> {
        let mut views = self.views.lock().unwrap();
        if views.contains_key(&view.alias.to_string()) && !replace {
            return Err(Error::new(ErrorKind::AlreadyExists, "that view is there"));
        }
        views.insert(view.alias.to_string(), view.clone());
        Ok(())
    }

    async fn remove_view(&self, _: &Subject, alias: &DatasetAlias) -> Result<bool> {
        Ok(self.views.lock().unwrap().remove(&alias.to_string()).is_some())
    }

    async fn delete(&self, _: &Subject, dataset: &PinnedDataset) -> Result<()> {
        self.repository.delete(dataset.id).await?;
        self.ids.lock().unwrap().retain(|_, id| *id != dataset.id);
        Ok(())
    }

    async fn commit(
        &self,
        _: &Subject,
        dataset: &PinnedDataset,
        expected_head: Multihash,
        blocks: Vec<EncodedBlock>,
        objects: Vec<PendingObject>,
    ) -> Result<CommitOutcome> {
        Ok(dataset.storage.commit(Some(expected_head), &blocks, objects).await?)
    }
}

/// A planner over an empty repository, and the account that uses it.
pub(crate) struct Fixture {
    pub(crate) planner: Planner,
    pub(crate) catalog: Arc<TestCatalog>,
    pub(crate) alice: Subject,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::over(
            Repository::open("memory:", &RepositoryOptions::default())
                .await
                .unwrap(),
        )
    }

    /// The same with a planner that knows nothing yet, and has other options.
    pub(crate) fn restarted(self, options: PlannerOptions) -> Self {
        let planner = Planner::new(Arc::clone(&self.catalog) as Arc<dyn DatasetCatalog>, options).unwrap();
        Self { planner, ..self }
    }

    /// A planner over the datasets of a folder, which go by the names in their side files.
    pub(crate) async fn open(folder: &std::path::Path) -> Self {
        let repository = Repository::open(folder.to_str().unwrap(), &RepositoryOptions::default())
            .await
            .unwrap();
        let ids: Vec<DatasetId> = repository.list().try_collect().await.unwrap();
        let fixture = Self::over(repository);
        for id in ids {
            let alias = fixture.catalog.storage(&id).alias().await.unwrap().unwrap();
            let key = format!("alice/{}", alias.name);
            let alias = DatasetAlias::new(Some("alice".parse().unwrap()), alias.name);
            fixture.catalog.names.lock().unwrap().insert(key.clone(), alias);
            fixture.catalog.ids.lock().unwrap().insert(key, id);
        }
        fixture
    }

    fn over(repository: Repository) -> Self {
        let catalog = Arc::new(TestCatalog {
            repository,
            names: Mutex::default(),
            ids: Mutex::default(),
            denied: Mutex::default(),
            views: Mutex::default(),
            hidden: Mutex::default(),
        });
        let planner = Planner::new(
            Arc::clone(&catalog) as Arc<dyn DatasetCatalog>,
            PlannerOptions::default(),
        )
        .unwrap();
        Self {
            planner,
            catalog,
            alice: Subject::account("alice".parse().unwrap()),
        }
    }

    /// A second process over the same repository.
    pub(crate) fn another_planner(&self) -> Planner {
        Planner::new(
            Arc::clone(&self.catalog) as Arc<dyn DatasetCatalog>,
            PlannerOptions::default(),
        )
        .unwrap()
    }

    pub(crate) async fn push(&self, table: &str, batches: Vec<RecordBatch>) -> Result<IngestOutcome> {
        push(&self.planner, &self.alice, table, batches).await
    }

    pub(crate) async fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let statement = self.planner.plan(&self.alice, sql, None).await?;
        let declared = statement.schema();
        let batches: Vec<RecordBatch> = statement.execute().await?.try_collect().await?;
        for batch in &batches {
            assert_eq!(batch.schema(), declared, "the declared schema is the streamed schema");
        }
        Ok(batches)
    }

    /// The result as text, a row a line, columns apart by a space.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        text(&self.sql(sql).await.unwrap())
    }

    pub(crate) async fn dataset(&self, table: &str) -> PinnedDataset {
        self.catalog.pinned(&format!("alice/{table}")).await.unwrap()
    }
}

/// Rows as text, values with a space between them.
pub(crate) fn text(batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches {
        let options = arrow::util::display::FormatOptions::default().with_null("null");
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let values: Vec<_> = columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(values.join(" "));
        }
    }
    rows
}

pub(crate) async fn push(
    planner: &Planner,
    subject: &Subject,
    table: &str,
    batches: Vec<RecordBatch>,
) -> Result<IngestOutcome> {
    let schema = batches[0].schema();
    let request = IngestRequest {
        if_not_exists: IfNotExists::Create,
        ..IngestRequest::append(TableName::parse(None, None, table)?)
    };
    planner
        .ingest(
            subject,
            request,
            BatchStream::new(schema, stream::iter(batches.into_iter().map(Ok))),
        )
        .await
}
