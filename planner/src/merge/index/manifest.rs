//! Which files an index has, and for which state of the dataset.

use bytes::Bytes;
use jetway_odf::identity::Multihash;
use jetway_odf::storage::DerivedStore;
use serde::{Deserialize, Serialize};

use crate::merge::index::count_read;
use crate::merge::index::layout::Layout;
use crate::{Error, ErrorKind, Result};

/// Name of the file. It is replaced as a whole; whoever writes last wins.
pub(super) const NAME: &str = "manifest";

/// Largest manifest that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The files of an index, newest first, and the block up to which they are true.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    /// Tells manifests apart.
    pub(super) id: String,
    pub(super) head: Multihash,
    pub(super) sequence_number: u64,
    pub(super) next_offset: u64,
    pub(super) runs: Vec<RunRecord>,
}

/// One file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunRecord {
    /// Within the folder of the index.
    pub(super) name: String,
    pub(super) rows: u64,
    /// Where the blocks end and the filters start, in bytes.
    pub(super) filters: u64,
    /// Where the filters end and the list of blocks starts.
    pub(super) footer: u64,
    pub(super) size: u64,
    /// Checksum of all that is behind the blocks.
    pub(super) crc: u32,
}

impl Manifest {
    /// The newest manifest; none if there is none that can be used.
    pub(super) async fn read(store: &DerivedStore, layout: &Layout) -> Result<Option<Self>> {
        let bytes = match store.read(&layout.file(NAME), MAX_BYTES).await {
            Err(error) if matches!(error.kind(), jetway_odf::ErrorKind::Corrupt) => None,
            read => read?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        count_read(bytes.len() as u64);
        Ok(decode(&bytes))
    }

    pub(super) async fn write(&self, store: &DerivedStore, layout: &Layout) -> Result<()> {
        let body = serde_json::to_vec(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "the manifest of a key index cannot be written").with_source(error)
        })?;
        let mut bytes = crc32fast::hash(&body).to_le_bytes().to_vec();
        bytes.extend(body);
        Ok(store.write(&layout.file(NAME), Bytes::from(bytes)).await?)
    }
}

/// A manifest that was cut or changed is as good as none.
fn decode(bytes: &[u8]) -> Option<Manifest> {
    let (crc, body) = bytes.split_first_chunk()?;
    if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
        return None;
    }
    serde_json::from_slice(body).ok()
}
