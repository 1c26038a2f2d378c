//! Which datasets there are, under which names, and who may do what to them.
//!
//! Storage is the truth: names come from the alias side files, and this process keeps an index over them. A dataset that
//! another process made is found by listing the repository again when a name is missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{AccountName, DatasetAlias, DatasetId, Multihash};
use jetway_odf::metadata::{DatasetKind, MetadataEvent};
use jetway_odf::storage::{CommitOutcome, DatasetStorage, PendingObject, Repository};
use jetway_planner::{
    Access, DatasetCatalog, DatasetEntry, Error, ErrorKind, PinnedDataset, Result, Subject, TableName, View,
};
use tokio::sync::Mutex;

mod index;
mod kind;
mod public;
mod push;
mod repositories;
mod views;

#[cfg(test)]
mod tests;

use index::{Entry, Index, Reservation};
pub use public::PublicAccounts;
use repositories::Repositories;

/// How long a listing of the repository, and the name of a dataset, count as fresh.
const LISTING_AGE: Duration = Duration::from_secs(1);

/// How many names are read again with each listing, so that it has every rename that another process made before it.
const FEW_NAMES: usize = 256;

/// How old names may be where there are more.
const NAME_AGE: Duration = Duration::from_secs(60);

/// How many side files and heads are read at the same time.
const CONCURRENT_READS: usize = 16;

/// The datasets of one repository, or of one for roots and one for derivatives. Every account may read all of them; writing needs the owner or an admin.
/// Who has no account reads those of public accounts only.
///
/// Names are reserved in this process while a dataset is being made. When two processes make a dataset of the same name
/// at the same moment, both datasets exist, one of them keeps the name in each process, and both are found by DID.
#[derive(Debug)]
pub struct StorageCatalog {
    names: Arc<Names>,
    public: PublicAccounts,
    /// When the repository was last listed; held while it is.
    listed_at: Mutex<Option<Instant>>,
    /// Held while names are read again in the background.
    reading: Arc<Mutex<()>>,
}

impl StorageCatalog {
    /// The datasets of a repository. It is listed when the first name is asked for.
    #[must_use]
    pub fn new(repository: Repository, default_account: AccountName) -> Self {
        Self::over(Repositories::new(repository, None), default_account)
    }

    /// The datasets of two repositories: roots are made in the first one, derivatives in the second.
    #[must_use]
    pub fn with_derivatives(root: Repository, derivative: Repository, default_account: AccountName) -> Self {
        Self::over(Repositories::new(root, Some(derivative)), default_account)
    }

    fn over(repositories: Repositories, default_account: AccountName) -> Self {
        Self {
            names: Arc::new(Names {
                repositories,
                default_account,
                index: Index::default(),
            }),
            public: PublicAccounts::default(),
            listed_at: Mutex::new(None),
            reading: Arc::default(),
        }
    }

    /// The same datasets, of which those of some accounts are public.
    #[must_use]
    pub fn with_public(self, public: PublicAccounts) -> Self {
        Self { public, ..self }
    }

    /// Whether the subject may know of a dataset of that name.
    fn may_see(&self, subject: &Subject, alias: &DatasetAlias) -> bool {
        !subject.is_anonymous()
            || alias
                .account
                .as_ref()
                .is_some_and(|account| self.public.includes(account))
    }

    /// A dataset that was found, if the subject may use it in that way.
    fn allowed(&self, subject: &Subject, dataset: Option<PinnedDataset>, access: Access) -> Result<PinnedDataset> {
        let dataset = dataset
            .filter(|dataset| self.may_see(subject, &dataset.alias))
            .ok_or_else(not_found)?;
        allow(subject, &dataset.alias, access)?;
        if access == Access::Write {
            dataset.storage.repository().check_writable()?;
        }
        Ok(dataset)
    }

    /// Finds out whether storage answers.
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub async fn check(&self) -> Result<()> {
        self.names.repositories.check().await
    }

