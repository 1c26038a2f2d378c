//! What is derived from a dataset and can be made again from its chain: indexes, merged slices, summaries.
//!
//! It lives in the folder `cache/` of the dataset, beside the data, so that every node that reads the dataset finds it. Other ODF software does not know
//! the folder and neither copies nor checks it. Nothing in it is needed: whoever reads it checks what it finds and does without it when it is damaged, of
//! another version, or gone.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use url::Url;

use crate::error::{Error, Result};
use crate::identity::DatasetId;
use crate::storage::dataset::DatasetStorage;
use crate::storage::remote;

/// The folder within a dataset's folder.
const FOLDER: &str = "cache";

/// The derived files of one dataset. Cheap to clone.
#[derive(Clone)]
pub struct DerivedStore {
    store: Arc<dyn ObjectStore>,
    base_url: Url,
    folder: Path,
}

impl fmt::Debug for DerivedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DerivedStore")
            .field("base_url", &self.base_url.as_str())
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl DatasetStorage {
    /// The files that are derived from this dataset.
    #[must_use]
    pub fn derived(&self) -> DerivedStore {
        DerivedStore {
            store: Arc::clone(self.store()),
            base_url: self.base_url().clone(),
            folder: folder(self.id()),
        }
    }
}

fn folder(id: &DatasetId) -> Path {
    Path::from_iter([id.to_multibase().as_str(), FOLDER])
}

impl DerivedStore {
    /// The store that [`Self::path`] is a path in. Writing through it is whole or not at all, but on a file system not durable: after a power failure
    /// files may be missing or cut short.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The name of the store for a registry of stores that goes by scheme and host.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// Where a file is within [`Self::store`]. `name` may have folders: `keys/00000012.parquet`.
    #[must_use]
    pub fn path(&self, name: &str) -> Path {
        Path::from_iter(self.folder.parts().chain(Path::from(name).parts()))
    }

    /// A whole file; `None` if it is not there.
    ///
    /// # Errors
    /// `Corrupt` if it has more than `limit` bytes; `Storage`.
    pub async fn read(&self, name: &str, limit: u64) -> Result<Option<Bytes>> {
        let read = remote::read(&*self.store, &self.path(name), limit).await?;
        Ok(read.map(|(bytes, _)| bytes))
    }

    /// Writes a whole file in one step; what was there is replaced.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn write(&self, name: &str, bytes: Bytes) -> Result<()> {
        let path = self.path(name);
        let written = self.store.put(&path, PutPayload::from_bytes(bytes)).await;
        written
            .map(drop)
            .map_err(|error| failed("a derived file cannot be written", &path, error))
    }

    /// Files whose names start with a folder; `""` means all of them.
    #[must_use]
    pub fn list(&self, under: &str) -> BoxStream<'static, Result<ObjectMeta>> {
        let path = self.path(under);
        self.store
            .list(Some(&path))
            .map_err(move |error| failed("derived files cannot be listed", &path, error))
            .boxed()
    }

    /// Removes one file. Removing what is not there is no failure.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        match self.store.delete(&path).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("a derived file cannot be removed", &path, error)),
        }
    }

    /// Removes all files whose names start with a folder; `""` means all of them.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn clear(&self, under: &str) -> Result<()> {
        let path = self.path(under);
        let files = self.store.list(Some(&path)).map_ok(|file| file.location).boxed();
        let removed = self.store.delete_stream(files).map(|outcome| match outcome {
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("derived files cannot be removed", &path, error)),
        });
        removed.try_collect().await
    }
}

fn failed(message: &str, path: &Path, error: StoreError) -> Error {
    remote::store_error(message, path, error)
}

#[cfg(test)]
mod tests;
