//! Record batches to Flight messages.
//!
//! ```text
//!  batches ──► split to the limit ──► wire types ──► small ones joined ──► IPC ──► channel of a few messages ──► gRPC
//!          └──────────────────────── in a task of its own ────────────────────┘
//! ```

use std::time::Duration;

mod message;
mod pack;
mod size;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use message::{MessageEncoder, StreamMessage, has_dictionaries};
pub(crate) use pack::{Packer, split};
pub(crate) use size::{Dictionaries, RowSizes, array_bytes};
pub(crate) use stream::{StreamTimes, encode_and_keep, encode_stream, record_stream};

/// Sizes of messages with rows, in bytes of encoded rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Small batches are joined until a message has about this size. Between 1 and 2 MiB the page faults of large buffers
    /// and the overhead of small messages are both low.
    pub target: usize,
    /// A message with more than one row is never larger than this.
    pub limit: usize,
    /// A row larger than this fails the stream; one between `limit` and this travels alone. Clients refuse messages of more
    /// than 16 MiB unless told otherwise.
    pub row_limit: usize,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self {
            target: 1024 * 1024,
            limit: 2 * 1024 * 1024,
            row_limit: 15 * 1024 * 1024,
        }
    }
}

impl StreamTimes {
    /// Joining small batches never holds rows back for longer than this.
    const LINGER: Duration = Duration::from_millis(5);
}
