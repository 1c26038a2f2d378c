//! Repositories: one suite for every kind of store, and what only one kind can show.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

pub(crate) mod blocks;
mod conformance;
mod crash;
mod garbage;
mod local;
mod lossy;
mod lost_answers;
pub(crate) mod s3;
pub(crate) mod weed;
