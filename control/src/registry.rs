//! Which datasets there are, under which names, and who may do what to them.
//!
//! Storage is the truth: names come from the alias side files, and this process keeps an index over them. A dataset that
//! another process made is found by listing the repository again when a name is missing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{AccountName, DatasetAlias, DatasetId, Multihash};
use jetway_odf::metadata::{DatasetKind, MetadataEvent};
use jetway_odf::storage::{CommitOutcome, DatasetStorage, PendingObject, Repository};
use jetway_planner::{Access, DatasetCatalog, Error, ErrorKind, PinnedDataset, Result, Subject, TableName};
use tokio::sync::Mutex;

mod index;
mod kind;

#[cfg(test)]
mod tests;

use index::{Entry, Index};

/// How long a listing of the repository counts as fresh.
const LISTING_AGE: Duration = Duration::from_secs(1);

/// How many side files and heads are read at the same time.
const CONCURRENT_READS: usize = 16;

/// The datasets of one repository. Every account may read all of them; writing needs the owner or an admin.
///
/// Names are reserved in this process while a dataset is being made. When two processes make a dataset of the same name
/// at the same moment, both datasets exist, one of them keeps the name in each process, and both are found by DID.
#[derive(Debug)]
pub struct StorageCatalog {
    repository: Repository,
    /// Owner of datasets whose alias names no account.
    default_account: AccountName,
    index: Index,
    /// When the repository was last listed; held while it is.
    listed_at: Mutex<Option<Instant>>,
}

impl StorageCatalog {
    /// The datasets of a repository. It is listed when the first name is asked for.
    #[must_use]
    pub fn new(repository: Repository, default_account: AccountName) -> Self {
        Self {
            repository,
            default_account,
            index: Index::default(),
            listed_at: Mutex::new(None),
        }
    }

    /// Finds out whether storage answers.
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub async fn check(&self) -> Result<()> {
        match self.repository.store().list(None).next().await {
            None | Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(Error::new(ErrorKind::Unavailable, "storage does not answer").with_source(error)),
        }
    }

    /// Brings the index forward by the datasets that were made elsewhere, unless that was done a moment ago.
    async fn refresh(&self) -> Result<()> {
        let mut listed_at = self.listed_at.lock().await;
        if listed_at.is_some_and(|listed_at| listed_at.elapsed() < LISTING_AGE) {
            return Ok(());
        }
        let started = Instant::now();
        let ids: Vec<DatasetId> = self.repository.list().try_collect().await?;
        let unknown = ids.iter().copied().filter(|id| self.index.get(id).is_none());
        let mut aliases = stream::iter(unknown)
            .map(async |id| Ok::<_, Error>((id, self.stored_alias(&id).await?)))
            .buffered(CONCURRENT_READS);
        while let Some((id, alias)) = aliases.try_next().await? {
            self.index.insert(id, alias, None);
        }
        *listed_at = Some(started);
        Ok(())
    }

