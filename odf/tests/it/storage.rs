//! Repositories: one suite for every kind of store, and what only one kind can show.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod azurite;
pub(crate) mod blocks;
mod conformance;
mod contention;
mod crash;
mod faults;
pub(crate) mod faulty;
mod garbage;
mod gcs;
mod local;
mod lost_answers;
mod process;
mod server;
pub(crate) mod site;
mod stores;
mod weed;
mod workspace;
