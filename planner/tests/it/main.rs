//! The planner over a real repository in memory: rows in, rows out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod catalog;
mod compaction;
mod ddl;
mod functions;
mod hostile;
mod ingest;
mod insert;
mod merge;
mod parameters;
mod parts;
mod plan_cache;
mod query;
mod rewrite;
mod sources;
mod substrait;
mod types;
mod upkeep;