    /// Every dataset by its names, ordered by account and name, whatever state its chain is in. Reads names only.
    ///
    /// # Errors
    /// When storage does not answer.
    pub async fn registered(&self, subject: &Subject) -> Result<Vec<RegisteredDataset>> {
        let ids = self.names.repositories.list_with_damaged().await?;
        let aliases = stream::iter(ids)
            .map(async |id| {
                let alias = self.stored_alias(&id).await?;
                Ok::<_, Error>(RegisteredDataset { id, alias })
            })
            .buffered(CONCURRENT_READS);
        let mut found: Vec<RegisteredDataset> = aliases.try_collect().await?;
        found.retain(|dataset| self.may_see(subject, &dataset.alias));
        found.sort_by(|a, b| (&a.alias, a.id).cmp(&(&b.alias, b.id)));
        Ok(found)
    }

    /// Keeps a name that no dataset has, apart from `but`, for the caller.
    pub(crate) async fn reserve(&self, alias: &DatasetAlias, but: Option<&DatasetId>) -> Result<Reservation> {
        let reserved = self.names.index.reserve(alias).ok_or_else(|| taken(alias))?;
        match self.by_alias(alias).await? {
            Some(other) if Some(&other.id) != but => Err(taken(alias)),
            _ => {
                self.check_no_view(alias).await?;
                Ok(reserved)
            }
        }
    }

    /// Takes note of a dataset's new name.
    pub(crate) fn renamed(&self, id: DatasetId, alias: DatasetAlias) {
        self.names.index.insert(id, alias, None);
    }

    /// Takes note that a dataset is gone.
    pub(crate) fn deleted(&self, id: &DatasetId) {
        self.names.index.remove(id);
    }

    /// An alias with its account: the subject's own unless it names one.
    pub(crate) fn full_alias(&self, subject: &Subject, alias: &DatasetAlias) -> DatasetAlias {
        with_account(alias.clone(), subject.name())
    }

    /// Brings the index forward by the datasets that were made, renamed or removed elsewhere, unless that was done a moment ago.
    ///
    /// One listing of folders tells which are new and which are gone. Renamed ones are found by reading all names again: at once
    /// where there are few, in the background and less often where there are many.
    async fn refresh(&self) -> Result<()> {
        let mut listed_at = self.listed_at.lock().await;
        if listed_at.is_some_and(|listed_at| listed_at.elapsed() < LISTING_AGE) {
            return Ok(());
        }
        let began = Instant::now();
        let news = self
            .names
            .index
            .compare(self.names.repositories.folders().await?, began);
        let mut known = stream::iter(news)
            .map(|id| self.names.discover(id))
            .buffered(CONCURRENT_READS);
        while let Some(()) = known.try_next().await? {}
        if self.names.index.len() <= FEW_NAMES {
            self.names.read_again(LISTING_AGE).await?;
        } else if let Ok(turn) = Arc::clone(&self.reading).try_lock_owned() {
            let names = Arc::clone(&self.names);
            tokio::spawn(async move {
                let _turn = turn;
                if let Err(error) = names.read_again(NAME_AGE).await {
                    tracing::warn!(%error, "names of datasets cannot be read again");
                }
            });
        }
        *listed_at = Some(began);
        Ok(())
    }

    async fn stored_alias(&self, id: &DatasetId) -> Result<DatasetAlias> {
        self.names.stored_alias(id).await
    }

    /// A dataset at its current head, by the name that it has now; `None` when it has been deleted.
    async fn pin(&self, entry: &Entry) -> Result<Option<PinnedDataset>> {
        let storage = self.names.repositories.dataset(entry.id);
        let (head, alias) = futures::try_join!(
            async { Ok::<_, Error>(storage.head().await?) },
            self.current_alias(entry)
        )?;
        let Some(head) = head else {
            self.names.index.remove(&entry.id);
            return Ok(None);
        };
        let kind = match entry.kind {
            Some(kind) => kind,
            None => {
                let kind = kind::read(&storage, head).await?;
                self.names.index.set_kind(&entry.id, kind);
                kind
            }
        };
        Ok(Some(PinnedDataset {
            id: entry.id,
            alias,
            kind,
            storage,
            head,
        }))
    }

    /// The alias, read again now and then because somebody else may have renamed the dataset.
    async fn current_alias(&self, entry: &Entry) -> Result<DatasetAlias> {
        if entry.read_at.elapsed() < LISTING_AGE {
            return Ok(entry.alias.clone());
        }
        let alias = self.stored_alias(&entry.id).await?;
        self.names.index.insert(entry.id, alias.clone(), entry.kind);
        Ok(alias)
    }

