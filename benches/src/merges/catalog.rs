//! A catalog of one dataset in a folder.

use std::path::Path;

use anyhow::Result;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jetway_odf::chain::ChainState;
use jetway_odf::codec::{EncodedBlock, ManifestVersion};
use jetway_odf::identity::{DatasetAlias, DatasetId, Multihash};
use jetway_odf::metadata::{AddPushSource, DatasetKind, MergeStrategy, MetadataEvent, ReadStep, Seed};
use jetway_odf::storage::{CommitOutcome, DatasetStorage, PendingObject, Repository, RepositoryOptions};
use jetway_planner::{Access, Clock, DatasetCatalog, Error, ErrorKind, PinnedDataset, Subject, TableName};

/// Name of the dataset.
pub(crate) const NAME: &str = "merged";

/// A repository with one dataset that has one push source.
#[derive(Debug)]
pub(crate) struct FolderCatalog {
    repository: Repository,
    id: DatasetId,
}

impl FolderCatalog {
    pub(crate) async fn new(folder: &Path, merge: MergeStrategy) -> Result<Self> {
        let repository = Repository::open(&folder.to_string_lossy(), &RepositoryOptions::default()).await?;
        let id = DatasetId::seeded(NAME.as_bytes());
        let seed = Seed {
            dataset_id: id,
            dataset_kind: DatasetKind::Root,
        };
        let source = AddPushSource {
            source_name: "default".to_owned(),
            read: ReadStep::NdJson {
                ddl_schema: None,
                date_format: None,
                encoding: None,
                timestamp_format: None,
                schema: None,
            },
            preprocess: None,
            merge,
        };
        let (blocks, _) = ChainState::create(
            seed,
            vec![MetadataEvent::AddPushSource(source)],
            Clock::system().now(),
            ManifestVersion::default(),
        )?;
        let outcome = repository.dataset(id).commit(None, &blocks, Vec::new()).await?;
        anyhow::ensure!(
            matches!(outcome, CommitOutcome::Committed { .. }),
            "the folder is not empty"
        );
        Ok(Self { repository, id })
    }

    async fn pinned(&self) -> jetway_planner::Result<PinnedDataset> {
        let storage = self.repository.dataset(self.id);
        let head = storage.head().await?;
        Ok(PinnedDataset {
            id: self.id,
            alias: format!("bench/{NAME}").parse()?,
            kind: DatasetKind::Root,
            storage,
            head: head.ok_or_else(|| Error::new(ErrorKind::NotFound, "the dataset is not there"))?,
        })
    }
}

#[async_trait]
impl DatasetCatalog for FolderCatalog {
    async fn resolve(&self, _: &Subject, _: &TableName, _: Access) -> jetway_planner::Result<PinnedDataset> {
        self.pinned().await
    }

    async fn resolve_id(&self, _: &Subject, _: &DatasetId, _: Access) -> jetway_planner::Result<PinnedDataset> {
        self.pinned().await
    }

    fn list<'a>(&'a self, _: &'a Subject) -> BoxStream<'a, jetway_planner::Result<PinnedDataset>> {
        stream::once(self.pinned()).boxed()
    }

    async fn accounts(&self, subject: &Subject) -> jetway_planner::Result<Vec<String>> {
        Ok(vec![subject.name().to_string()])
    }

    fn storage(&self, id: &DatasetId) -> DatasetStorage {
        self.repository.dataset(*id)
    }

    async fn create(
        &self,
        _: &Subject,
        _: &DatasetAlias,
        _: Vec<EncodedBlock>,
        _: Vec<PendingObject>,
    ) -> jetway_planner::Result<PinnedDataset> {
        Err(Error::new(
            ErrorKind::AlreadyExists,
            "the only dataset is there already",
        ))
    }

    async fn delete(&self, _: &Subject, dataset: &PinnedDataset) -> jetway_planner::Result<()> {
        Ok(self.repository.delete(dataset.id).await?)
    }

    async fn commit(
        &self,
        _: &Subject,
        dataset: &PinnedDataset,
        expected_head: Multihash,
        blocks: Vec<EncodedBlock>,
        objects: Vec<PendingObject>,
    ) -> jetway_planner::Result<CommitOutcome> {
        Ok(dataset.storage.commit(Some(expected_head), &blocks, objects).await?)
    }
}

/// Bytes of all slices of the dataset in a repository.
pub(super) fn data_bytes(repository: &Path) -> Result<u64> {
    let mut bytes = 0;
    for dataset in std::fs::read_dir(repository)? {
        let data = dataset?.path().join("data");
        if data.is_dir() {
            for slice in std::fs::read_dir(data)? {
                bytes += slice?.metadata()?.len();
            }
        }
    }
    Ok(bytes)
}
