//! The logical hash of a slice's columns, several side by side.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use jetway_odf::hash::{ColumnDigest, ColumnHasher};
use tokio::sync::mpsc;

use crate::compute::{Compute, Task};
use crate::ingest::slice::{PIECES_AHEAD, reread};
use crate::{Error, ErrorKind, Result};

/// Columns that one task hashes: enough to fill the vector registers although some end earlier than others, few enough to
/// keep several cores busy with a wide table.
const COLUMNS: usize = 24;

/// A task that hashes some columns.
#[derive(Debug)]
pub(super) struct HashLane {
    columns: Vec<usize>,
    sender: mpsc::Sender<Vec<ArrayRef>>,
    task: Task<Result<Vec<ColumnDigest>>>,
}

impl HashLane {
    /// Tasks for all columns but those whose digest has to be taken from the file.
    pub(super) fn start_all(compute: &Compute, schema: &Schema, hashers: Vec<ColumnHasher>) -> Vec<Self> {
        let hashed_now = schema
            .fields()
            .iter()
            .zip(hashers)
            .filter(|(field, _)| !reread::is_needed(field));
        let mut rest: Vec<ColumnHasher> = hashed_now.map(|(_, hasher)| hasher).collect();
        let mut lanes = Vec::with_capacity(rest.len().div_ceil(COLUMNS));
        while !rest.is_empty() {
            let next = rest.split_off(rest.len().min(COLUMNS));
            lanes.push(Self::start(compute, std::mem::replace(&mut rest, next)));
        }
        lanes
    }

    fn start(compute: &Compute, mut hashers: Vec<ColumnHasher>) -> Self {
        let columns = hashers.iter().map(ColumnHasher::index).collect();
        let (sender, mut pieces) = mpsc::channel::<Vec<ArrayRef>>(PIECES_AHEAD);
        let task = compute.spawn(async move {
            while let Some(piece) = pieces.recv().await {
                ColumnHasher::update_all(&mut hashers, &piece)?;
                // Hashing a piece takes about a millisecond, and others want this thread as well.
                tokio::task::yield_now().await;
            }
            Ok(hashers
                .into_iter()
                .map(ColumnHasher::finish)
                .collect::<Result<_, _>>()?)
        });
        Self { columns, sender, task }
    }

    /// Adds rows of the slice's schema. Waits while the task is busy.
    pub(super) async fn send(&mut self, piece: &RecordBatch) -> Result<()> {
        let columns = self
            .columns
            .iter()
            .filter_map(|index| piece.columns().get(*index).map(Arc::clone));
        match self.sender.send(columns.collect()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::new(ErrorKind::Internal, "the hashing of columns stopped early")),
        }
    }

    /// The digests of the columns.
    pub(super) async fn finish(self) -> Result<Vec<ColumnDigest>> {
        drop(self.sender);
        self.task.join().await?
    }
}