    /// The alias from the side file, with an account in any case. A dataset without a readable one goes by its DID.
    async fn stored_alias(&self, id: &DatasetId) -> Result<DatasetAlias> {
        let found = match self.repository.dataset(*id).alias().await {
            Ok(found) => found,
            Err(error)
                if matches!(
                    error.kind(),
                    jetway_odf::ErrorKind::Malformed | jetway_odf::ErrorKind::InvalidIdentity
                ) =>
            {
                tracing::warn!(dataset.id = %id, %error, "a dataset with a damaged alias goes by its DID");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let alias = match found {
            Some(alias) => alias,
            None => DatasetAlias::new(None, id.to_multibase().parse()?),
        };
        Ok(self.with_account(alias, &self.default_account))
    }

    fn with_account(&self, alias: DatasetAlias, default: &AccountName) -> DatasetAlias {
        DatasetAlias {
            account: Some(alias.account.unwrap_or_else(|| default.clone())),
            name: alias.name,
        }
    }

    /// A dataset at its current head; `None` when it has been deleted.
    async fn pin(&self, entry: &Entry) -> Result<Option<PinnedDataset>> {
        let storage = self.repository.dataset(entry.id);
        let Some(head) = storage.head().await? else {
            self.index.remove(&entry.id);
            return Ok(None);
        };
        let kind = match entry.kind {
            Some(kind) => kind,
            None => {
                let kind = kind::read(&storage, head).await?;
                self.index.set_kind(&entry.id, kind);
                kind
            }
        };
        Ok(Some(PinnedDataset {
            id: entry.id,
            alias: entry.alias.clone(),
            kind,
            storage,
            head,
        }))
    }

    async fn by_alias(&self, alias: &DatasetAlias) -> Result<Option<PinnedDataset>> {
        if let Some(entry) = self.index.find(alias)
            && let Some(dataset) = self.pin(&entry).await?
        {
            return Ok(Some(dataset));
        }
        self.refresh().await?;
        match self.index.find(alias) {
            Some(entry) => self.pin(&entry).await,
            None => Ok(None),
        }
    }

    async fn by_id(&self, id: &DatasetId) -> Result<Option<PinnedDataset>> {
        if let Some(entry) = self.index.get(id) {
            return self.pin(&entry).await;
        }
        // Storage is asked directly, which is cheaper than a listing.
        if self.repository.dataset(*id).head().await?.is_none() {
            return Ok(None);
        }
        let alias = self.stored_alias(id).await?;
        self.pin(&self.index.insert(*id, alias, None)).await
    }
}

#[async_trait]
impl DatasetCatalog for StorageCatalog {
    async fn resolve(&self, subject: &Subject, name: &TableName, access: Access) -> Result<PinnedDataset> {
        let alias = match name {
            TableName::Id(id) => return self.resolve_id(subject, id, access).await,
            TableName::Alias(alias) => self.with_account(alias.clone(), subject.name()),
        };
        let found = self.by_alias(&alias).await?;
        let dataset = found.ok_or_else(|| not_found().with_context("dataset", alias.to_string()))?;
        allow(subject, &dataset.alias, access)?;
        Ok(dataset)
    }

    async fn resolve_id(&self, subject: &Subject, id: &DatasetId, access: Access) -> Result<PinnedDataset> {
        let found = self.by_id(id).await?;
        let dataset = found.ok_or_else(|| not_found().with_context("dataset", id.to_string()))?;
        allow(subject, &dataset.alias, access)?;
        Ok(dataset)
    }

    fn list<'a>(&'a self, _subject: &'a Subject) -> BoxStream<'a, Result<PinnedDataset>> {
        stream::once(async {
            self.refresh().await?;
            Ok::<_, Error>(stream::iter(self.index.all()).map(Ok::<_, Error>))
        })
        .try_flatten()
        .map_ok(async |entry| self.pin(&entry).await)
        .try_buffered(CONCURRENT_READS)
        .try_filter_map(async |dataset| Ok(dataset))
        .boxed()
    }

    async fn accounts(&self, subject: &Subject) -> Result<Vec<String>> {
        self.refresh().await?;
        let owners = self.index.all().into_iter().filter_map(|entry| entry.alias.account);
        let names: BTreeSet<AccountName> = owners.chain([subject.name().clone()]).collect();
        Ok(names.into_iter().map(|name| name.to_string()).collect())
    }

    fn storage(&self, id: &DatasetId) -> DatasetStorage {
        self.repository.dataset(*id)
    }

    async fn create(
        &self,
        subject: &Subject,
        alias: &DatasetAlias,
        blocks: Vec<EncodedBlock>,
        objects: Vec<PendingObject>,
    ) -> Result<PinnedDataset> {
        let alias = self.with_account(alias.clone(), subject.name());
        if !owns(subject, &alias) {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                "you can make datasets in your own account only; leave the account out, or ask an administrator",
            )
            .with_context("dataset", alias.to_string())
            .with_context("account", subject.name().to_string()));
        }
        let (id, kind) = seed(&blocks)?;
        let _reserved = self.index.reserve(&alias).ok_or_else(|| taken(&alias))?;
        self.refresh().await?;
        if let Some(entry) = self.index.find(&alias)
            && self.pin(&entry).await?.is_some()
        {
            return Err(taken(&alias));
        }
        let storage = match self.repository.create_dataset(id).await {
            Err(error) if error.kind() == jetway_odf::ErrorKind::Conflict => {
                return Err(taken(&alias).with_source(error));
            }
            prepared => prepared?,
        };
        // The name comes first, so that nobody sees the dataset without it.
        storage.set_alias(&alias).await?;
        match storage.commit(None, &blocks, objects).await? {
            CommitOutcome::Committed { head } => {
                self.index.insert(id, alias.clone(), Some(kind));
                tracing::info!(dataset.id = %id, dataset.alias = %alias, account.name = %subject.name(), "a dataset was made");
                Ok(PinnedDataset {
                    id,
                    alias,
                    kind,
                    storage,
                    head,
                })
            }
            CommitOutcome::Conflict { .. } => Err(taken(&alias)),
            CommitOutcome::Unchanged => Err(no_seed()),
        }
    }

    async fn commit(
        &self,
        subject: &Subject,
        dataset: &PinnedDataset,
        expected_head: Multihash,
        blocks: Vec<EncodedBlock>,
        objects: Vec<PendingObject>,
    ) -> Result<CommitOutcome> {
        allow(subject, &dataset.alias, Access::Write)?;
        Ok(dataset.storage.commit(Some(expected_head), &blocks, objects).await?)
    }
}

/// Reading is for everybody, writing for the owner and admins.
fn allow(subject: &Subject, alias: &DatasetAlias, access: Access) -> Result<()> {
    match access {
        Access::Read => Ok(()),
        Access::Write if owns(subject, alias) => Ok(()),
        Access::Write => Err(Error::new(
            ErrorKind::PermissionDenied,
            "you may read this dataset but not write to it; ask its owner or an administrator",
        )
        .with_context("dataset", alias.to_string())
        .with_context("account", subject.name().to_string())),
    }
}

fn owns(subject: &Subject, alias: &DatasetAlias) -> bool {
    subject.is_admin() || alias.account.as_ref() == Some(subject.name())
}

/// What the first block says about a dataset that is to be made.
fn seed(blocks: &[EncodedBlock]) -> Result<(DatasetId, DatasetKind)> {
    match blocks.first().map(|first| &first.block.event) {
        Some(MetadataEvent::Seed(seed)) => Ok((seed.dataset_id, seed.dataset_kind)),
        _ => Err(no_seed()),
    }
}

fn no_seed() -> Error {
    Error::new(ErrorKind::Internal, "a dataset was to be made without a Seed block")
}

fn not_found() -> Error {
    Error::new(
        ErrorKind::NotFound,
        "there is no such dataset, or none that you may see",
    )
}

fn taken(alias: &DatasetAlias) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        "there is a dataset of that name already; choose another name or append to it",
    )
    .with_context("dataset", alias.to_string())
}
