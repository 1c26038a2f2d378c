//! Turns SQL and ingests into plans over datasets in object storage, and runs them in DataFusion.
//!
//! ```text
//!  SQL ──► plan ──► Statement ── execute ──► BatchStream          rows ──► ingest ──► slice ──► block ──► head
//!            │          │                                                    │
//!            └ names ───┴─ pinned heads ──────── DatasetCatalog ─────────────┘
//! ```
//!
//! Nothing here knows a protocol: `flight` and `control` call [`Planner`], and the control plane implements
//! [`DatasetCatalog`].

mod bounded;
mod bounds;
mod budget;
mod catalog;
mod clock;
mod compute;
mod ddl;
mod describe;
mod dialect;
mod error;
mod explain;
mod failure;
mod footers;
mod functions;
mod ingest;
mod insert;
mod merge;
mod modify;
mod name;
mod names;
mod parameters;
mod parse;
mod plan_cache;
mod planner;
mod policy;
mod preprocess;
mod progress;
mod prove;
mod read_index;
mod request;
mod resolve;
mod rewrite;
mod session;
mod spill;
mod spool;
mod statement;
mod statistics;
mod subject;
mod substrait;
mod summary;
mod system;
mod table;
mod transaction;
mod update;
mod view;

pub use budget::Usage;
pub use catalog::{Access, DatasetCatalog, DatasetEntry, PinnedDataset, View};
pub use clock::Clock;
pub use describe::{ForeignKey, TableDescription};
pub use error::{Error, ErrorKind, Result};
pub use ingest::{IdempotencyKey, IfExists, IfNotExists, IngestOutcome, IngestRequest, PullOptions, PullOutcome};
pub use name::{CATALOG, TableName};
pub use parameters::Prepared;
pub use plan_cache::{PlanCacheFigures, PlanCacheOptions};
pub use planner::{FunctionNames, Planner, PlannerOptions, SystemTable, TableEntry};
pub use prove::{Answer, Asked, Seal};
pub use read_index::CompactOutcome;
pub use request::{PlanRequest, Query, SessionOptions};
pub use rewrite::{Rewrite, RewriteOutcome};
pub use statement::{BatchStream, Part, Pin, Statement};
pub use subject::Subject;
pub use substrait::{check_substrait_version, substrait_versions};
pub use system::{SYSTEM_SCHEMA, SystemTableSource};
pub use transaction::{TransactionId, TransactionOptions, TransactionOutcome};
pub use update::{Update, UpdateOutcome};
