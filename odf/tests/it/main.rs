//! What the crate's users see, tested as they see it.

mod datasets;
mod storage;
mod transfer;
