//! The gateway over a real planner and a repository in memory, spoken to through gRPC.

mod access;
mod fixture;
mod ingest;
mod listing;
mod query;