    async fn by_alias(&self, alias: &DatasetAlias) -> Result<Option<PinnedDataset>> {
        if let Some(entry) = self.names.index.find(alias)
            && let Some(dataset) = self.pin(&entry).await?
            && dataset.alias == *alias
        {
            return Ok(Some(dataset));
        }
        self.refresh().await?;
        match self.names.index.find(alias) {
            Some(entry) => Ok(self.pin(&entry).await?.filter(|dataset| dataset.alias == *alias)),
            None => Ok(None),
        }
    }

    async fn by_id(&self, id: &DatasetId) -> Result<Option<PinnedDataset>> {
        if let Some(entry) = self.names.index.get(id) {
            return self.pin(&entry).await;
        }
        // Storage is asked directly, which is cheaper than a listing.
        if !self.names.repositories.find(*id).await? {
            return Ok(None);
        }
        let alias = self.stored_alias(id).await?;
        self.pin(&self.names.index.insert(*id, alias, None)).await
    }
}

#[async_trait]
impl DatasetCatalog for StorageCatalog {
    async fn resolve(&self, subject: &Subject, name: &TableName, access: Access) -> Result<PinnedDataset> {
        let alias = match name {
            TableName::Id(id) => return self.resolve_id(subject, id, access).await,
            TableName::Alias(alias) => with_account(alias.clone(), subject.name()),
        };
        let found = self.by_alias(&alias).await?;
        let dataset = self.allowed(subject, found, access);
        dataset.map_err(|error| about(error, &alias))
    }

    async fn resolve_id(&self, subject: &Subject, id: &DatasetId, access: Access) -> Result<PinnedDataset> {
        let found = self.by_id(id).await?;
        let dataset = self.allowed(subject, found, access);
        dataset.map_err(|error| about(error, id))
    }

    fn list<'a>(&'a self, subject: &'a Subject) -> BoxStream<'a, Result<PinnedDataset>> {
        stream::once(async {
            self.refresh().await?;
            let mut entries = self.names.index.all();
            entries.retain(|entry| self.may_see(subject, &entry.alias));
            Ok::<_, Error>(stream::iter(entries).map(Ok::<_, Error>))
        })
        .try_flatten()
        .map_ok(async |entry| readable(&entry, self.pin(&entry).await))
        .try_buffered(CONCURRENT_READS)
        .try_filter_map(async |dataset| Ok(dataset))
        .boxed()
    }

    async fn names(&self, subject: &Subject, account: Option<&AccountName>) -> Result<Vec<DatasetEntry>> {
        self.refresh().await?;
        let mut entries = self.names.index.all();
        entries.retain(|entry| account.is_none() || entry.alias.account.as_ref() == account);
        entries.retain(|entry| self.may_see(subject, &entry.alias));
        let named = stream::iter(entries)
            .map(async |entry| {
                let kind = self.names.kind(&entry).await?;
                Ok::<_, Error>(kind.map(|kind| DatasetEntry {
                    id: entry.id,
                    alias: entry.alias,
                    kind,
                }))
            })
            .buffered(CONCURRENT_READS);
        named.try_filter_map(async |entry| Ok(entry)).try_collect().await
    }

    async fn accounts(&self, subject: &Subject) -> Result<Vec<String>> {
        self.refresh().await?;
        let mut names = self.names.index.accounts();
        names.extend(self.view_accounts().await?);
        if subject.is_anonymous() {
            names.retain(|name| self.public.includes(name));
        } else {
            names.insert(subject.name().clone());
        }
        Ok(names.into_iter().map(|name| name.to_string()).collect())
    }

    fn storage(&self, id: &DatasetId) -> DatasetStorage {
        self.names.repositories.dataset(*id)
    }

