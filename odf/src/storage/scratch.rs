//! A folder or bucket for files that are no datasets, such as rows that wait for the end of a transaction.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::storage::dataset::blocking;
use crate::storage::local::sync_folder;
use crate::storage::options::RepositoryOptions;
use crate::storage::repository::Repository;

/// A place for files that processes share and that are removed sooner or later. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ScratchStore {
    store: Arc<dyn ObjectStore>,
    /// The folder, if it is one.
    root: Option<PathBuf>,
}

impl ScratchStore {
    /// Opens a place; locations and options are those of a repository.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub async fn open(location: &str, options: &RepositoryOptions) -> Result<Self> {
        let (store, root) = Repository::open(location, options).await?.into_store();
        Ok(Self { store, root })
    }

    /// The store of all files.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Makes sure that a file which was just written outlives a power failure.
    ///
    /// # Errors
    /// `Io`.
    pub async fn make_durable(&self, path: &Path) -> Result<()> {
        // Object stores acknowledge only what is durable.
        let Some(root) = self.root.clone() else { return Ok(()) };
        let name = path.to_string();
        blocking(move || {
            let file = root.join(&name);
            std::fs::File::open(&file)
                .and_then(|file| file.sync_all())
                .map_err(|error| {
                    Error::new(ErrorKind::Io, "a file cannot be made durable")
                        .with_context("path", file.display())
                        .with_source(error)
                })?;
            for folder in file.ancestors().skip(1).take_while(|folder| folder.starts_with(&root)) {
                sync_folder(folder)?;
            }
            Ok(())
        })
        .await
    }
}
