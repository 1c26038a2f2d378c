//! The planner over a real repository in memory: rows in, rows out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod catalog;
mod compaction;
mod ddl;
mod docs;
mod functions;
mod hostile;
mod ingest;
mod insert;
mod merge;
mod modify;
mod parameters;
mod parts;
mod plan_cache;
mod query;
mod rewrite;
mod sources;
mod substrait;
mod time_travel;
mod types;
mod upkeep;
mod views;
