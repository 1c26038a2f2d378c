//! Values of parameters between the call that binds them and the call that runs the statement.
//!
//! They travel in the handle that the bind answers with, and then in the ticket, so that any replica can go on. Clients that
//! were written before handles could change run the handle that they have: for them the values wait here for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use bytes::Bytes;
use futures::StreamExt;
use jetway_planner::BatchStream;

use crate::ticket::TicketTag;
use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// Most bytes of values in a handle: it travels in every call, and clients take messages of a few MiB.
pub(crate) const MAX_BOUND_BYTES: usize = 1024 * 1024;

/// The rows as an Arrow IPC stream; none if there are no columns, that is, if nothing is bound.
///
/// # Errors
/// `ResourceExhausted` for more than [`MAX_BOUND_BYTES`]; what the rows fail with.
pub(crate) async fn encode(mut rows: BatchStream) -> Result<Option<Bytes>> {
    let schema = rows.schema();
    let unwritten = |error| Error::internal("parameters cannot be encoded").with_source(error);
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(unwritten)?;
    while let Some(batch) = rows.next().await {
        writer.write(&batch?).map_err(unwritten)?;
        if writer.get_ref().len() > MAX_BOUND_BYTES {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "the values that are bound take more than {MAX_BOUND_BYTES} bytes: bind fewer rows at a time, or ingest them \
                     into a dataset and join it"
                ),
            ));
        }
    }
    writer.finish().map_err(unwritten)?;
    let bytes = writer.into_inner().map_err(unwritten)?;
    Ok((!schema.fields().is_empty()).then(|| bytes.into()))
}

/// Rows that were decoded from a handle, for the ticket.
pub(crate) fn encode_batch(rows: &RecordBatch) -> Result<Bytes> {
    let unwritten = |error| Error::internal("parameters cannot be encoded").with_source(error);
    let mut writer = StreamWriter::try_new(Vec::new(), rows.schema_ref()).map_err(unwritten)?;
    writer.write(rows).map_err(unwritten)?;
    writer.finish().map_err(unwritten)?;
    Ok(writer.into_inner().map_err(unwritten)?.into())
}

/// The rows of a handle or a ticket, which we wrote.
pub(crate) fn decode(bytes: &Bytes) -> Result<RecordBatch> {
    let unread = |error| Error::internal("the parameters of a ticket cannot be read").with_source(error);
    let reader = StreamReader::try_new(bytes.as_ref(), None).map_err(unread)?;
    let schema = reader.schema();
    let batches = reader.collect::<std::result::Result<Vec<_>, _>>().map_err(unread)?;
    concat_batches(&schema, &batches).map_err(unread)
}

/// Values that were bound to a handle not long ago, for clients that run the handle which they bound to. They are on this
/// node only, so such clients need to come back to it.
#[derive(Debug)]
pub(crate) struct BoundParameters {
    max_bytes: usize,
    max_age: Duration,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// The signature of a handle is as good as the handle, and the handle is its owner's alone.
    by_handle: HashMap<TicketTag, (Instant, Bytes)>,
    bytes: usize,
}

impl BoundParameters {
    pub(crate) fn new(max_bytes: usize, max_age: Duration) -> Self {
        Self {
            max_bytes,
            max_age,
            entries: Mutex::default(),
        }
    }

    /// Keeps what was bound last.
    pub(crate) fn insert(&self, handle: TicketTag, values: Bytes) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&handle);
        entries.evict(self.max_bytes.saturating_sub(values.len()), self.max_age);
        if values.len() <= self.max_bytes {
            entries.bytes += values.len();
            entries.by_handle.insert(handle, (Instant::now(), values));
        }
    }

    pub(crate) fn get(&self, handle: &TicketTag) -> Option<Bytes> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (bound, values) = entries.by_handle.get(handle)?;
        (bound.elapsed() <= self.max_age).then(|| values.clone())
    }

    pub(crate) fn remove(&self, handle: &TicketTag) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(handle);
    }
}

impl Entries {
    fn remove(&mut self, handle: &TicketTag) {
        if let Some((_, values)) = self.by_handle.remove(handle) {
            self.bytes -= values.len();
        }
    }

    fn evict(&mut self, keep: usize, max_age: Duration) {
        if self.bytes <= keep {
            return;
        }
        // The oldest go first, and all that are too old.
        let mut ages: Vec<_> = self
            .by_handle
            .iter()
            .map(|(handle, (bound, _))| (*bound, *handle))
            .collect();
        ages.sort_unstable();
        for (bound, handle) in ages {
            if self.bytes <= keep && bound.elapsed() <= max_age {
                break;
            }
            self.remove(&handle);
        }
    }
}