    async fn create(
        &self,
        subject: &Subject,
        alias: &DatasetAlias,
        blocks: Vec<EncodedBlock>,
        objects: Vec<PendingObject>,
    ) -> Result<PinnedDataset> {
        let alias = self.full_alias(subject, alias);
        allow_creation(subject, &alias)?;
        let (id, kind) = seed(&blocks)?;
        self.names.repositories.for_kind(kind).check_writable()?;
        let _identity = self
            .names
            .index
            .reserve(&by_identity(&id)?)
            .ok_or_else(|| taken(&alias))?;
        let _name = self.reserve(&alias, None).await?;
        let storage = match self.names.repositories.create(id, kind).await {
            Err(error) if error.kind() == jetway_odf::ErrorKind::Conflict => {
                return Err(taken(&alias).with_source(error));
            }
            prepared => prepared?,
        };
        // The name comes first, so that nobody sees the dataset without it.
        storage.set_alias(&alias).await?;
        match storage.commit(None, &blocks, objects).await? {
            CommitOutcome::Committed { head } => {
                self.names.index.insert(id, alias.clone(), Some(kind));
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

    async fn view(&self, subject: &Subject, alias: &DatasetAlias) -> Result<Option<View>> {
        self.find_view(subject, alias).await
    }

    async fn views(&self, subject: &Subject, account: Option<&AccountName>) -> Result<Vec<View>> {
        self.list_views(subject, account).await
    }

    async fn set_view(&self, subject: &Subject, view: &View, replace: bool) -> Result<()> {
        self.keep_view(subject, view, replace).await
    }

    async fn remove_view(&self, subject: &Subject, alias: &DatasetAlias) -> Result<bool> {
        self.delete_view(subject, alias).await
    }

    async fn delete(&self, subject: &Subject, dataset: &PinnedDataset) -> Result<()> {
        let dataset = RegisteredDataset::from(dataset);
        allow(subject, &dataset.alias, Access::Write)?;
        self.check_unused(subject, std::slice::from_ref(&dataset)).await?;
        Self::delete(self, subject, &dataset).await
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

/// The names of datasets, as storage has them and as this process knows them.
#[derive(Debug)]
struct Names {
    repositories: Repositories,
    /// Owner of datasets whose alias names no account.
    default_account: AccountName,
    index: Index,
}

impl Names {
    /// Takes a folder into the index if there is a dataset in it.
    async fn discover(&self, id: DatasetId) -> Result<()> {
        let storage = self.repositories.dataset(id);
        let head = match storage.head().await {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(()),
            Err(error) if is_damaged(&error) => {
                tracing::warn!(dataset.id = %id, %error, "a dataset with a damaged head is skipped");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let alias = self.stored_alias(&id).await?;
        // A dataset whose kind cannot be told has a name all the same.
        let kind = kind::read(&storage, head).await.ok();
        self.index.insert(id, alias, kind);
        Ok(())
    }

    /// Reads the names again that were last read longer ago, and forgets what has no head any more.
    async fn read_again(&self, age: Duration) -> Result<()> {
        let mut entries = self.index.all();
        entries.retain(|entry| entry.read_at.elapsed() >= age);
        let mut read = stream::iter(entries)
            .map(async |entry| {
                let has_head = match self.repositories.dataset(entry.id).head().await {
                    Ok(head) => head.is_some(),
                    Err(error) if is_damaged(&error) => false,
                    Err(error) => return Err(Error::from(error)),
                };
                if has_head {
                    let alias = self.stored_alias(&entry.id).await?;
                    self.index.insert(entry.id, alias, entry.kind);
                } else {
                    self.index.remove(&entry.id);
                }
                Ok(())
            })
            .buffered(CONCURRENT_READS);
        while let Some(()) = read.try_next().await? {}
        Ok(())
    }

    /// The kind of a dataset; none if it is gone or damaged.
    async fn kind(&self, entry: &Entry) -> Result<Option<DatasetKind>> {
        if entry.kind.is_some() {
            return Ok(entry.kind);
        }
        let read = async {
            let storage = self.repositories.dataset(entry.id);
            match storage.head().await? {
                Some(head) => kind::read(&storage, head).await.map(Some),
                None => Ok(None),
            }
        };
        match read.await {
            Ok(Some(kind)) => {
                self.index.set_kind(&entry.id, kind);
                Ok(Some(kind))
            }
            Ok(None) => Ok(None),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                tracing::warn!(dataset.id = %entry.id, %error, "a damaged dataset is left out");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The alias from the side file, with an account in any case. A dataset without a readable one goes by its DID.
    async fn stored_alias(&self, id: &DatasetId) -> Result<DatasetAlias> {
        let found = match self.repositories.dataset(*id).alias().await {
            Ok(found) => found,
            Err(error) if is_damaged(&error) => {
                tracing::warn!(dataset.id = %id, %error, "a dataset with a damaged alias goes by its DID");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let alias = match found {
            Some(alias) => alias,
            None => by_identity(id)?,
        };
        Ok(with_account(alias, &self.default_account))
    }
}

fn with_account(alias: DatasetAlias, default: &AccountName) -> DatasetAlias {
    DatasetAlias {
        account: Some(alias.account.unwrap_or_else(|| default.clone())),
        name: alias.name,
    }
}

/// A dataset by its identity and its name, which is present with its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredDataset {
    /// Its identity.
    pub id: DatasetId,
    /// Its account and name.
    pub alias: DatasetAlias,
}

impl From<&PinnedDataset> for RegisteredDataset {
    fn from(dataset: &PinnedDataset) -> Self {
        Self {
            id: dataset.id,
            alias: dataset.alias.clone(),
        }
    }
}

/// A dataset whose blocks are damaged is left out of listings, so that it does not hide the others.
fn readable(entry: &Entry, pinned: Result<Option<PinnedDataset>>) -> Result<Option<PinnedDataset>> {
    match pinned {
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
            tracing::warn!(dataset.id = %entry.id, %error, "a damaged dataset is left out");
            Ok(None)
        }
        pinned => pinned,
    }
}

/// What a dataset without a readable alias goes by. Without an account it is nobody's name, so it stands for the identity in
/// reservations.
fn by_identity(id: &DatasetId) -> Result<DatasetAlias> {
    Ok(DatasetAlias::new(None, id.to_multibase().parse()?))
}

/// Whether a dataset's side file is there but has no alias in it.
pub(crate) fn is_damaged(alias: &jetway_odf::Error) -> bool {
    use jetway_odf::ErrorKind;
    matches!(
        alias.kind(),
        ErrorKind::Malformed | ErrorKind::InvalidIdentity | ErrorKind::Corrupt
    )
}

/// Datasets are made in the own account, by admins in any.
pub(crate) fn allow_creation(subject: &Subject, alias: &DatasetAlias) -> Result<()> {
    if owns(subject, alias) {
        return Ok(());
    }
    if subject.is_anonymous() {
        return Err(log_in());
    }
    Err(Error::new(
        ErrorKind::PermissionDenied,
        "you can make datasets in your own account only; leave the account out, or ask an administrator",
    )
    .with_context("dataset", alias.to_string())
    .with_context("account", subject.name().to_string()))
}

/// Reading is for everybody, writing for the owner and admins.
pub(crate) fn allow(subject: &Subject, alias: &DatasetAlias, access: Access) -> Result<()> {
    match access {
        Access::Read => Ok(()),
        Access::Write if owns(subject, alias) => Ok(()),
        Access::Write if subject.is_anonymous() => Err(log_in()),
        Access::Write => Err(Error::new(
            ErrorKind::PermissionDenied,
            "you may read this dataset but not write to it; ask its owner or an administrator",
        )
        .with_context("dataset", alias.to_string())
        .with_context("account", subject.name().to_string())),
    }
}

fn log_in() -> Error {
    Error::new(
        ErrorKind::PermissionDenied,
        "without an account you may only read: log in with a user name and password, or an access token",
    )
}

fn owns(subject: &Subject, alias: &DatasetAlias) -> bool {
    subject.is_admin() || !subject.is_anonymous() && alias.account.as_ref() == Some(subject.name())
}

/// Says of a dataset that cannot be told of which name was asked for.
fn about(error: Error, name: &impl ToString) -> Error {
    match error.kind() {
        ErrorKind::NotFound => error.with_context("dataset", name.to_string()),
        _ => error,
    }
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

pub(crate) fn not_found() -> Error {
    Error::new(
        ErrorKind::NotFound,
        "there is no such dataset, or none that you may see",
    )
}

pub(crate) fn taken(alias: &DatasetAlias) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        "there is a dataset of that name already; choose another name or append to it",
    )
    .with_context("dataset", alias.to_string())
}
