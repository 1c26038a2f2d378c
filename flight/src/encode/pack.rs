//! Batches of a good size for messages: large ones split, small ones joined.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;

use super::{Dictionaries, MessageLimits, RowSizes, has_dictionaries};
use crate::wire::cast_batch;
use crate::{Error, ErrorKind, Result};

/// Takes batches as a plan makes them, and gives batches with the wire schema, each fit for one message, in the same order.
#[derive(Debug)]
pub(crate) struct Packer {
    schema: SchemaRef,
    limits: MessageLimits,
    ready: Vec<RecordBatch>,
    waiting: Vec<RecordBatch>,
    waiting_bytes: usize,
    dictionaries: Dictionaries,
}

impl Packer {
    pub(crate) fn new(schema: SchemaRef, limits: MessageLimits) -> Self {
        let kept = has_dictionaries(&schema);
        Self {
            schema,
            limits,
            ready: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            dictionaries: if kept {
                Dictionaries::Kept
            } else {
                Dictionaries::Hydrated
            },
        }
    }

    /// Takes a batch; afterwards [`Self::take_ready`] may have some.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let recast = batch.schema_ref() != &self.schema;
        for piece in self.split(batch)? {
            let piece = cast_batch(&piece, &self.schema)?;
            let bytes = RowSizes::new(&piece, self.dictionaries).message(0, piece.num_rows());
            if recast && bytes > self.limits.limit {
                // What a row takes is known exactly only now.
                for piece in self.split(&piece)? {
                    let piece = cast_batch(&piece, &self.schema)?;
                    let bytes = RowSizes::new(&piece, self.dictionaries).message(0, piece.num_rows());
                    self.place(piece, bytes)?;
                }
            } else {
                self.place(piece, bytes)?;
            }
        }
        Ok(())
    }

    fn split(&self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        split(batch, self.limits.limit, self.limits.row_limit, self.dictionaries)
    }

    fn place(&mut self, batch: RecordBatch, bytes: usize) -> Result<()> {
        // Joining copies. From a quarter of the target on, a message of its own costs less. Dictionaries that are joined could have
        // more values than their keys can count.
        if bytes >= self.limits.target / 4 || self.dictionaries == Dictionaries::Kept {
            self.flush()?;
            self.ready.push(batch);
            return Ok(());
        }
        if self.waiting_bytes + bytes > self.limits.limit {
            self.flush()?;
        }
        self.waiting.push(batch);
        self.waiting_bytes += bytes;
        if self.waiting_bytes >= self.limits.target {
            self.flush()?;
        }
        Ok(())
    }

    /// Whether small batches wait for more.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Makes everything that waits ready.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.waiting_bytes = 0;
        let joined = match self.waiting.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            many => concat_batches(&self.schema, many)
                .map_err(|error| Error::internal("small batches cannot be joined").with_source(error))?,
        };
        self.waiting.clear();
        self.ready.push(joined);
        Ok(())
    }

    /// The batches that are fit to be sent.
    pub(crate) fn take_ready(&mut self) -> Vec<RecordBatch> {
        std::mem::take(&mut self.ready)
    }

    #[cfg(test)]
    pub(crate) fn dictionaries(&self) -> Dictionaries {
        self.dictionaries
    }

    /// The schema of what comes out.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Slices of a batch, each of at most `limit` bytes on the wire, or of one row of at most `row_limit`.
pub(crate) fn split(
    batch: &RecordBatch,
    limit: usize,
    row_limit: usize,
    dictionaries: Dictionaries,
) -> Result<Vec<RecordBatch>> {
    let sizes = RowSizes::new(batch, dictionaries);
    let total = batch.num_rows();
    let bytes = sizes.message(0, total);
    if bytes <= limit {
        return Ok(vec![batch.clone()]);
    }
    // Start with what an average row suggests, then halve: a few slices of uneven rows cost little.
    let usual = (limit / (bytes / total.max(1)).max(1)).clamp(1, total.max(1));
    let mut slices = Vec::with_capacity(total / usual + 1);
    let mut start = 0;
    while start < total {
        let mut rows = usual.min(total - start);
        let mut bytes = sizes.message(start, rows);
        while bytes > limit && rows > 1 {
            rows = rows.div_ceil(2);
            bytes = sizes.message(start, rows);
        }
        if bytes > limit.max(row_limit) {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "one row of the result takes {bytes} bytes, more than the {row_limit} that fit into a message; select \
                     fewer columns or cut long values, for example with left()"
                ),
            ));
        }
        slices.push(batch.slice(start, rows));
        start += rows;
    }
    Ok(slices)
}
