//! Where rows come from: fetches what data owners publish, unpacks it and reads it as Arrow batches.
//!
//! ```text
//!  FetchStep ──► fetch ──► Input ──► prepare ──► Input ──► read ──► RowStream
//!  (url, files)            (bytes)   (gzip, zip)           (csv, json, parquet, ...)
//! ```
//!
//! Nothing here knows a dataset or a query engine: steps come from the metadata of a source, rows go to whoever asked.

mod error;
mod fetch;
mod input;
mod prepare;
mod read;
mod rows;
mod template;

pub use error::{Error, ErrorKind, Result};
pub use fetch::{FetchOptions, Fetched, FetchedFile, fetch};
pub use input::{Content, Input};
pub use prepare::prepare;
pub use read::{Format, ReadOptions, common_schema, read, read_as};
pub use rows::RowStream;
