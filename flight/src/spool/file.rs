//! The file of an answer: its messages one after the other, header and body.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::io;
use crate::queries::QueryId;
use crate::{Error, Result};

/// Ends of the names of our files.
const EXTENSION: &str = "messages";

/// A file that is removed with its last reader.
#[derive(Debug)]
pub(super) struct SpoolFile {
    path: PathBuf,
    file: File,
}

impl SpoolFile {
    pub(super) fn create(folder: &Path, run: QueryId) -> Result<Self> {
        let path = folder.join(format!("{run}.{EXTENSION}"));
        let file = File::create_new(&path).map_err(|error| io("cannot make a file", error))?;
        Ok(Self { path, file })
    }

    pub(super) fn write(&self, pieces: &[Bytes], mut at: u64) -> Result<()> {
        for piece in pieces {
            let written = self.file.write_all_at(piece, at);
            written.map_err(|error| io("cannot write", error))?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Another handle, which has a position of its own.
    pub(super) fn reader(&self) -> Result<File> {
        File::open(&self.path).map_err(|error| io("cannot read a file back", error))
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a file of the spool could not be removed");
        }
    }
}

/// Reads some bytes.
pub(super) fn read(file: &mut File, at: u64, length: usize) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity(length);
    let read = file
        .seek(SeekFrom::Start(at))
        .and_then(|_| file.take(length as u64).read_to_end(&mut bytes));
    match read {
        Ok(read) if read == length => Ok(bytes.into()),
        Ok(_) => Err(Error::internal("a file of the spool is shorter than it was written")),
        Err(error) => Err(io("cannot read a file back", error)),
    }
}

/// Makes a folder, and removes what an earlier process left there.
pub(super) fn empty(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| io("cannot make its folder", error))?;
    let entries = std::fs::read_dir(folder).map_err(|error| io("cannot list its folder", error))?;
    for entry in entries {
        let path = entry.map_err(|error| io("cannot list its folder", error))?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            std::fs::remove_file(&path).map_err(|error| io("cannot empty its folder", error))?;
        }
    }
    Ok(())
}
