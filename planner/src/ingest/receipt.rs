//! Idempotency keys: a push that is sent again because its answer got lost adds nothing.
//!
//! The key stands in the block that made the rows visible, as an attribute of its AddData, so every node and every restart
//! knows it: `docs/ingest.md` describes it for users.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::{ExtraAttributes, MetadataEvent};
use serde::{Deserialize, Serialize};

use crate::ingest::IngestOutcome;
use crate::{Error, ErrorKind, Result};

/// The attribute of AddData that holds receipts.
const ATTRIBUTE: &str = "jetway.dev/idempotencyKeys";

/// How many keys of a dataset are remembered; older ones are free again.
const WINDOW: usize = 4096;

/// A text that a client gives to a push and to every repetition of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Longest key, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// A key.
    ///
    /// # Errors
    /// `InvalidArgument` when it is empty, too long or holds control characters.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "an idempotency key is a text of 1 to {} bytes without control characters, such as a UUID",
                    Self::MAX_BYTES
                ),
            ));
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl FromStr for IdempotencyKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a block says about a push with a key: enough to answer it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Receipt {
    pub(super) key: IdempotencyKey,
    /// Rows that were taken in.
    pub(super) rows: u64,
    /// Events that they became.
    pub(super) events: u64,
    /// Whether the dataset was made by the push.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) created: bool,
}

/// Receipts as the attribute of an AddData.
pub(super) fn to_extra(receipts: &[Receipt]) -> Result<Option<ExtraAttributes>> {
    if receipts.is_empty() {
        return Ok(None);
    }
    let value = serde_json::to_value(receipts).map_err(|error| {
        Error::new(ErrorKind::Internal, "idempotency keys cannot be written into the block").with_source(error)
    })?;
    Ok(Some(ExtraAttributes(
        [(ATTRIBUTE.to_owned(), value)].into_iter().collect(),
    )))
}

/// The newest receipts of a dataset. Cheap to clone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Known>", into = "Vec<Known>")]
pub(crate) struct Receipts {
    recent: Arc<VecDeque<Arc<Known>>>,
}

/// A receipt and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Known {
    receipt: Receipt,
    block: Multihash,
}

impl From<Vec<Known>> for Receipts {
    fn from(known: Vec<Known>) -> Self {
        Self {
            recent: Arc::new(known.into_iter().map(Arc::new).collect()),
        }
    }
}

impl From<Receipts> for Vec<Known> {
    fn from(receipts: Receipts) -> Self {
        receipts.recent.iter().map(|known| known.as_ref().clone()).collect()
    }
}

impl Receipts {
    /// Takes in the receipts of a block. What others have put under our name and we do not understand is left out.
    pub(crate) fn add(&mut self, block: &EncodedBlock) {
        let MetadataEvent::AddData(event) = &block.block.event else {
            return;
        };
        let Some(value) = event.extra.as_ref().and_then(|extra| extra.0.get(ATTRIBUTE)) else {
            return;
        };
        let Ok(receipts) = Vec::<Receipt>::deserialize(value) else {
            return;
        };
        let recent = Arc::make_mut(&mut self.recent);
        for receipt in receipts {
            recent.push_back(Arc::new(Known {
                receipt,
                block: block.hash,
            }));
        }
        let surplus = recent.len().saturating_sub(WINDOW);
        recent.drain(..surplus);
    }

    /// What became of the push with a key.
    pub(super) fn find(&self, key: &IdempotencyKey) -> Option<&Known> {
        let mut newest_first = self.recent.iter().rev();
        newest_first.find(|known| known.receipt.key == *key).map(AsRef::as_ref)
    }
}

impl Known {
    /// The answer to the push, once more. `rows` is how many were sent this time.
    ///
    /// # Errors
    /// `InvalidArgument` when the key was used for another number of rows.
    pub(super) fn outcome(&self, dataset: DatasetId, rows: u64) -> Result<IngestOutcome> {
        let Receipt { key, rows: before, .. } = &self.receipt;
        if *before != rows {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "the idempotency key \"{key}\" was used for another push, of {before} rows, and this one has {rows}; give \
                     each push a key of its own"
                ),
            ));
        }
        Ok(self.answer(dataset))
    }

    /// The answer to the push, once more, whatever was sent this time.
    pub(super) fn answer(&self, dataset: DatasetId) -> IngestOutcome {
        let Receipt {
            rows, events, created, ..
        } = self.receipt;
        IngestOutcome {
            dataset,
            rows,
            events,
            head: self.block,
            created,
            changed: true,
        }
    }
}
