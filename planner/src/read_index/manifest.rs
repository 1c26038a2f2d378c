//! Which merged files there are, and for which slices each of them stands.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use jetway_odf::hash::HashingWriter;
use jetway_odf::identity::Multihash;
use jetway_odf::storage::DatasetStorage;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::summary::SliceEntry;
use crate::{Error, ErrorKind, Result};

/// Where the files are among those that are derived from the dataset.
pub(super) const FOLDER: &str = "slices";

const MANIFEST: &str = "slices/index.json";

/// Raised when files are made differently. Manifests of other versions count as none.
const VERSION: u32 = 1;

/// A manifest has some 300 bytes for each file, and a file stands for at least two slices.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// The merged files of a dataset, by offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    version: u32,
    pub(super) files: Vec<MergedFile>,
    /// Files that are not named any more, and may be read still by those who began before.
    #[serde(default)]
    retired: Vec<RetiredFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RetiredFile {
    name: String,
    /// Since when it is not named.
    time: DateTime<Utc>,
}

/// A file with the rows of consecutive slices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MergedFile {
    /// Its name in the folder.
    pub(super) name: String,
    pub(super) size: u64,
    /// SHA3-256 of its bytes.
    pub(super) checksum: Multihash,
    pub(crate) first_offset: u64,
    pub(crate) last_offset: u64,
    /// The earliest system time of a row.
    pub(crate) first_system_time: Option<DateTime<Utc>>,
    /// The system time of the last slice's block.
    pub(crate) last_system_time: DateTime<Utc>,
    pub(super) slice_count: u64,
    /// See [`digest`].
    pub(super) slices: Multihash,
}

impl MergedFile {
    pub(super) fn path(&self, storage: &DatasetStorage) -> Path {
        storage.derived().path(&format!("{FOLDER}/{}", self.name))
    }
}

/// SHA3-256 of the hashes of slices, one after the other.
pub(super) fn digest<'a>(slices: impl Iterator<Item = &'a SliceEntry>) -> Multihash {
    let mut hashes = Vec::new();
    for slice in slices {
        hashes.extend_from_slice(slice.physical_hash.digest());
    }
    Multihash::sha3_256(&hashes)
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            version: VERSION,
            files: Vec::new(),
            retired: Vec::new(),
        }
    }
}

impl Manifest {
    /// The manifest in storage. One that cannot be understood counts as none.
    ///
    /// # Errors
    /// Those of storage.
    pub(super) async fn load(storage: &DatasetStorage) -> Result<Self> {
        let bytes = match storage.derived().read(MANIFEST, MAX_MANIFEST_BYTES).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Self::default()),
            Err(error) if error.kind() == jetway_odf::ErrorKind::Corrupt => Bytes::new(),
            Err(error) => return Err(error.into()),
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(manifest) if manifest.version == VERSION => Ok(manifest),
            Ok(manifest) => {
                tracing::info!(dataset.id = %storage.id(), manifest.version, "the read index is of another version; it is made anew");
                Ok(Self::default())
            }
            Err(error) => {
                metrics::counter!("jetway_read_index_manifests_damaged_total").increment(1);
                tracing::warn!(dataset.id = %storage.id(), %error, "the read index is damaged; it is made anew");
                Ok(Self::default())
            }
        }
    }

    pub(super) async fn store(&self, storage: &DatasetStorage) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "the read index's manifest cannot be encoded").with_source(error)
        })?;
        Ok(storage.derived().write(MANIFEST, Bytes::from(bytes)).await?)
    }

    /// Takes a file in, and those out whose rows it has as well.
    pub(super) fn replace(&mut self, merged: MergedFile, now: DateTime<Utc>) {
        self.retire(now, |file| {
            file.last_offset >= merged.first_offset && file.first_offset <= merged.last_offset
        });
        let place = self
            .files
            .partition_point(|file| file.first_offset < merged.first_offset);
        self.files.insert(place, merged);
    }

    /// Takes files out.
    pub(super) fn retire(&mut self, now: DateTime<Utc>, is_out: impl Fn(&MergedFile) -> bool) {
        let retired = self.files.extract_if(.., |file| is_out(file));
        let retired = retired.map(|MergedFile { name, .. }| RetiredFile { name, time: now });
        self.retired.extend(retired);
    }

    /// Forgets files that were retired before a moment. They are at least as old, which is then what counts.
    pub(super) fn forget(&mut self, before: DateTime<Utc>) {
        self.retired.retain(|file| file.time >= before);
    }

    pub(super) fn names(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.name == name)
    }

    /// Files that the manifest does not name since `before` or longer, and that nobody has written to since then.
    pub(super) async fn unnamed(&self, storage: &DatasetStorage, before: DateTime<Utc>) -> Result<Vec<Unnamed>> {
        let mut listed = storage.derived().list(FOLDER);
        let mut unnamed = Vec::new();
        while let Some(object) = listed.try_next().await? {
            let Some(name) = object.location.filename() else {
                continue;
            };
            let path = format!("{FOLDER}/{name}");
            let retired = self.retired.iter().filter(|file| file.name == name);
            let since = retired.map(|file| file.time).fold(object.last_modified, DateTime::max);
            if path != MANIFEST && !self.names(name) && since < before {
                unnamed.push(Unnamed {
                    name: path,
                    size: object.size,
                    last_modified: object.last_modified,
                });
            }
        }
        Ok(unnamed)
    }
}

/// A file that no manifest names, among those that are derived from the dataset.
#[derive(Debug)]
pub(super) struct Unnamed {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) last_modified: DateTime<Utc>,
}

/// A writer that only hashes.
pub(super) fn hasher() -> HashingWriter<std::io::Sink> {
    HashingWriter::new(std::io::sink())
}
