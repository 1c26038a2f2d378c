//! Reading an index: looking up keys, and going through all of them.

use std::sync::Arc;

use arrow::array::{BinaryArray, RecordBatch};
use futures::{StreamExt, TryStreamExt, stream};

use crate::Result;
use crate::merge::Batches;
use crate::merge::columns::keys;
use crate::merge::index::damage::Damaged;
use crate::merge::index::version::{Found, Version};
use crate::merge::index::{MAX_REPAIRS, StateIndex};

/// An index at one state. What is read of it stays the same while others write.
#[derive(Debug)]
pub(crate) struct OpenIndex {
    pub(super) index: StateIndex,
    pub(super) version: Arc<Version>,
}

impl OpenIndex {
    /// Looks up keys, which are sorted.
    ///
    /// # Errors
    /// Those of storage. Damaged files are made again.
    pub(crate) async fn find(&mut self, keys: &BinaryArray) -> Result<Found> {
        let mut repairs = 0;
        loop {
            match self.version.find(keys).await {
                Err(error) if repairs < MAX_REPAIRS && Damaged::of(&error).is_some() => {
                    repairs += 1;
                    self.version = self.index.repair(&error).await?;
                }
                found => return found,
            }
        }
    }

    /// The newest rows of all keys that are not retracted, sorted by key.
    pub(crate) fn scan(self) -> Batches {
        let scan = Scan {
            rows: None,
            after: None,
            repairs: 0,
            open: self,
        };
        let rows = stream::try_unfold(scan, |mut scan| async move {
            let Some(batch) = scan.next().await? else {
                return Ok(None);
            };
            Ok(Some((batch, scan)))
        });
        rows.boxed()
    }
}

/// A scan that goes on behind the last key that it gave when a file turns out to be damaged: the state at one head is
/// always the same.
struct Scan {
    open: OpenIndex,
    rows: Option<Batches>,
    after: Option<Vec<u8>>,
    repairs: usize,
}

impl Scan {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let index = &self.open.index;
            let rows = match &mut self.rows {
                Some(rows) => rows,
                none => none.insert(self.open.version.live(
                    &index.engine,
                    &index.layout.entries,
                    self.after.as_deref(),
                )?),
            };
            match rows.try_next().await {
                Err(error) if self.repairs < MAX_REPAIRS && Damaged::of(&error).is_some() => {
                    self.repairs += 1;
                    self.rows = None;
                    self.open.version = self.open.index.repair(&error).await?;
                }
                Ok(Some(batch)) if batch.num_rows() == 0 => {}
                Ok(Some(batch)) => {
                    let keys = keys(&batch)?;
                    self.after = Some(keys.value(batch.num_rows() - 1).to_vec());
                    return Ok(Some(batch));
                }
                end => return end,
            }
        }
    }
}
