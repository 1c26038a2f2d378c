//! The `jetway` binary and the node as users see them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod accounts;
mod arrows;
mod command_line;
mod datasets;
mod harness;
mod ingest;
mod load;
mod node;
mod operations;
mod sql;
mod telemetry;
mod transfer;
