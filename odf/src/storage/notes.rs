//! Small files of a repository that belong to no dataset, such as the definitions of views.
//!
//! They live in the folder `.jetway/` beside the datasets, so that every node over the repository has them. Other ODF software
//! looks at folders that are named like datasets only.

use std::io::ErrorKind as IoErrorKind;
use std::path::Path as FilePath;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::error::{Error, ErrorKind, Result};
use crate::storage::dataset::blocking;
use crate::storage::local::{create_folders, sync_folder};
use crate::storage::pending::PendingFile;
use crate::storage::remote;
use crate::storage::repository::Repository;

/// The folder of all notes.
const FOLDER: &str = ".jetway";

/// Largest note, in bytes.
const MAX_SIZE: u64 = 4 << 20;

impl Repository {
    /// A whole note; `None` if there is none of that name. Names may have folders: `views/alice/report.json`.
    ///
    /// # Errors
    /// `Corrupt` if it is too large; `Storage`.
    pub async fn note(&self, name: &str) -> Result<Option<Bytes>> {
        let read = remote::read(&**self.store(), &path(name), MAX_SIZE).await?;
        Ok(read.map(|(bytes, _)| bytes))
    }

    /// Writes a whole note, durably. False if there is one of that name and it is not to be replaced.
    ///
    /// # Errors
    /// `ReadOnly`; `Io`, `Storage`.
    pub async fn write_note(&self, name: &str, bytes: Bytes, replace: bool) -> Result<bool> {
        self.check_writable()?;
        let path = path(name);
        if let Some(local) = self.local() {
            let file = local.root().join(path.as_ref());
            return blocking(move || write_file(&file, &bytes, replace)).await;
        }
        let mode = if replace { PutMode::Overwrite } else { PutMode::Create };
        let written = self
            .store()
            .put_opts(&path, PutPayload::from_bytes(bytes), PutOptions::from(mode))
            .await;
        match written {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(remote::store_error("a note cannot be written", &path, error)),
        }
    }

    /// Removes a note. False if there was none.
    ///
    /// # Errors
    /// `ReadOnly`; `Io`, `Storage`.
    pub async fn remove_note(&self, name: &str) -> Result<bool> {
        self.check_writable()?;
        // Some stores say that they have removed what was not there.
        if self.note(name).await?.is_none() {
            return Ok(false);
        }
        let path = path(name);
        if let Some(local) = self.local() {
            let file = local.root().join(path.as_ref());
            return blocking(move || remove_file(&file)).await;
        }
        match self.store().delete(&path).await {
            Ok(()) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(remote::store_error("a note cannot be removed", &path, error)),
        }
    }

    /// Names of all notes in a folder and those below, in order.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn notes(&self, folder: &str) -> Result<Vec<String>> {
        let (root, folder) = (Path::from(FOLDER), path(folder));
        let files = self.store().list(Some(&folder)).map(|file| match file {
            Ok(file) => Ok(file.location),
            Err(error) => Err(remote::store_error("notes cannot be listed", &folder, error)),
        });
        let files: Vec<Path> = files.try_collect().await?;
        let mut names: Vec<String> = files
            .iter()
            // Files whose names begin with a dot are being written.
            .filter(|file| file.filename().is_some_and(|name| !name.starts_with('.')))
            .filter_map(|file| Some(Path::from_iter(file.prefix_match(&root)?).to_string()))
            .collect();
        names.sort_unstable();
        Ok(names)
    }
}

fn path(name: &str) -> Path {
    Path::from_iter(Path::from(FOLDER).parts().chain(Path::from(name).parts()))
}

fn write_file(file: &FilePath, bytes: &[u8], replace: bool) -> Result<bool> {
    let failed = |error| {
        Error::new(ErrorKind::Io, "a note cannot be written")
            .with_context("path", file.display())
            .with_source(error)
    };
    let folder = file.parent().unwrap_or(file);
    create_folders(folder).map_err(failed)?;
    let mut pending = PendingFile::create_in(folder).map_err(failed)?;
    std::io::Write::write_all(&mut pending, bytes)
        .and_then(|()| pending.as_file().sync_data())
        .map_err(failed)?;
    if replace {
        pending.persist(file).map_err(failed)?;
    } else {
        match std::fs::hard_link(pending.path(), file) {
            Ok(()) => {}
            Err(error) if error.kind() == IoErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(failed(error)),
        }
    }
    sync_folder(folder)?;
    Ok(true)
}

fn remove_file(file: &FilePath) -> Result<bool> {
    match std::fs::remove_file(file) {
        Ok(()) => {}
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(false),
        Err(error) => {
            return Err(Error::new(ErrorKind::Io, "a note cannot be removed")
                .with_context("path", file.display())
                .with_source(error));
        }
    }
    sync_folder(file.parent().unwrap_or(file))?;
    Ok(true)
}
