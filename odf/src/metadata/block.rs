//! A block: one event, linked to the one before it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::identity::Multihash;
use crate::metadata::event::MetadataEvent;

/// One link of a metadata chain. Its hash is that of its encoded bytes, see [`crate::codec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetadataBlock {
    /// When it was committed, in UTC.
    pub system_time: DateTime<Utc>,
    /// Hash of the block before it; absent in the first block only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_block_hash: Option<Multihash>,
    /// Position in the chain, from 0.
    pub sequence_number: u64,
    /// What happened.
    pub event: MetadataEvent,
}
