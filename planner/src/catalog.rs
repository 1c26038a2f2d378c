//! How the planner finds datasets and commits to them: a trait that the control plane implements.

use std::fmt;
use std::future::ready;

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{AccountName, DatasetAlias, DatasetId, Multihash};
use jetway_odf::metadata::DatasetKind;
use jetway_odf::storage::{CommitOutcome, DatasetStorage, PendingObject};

use crate::{Error, ErrorKind, Result, Subject, TableName};

/// A dataset that a subject may use, with the head block at which it was found.
#[derive(Debug, Clone)]
pub struct PinnedDataset {
    /// Its identity.
    pub id: DatasetId,
    /// Its account and name; the account is always present.
    pub alias: DatasetAlias,
    /// Root or derivative.
    pub kind: DatasetKind,
    /// Where its blocks and slices are.
    pub storage: DatasetStorage,
    /// The newest block that readers of this pin see.
    pub head: Multihash,
}

/// A dataset by its names, at no head in particular.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetEntry {
    /// Its identity.
    pub id: DatasetId,
    /// Its account and name; the account is always present.
    pub alias: DatasetAlias,
    /// Root or derivative.
    pub kind: DatasetKind,
}

impl From<PinnedDataset> for DatasetEntry {
    fn from(dataset: PinnedDataset) -> Self {
        Self {
            id: dataset.id,
            alias: dataset.alias,
            kind: dataset.kind,
        }
    }
}

/// A query with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its account and name; the account is always present.
    pub alias: DatasetAlias,
    /// The query, in SQL. Names in it that have no account are looked up in the account of the view.
    pub query: String,
}

/// What a subject wants to do with a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read rows and metadata.
    Read,
    /// Append rows.
    Write,
}

/// Finds datasets by name on behalf of a subject, and commits to them.
///
/// Implementations check permissions: a dataset that the subject may not see is `NotFound`, one that it may see but not
/// use in the wanted way is `PermissionDenied`.
#[async_trait]
pub trait DatasetCatalog: fmt::Debug + Send + Sync {
    /// The dataset that a name means for the subject, pinned at its current head. Names without an account mean the
    /// subject's own account; names compare without case, and `_` finds `-`.
    async fn resolve(&self, subject: &Subject, name: &TableName, access: Access) -> Result<PinnedDataset>;

    /// The dataset of an identity, pinned at its current head.
    async fn resolve_id(&self, subject: &Subject, id: &DatasetId, access: Access) -> Result<PinnedDataset>;

    /// All datasets that the subject may read, ordered by account and name.
    fn list<'a>(&'a self, subject: &'a Subject) -> BoxStream<'a, Result<PinnedDataset>>;

    /// The datasets that the subject may read, of one account or of all, ordered by account and name, without their heads.
    /// Tools ask for this often, so it should cost little however many there are.
    async fn names(&self, subject: &Subject, account: Option<&AccountName>) -> Result<Vec<DatasetEntry>> {
        self.list(subject)
            .map_ok(DatasetEntry::from)
            .try_filter(|entry| ready(account.is_none() || entry.alias.account.as_ref() == account))
            .try_collect()
            .await
    }

    /// Names of all accounts whose datasets the subject may read, and its own, in order.
    async fn accounts(&self, subject: &Subject) -> Result<Vec<String>>;

    /// Where a dataset of that identity is kept, also before it is made: slices are written there before the chain names
    /// them.
    fn storage(&self, id: &DatasetId) -> DatasetStorage;

    /// Makes a dataset out of its first blocks (the first one is its Seed) in one step: afterwards it is there with all
    /// of them, or not at all. `AlreadyExists` when the name is taken.
    async fn create(
        &self,
        subject: &Subject,
        alias: &DatasetAlias,
        blocks: Vec<EncodedBlock>,
        objects: Vec<PendingObject>,
    ) -> Result<PinnedDataset>;

    /// Appends blocks, and the objects that they name, if the dataset's head is still `expected_head`.
    async fn commit(
        &self,
        subject: &Subject,
        dataset: &PinnedDataset,
        expected_head: Multihash,
        blocks: Vec<EncodedBlock>,
        objects: Vec<PendingObject>,
    ) -> Result<CommitOutcome>;

    /// The view of a name, which has its account; none if there is none, or none that the subject may see.
    async fn view(&self, _subject: &Subject, _alias: &DatasetAlias) -> Result<Option<View>> {
        Ok(None)
    }

    /// The views that the subject may see, of one account or of all, ordered by account and name.
    async fn views(&self, _subject: &Subject, _account: Option<&AccountName>) -> Result<Vec<View>> {
        Ok(Vec::new())
    }

    /// Keeps a view. `AlreadyExists` when a dataset has its name, or a view that is not to be replaced.
    async fn set_view(&self, _subject: &Subject, _view: &View, _replace: bool) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "there are no views on this node"))
    }

    /// Removes a view. False if there was none.
    async fn remove_view(&self, _subject: &Subject, _alias: &DatasetAlias) -> Result<bool> {
        Ok(false)
    }

    /// Removes a dataset with everything in it. `Conflict` when other datasets are computed from it.
    async fn delete(&self, subject: &Subject, dataset: &PinnedDataset) -> Result<()>;
}
