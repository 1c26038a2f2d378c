//! A repository: a folder or bucket of datasets.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;
use url::Url;

use crate::codec::EncodedBlock;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{DatasetAlias, DatasetId, Multihash};
use crate::storage::cloud::{self, Bucket};
use crate::storage::commit::CommitOutcome;
use crate::storage::dataset::{DatasetStorage, blocking};
use crate::storage::layout::{self, HEAD};
use crate::storage::local::LocalRepository;
use crate::storage::options::RepositoryOptions;
use crate::storage::pending::{self, PendingFile};
use crate::storage::read_only::{self, ReadOnlyStore};
use crate::storage::remote;

/// How many heads are read at the same time for a listing.
const CONCURRENT_READS: usize = 16;

/// A folder or bucket of datasets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    url: Url,
    base_url: Url,
    store: Arc<dyn ObjectStore>,
    /// Present if the repository is on a file system: then all writing goes past the store, which does not make
    /// anything durable.
    local: Option<Arc<LocalRepository>>,
    temp_dir: PathBuf,
    large_uploads: Semaphore,
    read_only: bool,
}

impl Repository {
    /// Opens a repository. A folder that is not there is created, unless it is for reading only; a bucket must be there.
    /// A workspace of other ODF software is opened in place, by the folder that holds its datasets.
    ///
    /// | `location` | |
    /// |---|---|
    /// | `/var/lib/jetway`, `data`, `file:///var/lib/jetway` | a folder |
    /// | `s3://bucket/prefix` | S3, or what speaks like it |
    /// | `az://container/prefix`, `abfss://container@account.dfs.core.windows.net/prefix` | Azure Blob Storage |
    /// | `gs://bucket/prefix` | Google Cloud Storage |
    /// | `memory:` | a new, empty repository that ends with the process |
    ///
    /// # Errors
    /// `Malformed` or `Unsupported` if the location cannot be understood or the options do not fit together; `Io` if the
    /// folder cannot be created; `NotFound` if a folder to read only is not there.
    pub async fn open(location: &str, options: &RepositoryOptions) -> Result<Self> {
        if !location.contains("://") && !location.starts_with("memory:") && !location.starts_with("file:") {
            return Self::open_folder(PathBuf::from(location), options).await;
        }
        let malformed = |message: &str| Error::malformed(message).with_context("location", location);
        let url = Url::parse(location)
            .map_err(|error| malformed("the repository's location is neither a path nor a URL").with_source(error))?;
        // Azure's URLs name the container where others name a user.
        let has_user = !url.username().is_empty() && !url.scheme().starts_with('a');
        if url.query().is_some() || url.fragment().is_some() || has_user || url.password().is_some() {
            // It may hold a secret, so it is not repeated.
            return Err(Error::malformed(
                "a repository's URL must not have credentials, a query or a fragment; use the options",
            ));
        }
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) => Self::open_folder(path, options).await,
                Err(()) => Err(malformed(
                    "a file URL must name an absolute path on this host, such as file:///data",
                )),
            },
            "memory" => {
                let identity = format!("{:032x}", rand::random::<u128>());
                let bucket = Bucket {
                    identity,
                    store: Arc::new(InMemory::new()),
                };
                Self::new(url, bucket, None, options)
            }
            _ => match cloud::open(&url, options)? {
                Some(bucket) => Self::open_bucket(url, bucket, options).await,
                None => Err(Error::unsupported(
                    "a repository's location must be a path or start with file:, s3:, az:, gs: or memory:",
                )
                .with_context("location", location)),
            },
        }
    }

    /// A repository over any store that honors conditional puts; `url` says where it is.
    ///
    /// Not for file systems: use [`Self::open`], which makes durable what it writes.
    ///
    /// # Errors
    /// None that can happen: a URL is made from a hash.
    pub fn from_store(url: Url, store: Arc<dyn ObjectStore>) -> Result<Self> {
        let identity = url.to_string();
        Self::new(url, Bucket { identity, store }, None, &RepositoryOptions::default())
    }

    /// The store of all files, and the folder if it is one.
    pub(super) fn into_store(self) -> (Arc<dyn ObjectStore>, Option<PathBuf>) {
        let root = self.inner.local.as_ref().map(|local| local.root().to_path_buf());
        (Arc::clone(&self.inner.store), root)
    }

    async fn open_folder(path: PathBuf, options: &RepositoryOptions) -> Result<Self> {
        let options = options.clone();
        blocking(move || {
            let local = if options.read_only {
                LocalRepository::open_read_only(&path)?
            } else {
                LocalRepository::open(&path)?
            };
            let store = LocalFileSystem::new_with_prefix(local.root()).map_err(|error| {
                remote::store_error("the repository's folder cannot be opened", &Path::default(), error)
            })?;
            let url = Url::from_directory_path(local.root()).map_err(|()| {
                Error::malformed("the repository's path is not a valid one").with_context("path", path.display())
            })?;
            let bucket = Bucket {
                identity: url.to_string(),
                store: Arc::new(store),
            };
            Self::new(url, bucket, Some(Arc::new(local)), &options)
        })
        .await
    }

    async fn open_bucket(url: Url, bucket: Bucket, options: &RepositoryOptions) -> Result<Self> {
        if !options.read_only {
            let temp_dir = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
            blocking(move || {
                std::fs::create_dir_all(&temp_dir).map_err(|error| {
                    Error::new(ErrorKind::Io, "the folder for temporary files cannot be created")
                        .with_context("path", temp_dir.display())
                        .with_source(error)
                })?;
                pending::sweep(&temp_dir, SystemTime::now());
                Ok(())
            })
            .await?;
        }
        Self::new(url, bucket, None, options)
    }

    fn new(url: Url, bucket: Bucket, local: Option<Arc<LocalRepository>>, options: &RepositoryOptions) -> Result<Self> {
        let name = hex::encode(Multihash::sha3_256(bucket.identity.as_bytes()).digest());
        let base_url = Url::parse(&format!("odf://{name}/"))
            .map_err(|error| Error::malformed("the repository cannot be named").with_source(error))?;
        let temp_dir = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        let large_uploads = Semaphore::new(remote::LARGE_UPLOADS);
        let read_only = options.read_only;
        let store = if read_only {
            Arc::new(ReadOnlyStore(bucket.store))
        } else {
            bucket.store
        };
        Ok(Self {
            inner: Arc::new(Inner {
                url,
                base_url,
                store,
                local,
                temp_dir,
                large_uploads,
                read_only,
            }),
        })
    }

    /// Where the repository is, for people.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.inner.url
    }

    /// Whether it was opened for reading only: then whatever would write is refused with `ReadOnly`.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.inner.read_only
    }

    /// A name for [`Self::store`] in a registry of stores that goes by scheme and host, such as DataFusion's. It is another
    /// one for each repository, and the same one in each process (but for `memory:`).
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.inner.base_url
    }

    /// The store, rooted at the repository. It is for reading: on a file system, what is written through it is not durable.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.inner.store
    }

    /// A dataset that may or may not exist; [`DatasetStorage::head`] tells.
    #[must_use]
    pub fn dataset(&self, id: DatasetId) -> DatasetStorage {
        DatasetStorage {
            repository: self.clone(),
            id,
        }
    }

    /// Makes room for a new dataset. It exists once something is committed to it.
    ///
    /// # Errors
    /// `ReadOnly`; `Conflict` if the dataset exists; `Io`, `Storage`.
    pub async fn create_dataset(&self, id: DatasetId) -> Result<DatasetStorage> {
        self.check_writable()?;
        let dataset = self.dataset(id);
        if dataset.head().await?.is_some() {
            return Err(exists_already(&id));
        }
        if let Some(local) = self.local() {
            let local = Arc::clone(local);
            blocking(move || local.prepare(&id)).await?;
        }
        Ok(dataset)
    }

    /// Creates a dataset whose chain is `blocks`, oldest first.
    ///
    /// # Errors
    /// `Conflict` if the dataset exists; otherwise as [`DatasetStorage::commit`], and `InvalidEvent` if there is no block.
    pub async fn create(
        &self,
        id: DatasetId,
        alias: Option<&DatasetAlias>,
        blocks: &[EncodedBlock],
    ) -> Result<DatasetStorage> {
        let dataset = self.create_dataset(id).await?;
        if let Some(alias) = alias {
            dataset.set_alias(alias).await?;
        }
        match dataset.commit(None, blocks, Vec::new()).await? {
            CommitOutcome::Committed { .. } => Ok(dataset),
            CommitOutcome::Conflict { .. } => Err(exists_already(&id)),
            CommitOutcome::Unchanged => Err(Error::invalid_event(
                "G1",
                "a dataset starts with a Seed block; none was given",
            )
            .with_context("dataset", id)),
        }
    }

    /// The datasets that exist. Folders without a readable head are what is left of unfinished work, and are skipped, as
    /// are folders that are not named like a dataset.
    #[must_use]
    pub fn list(&self) -> BoxStream<'static, Result<DatasetId>> {
        self.list_if(|id, head| is_readable(&id, head))
    }

    /// As [`Self::list`], and also the datasets whose head is damaged, for those who mend or remove them.
    #[must_use]
    pub fn list_with_damaged(&self) -> BoxStream<'static, Result<DatasetId>> {
        self.list_if(|id, head| Ok(is_damaged(&head) || is_readable(&id, head)?))
    }

    fn list_if(
        &self,
        is_wanted: impl Fn(DatasetId, Result<Option<Multihash>>) -> Result<bool> + Clone + Send + Sync + 'static,
    ) -> BoxStream<'static, Result<DatasetId>> {
        let repository = self.clone();
        let exists = {
            let repository = self.clone();
            move |id: DatasetId| {
                let (dataset, is_wanted) = (repository.dataset(id), is_wanted.clone());
                async move { Ok(is_wanted(id, dataset.head().await)?.then_some(id)) }
            }
        };
        stream::once(async move { repository.folders().await })
            .map_ok(move |ids| stream::iter(ids).map(exists.clone()).buffered(CONCURRENT_READS))
            .try_flatten()
            .try_filter_map(async |id| Ok(id))
            .boxed()
    }

    /// The folders that are named like datasets, without a look at what is in them: one listing, however many there are.
    /// What has no head is no dataset, see [`Self::list`].
    ///
    /// # Errors
    /// `Io`, `Storage`.
    pub async fn folders(&self) -> Result<Vec<DatasetId>> {
        if let Some(local) = self.local() {
            let local = Arc::clone(local);
            return blocking(move || local.folders()).await;
        }
        let listed = self.store().list_with_delimiter(None).await;
        let listed =
            listed.map_err(|error| remote::store_error("the repository cannot be listed", &Path::default(), error))?;
        let names = listed.common_prefixes.iter().filter_map(Path::filename);
        Ok(names.filter_map(layout::parse_folder_name).collect())
    }

    /// Removes a dataset with everything in it. The head goes first, so after a crash there is either all of the dataset or
    /// none of it, and what is left over can be removed by another call. Removing what is not there is no failure.
    ///
    /// # Errors
    /// `ReadOnly`; `Io`, `Storage`.
    pub async fn delete(&self, id: DatasetId) -> Result<()> {
        self.check_writable()?;
        if let Some(local) = self.local() {
            let local = Arc::clone(local);
            return blocking(move || local.delete(&id)).await;
        }
        let failed = |error, path: &Path| remote::store_error("a dataset cannot be removed", path, error);
        let head = layout::file_path(&id, HEAD);
        match self.store().delete(&head).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(failed(error, &head)),
        }
        let folder = Path::from(id.to_multibase());
        let objects = self
            .store()
            .list(Some(&folder))
            .map_ok(|object| object.location)
            .boxed();
        let deleted = self.store().delete_stream(objects).map(|outcome| match outcome {
            Err(StoreError::NotFound { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(failed(error, &folder)),
        });
        deleted.try_collect().await
    }

    /// What everything that writes asks before it does anything.
    ///
    /// # Errors
    /// `ReadOnly` if the repository is open for reading only.
    pub fn check_writable(&self) -> Result<()> {
        match self.inner.read_only {
            false => Ok(()),
            true => Err(read_only::refused().with_context("repository", self.url())),
        }
    }

    pub(super) fn local(&self) -> Option<&Arc<LocalRepository>> {
        self.inner.local.as_ref()
    }

    /// Whoever uploads a large object takes a turn here.
    pub(super) fn large_uploads(&self) -> &Semaphore {
        &self.inner.large_uploads
    }

    /// A file to receive an object in before its upload, with what was received before; `None` while another process has it. Blocks.
    pub(super) fn partial_file(&self, name: &str) -> Result<Option<PendingFile>> {
        let folder: &FilePath = &self.inner.temp_dir;
        PendingFile::resume_in(folder, name).map_err(|error| {
            Error::new(ErrorKind::Io, "a partial file cannot be opened")
                .with_context("path", folder.display())
                .with_source(error)
        })
    }

    /// A file to write to before its upload. Blocks.
    pub(super) fn new_temporary_file(&self) -> Result<PendingFile> {
        let folder: &FilePath = &self.inner.temp_dir;
        PendingFile::create_in(folder).map_err(|error| {
            Error::new(ErrorKind::Io, "a temporary file cannot be created")
                .with_context("path", folder.display())
                .with_source(error)
        })
    }
}

/// Whether a head makes its dataset one that exists. A damaged head makes the dataset garbage; a head that could not be
/// read says nothing, so that is a failure.
fn is_readable(id: &DatasetId, head: Result<Option<Multihash>>) -> Result<bool> {
    let is_damaged = is_damaged(&head);
    match head {
        Ok(head) => Ok(head.is_some()),
        Err(error) if is_damaged => {
            tracing::warn!(dataset.id = %id, %error, "a dataset with a damaged head is skipped");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn is_damaged(head: &Result<Option<Multihash>>) -> bool {
    matches!(head, Err(error) if matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Corrupt))
}

fn exists_already(id: &DatasetId) -> Error {
    Error::new(ErrorKind::Conflict, "the dataset exists already").with_context("dataset", id)
}
