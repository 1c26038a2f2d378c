//! The gateway over a real planner and a repository in memory, spoken to through gRPC.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may say what they take for granted"
)]

mod access;
mod cache;
mod fixture;
mod flow;
mod ingest;
mod listing;
mod prepared;
mod proof;
mod query;
mod raw;
mod session;
mod substrait;
mod transaction;
mod types;
mod update;
