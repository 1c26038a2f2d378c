//! Where datasets live: a repository of datasets in a folder or a bucket, and the commit that moves one forward.
//!
//! ```text
//! repository (file:///data, s3://bucket/prefix, az://container/prefix, gs://bucket/prefix, memory:)
//! ├── fed01...                     one folder for each dataset, named by its DID
//! │   ├── blocks/f1620...          metadata blocks  ┐
//! │   ├── data/f1620...            Parquet slices   ├ named by the SHA3-256 of their bytes, never changed
//! │   ├── checkpoints/f1620...     engine state     ┘
//! │   ├── refs/head                hash of the newest block: the only thing that moves
//! │   ├── info/alias               the name for people
//! │   ├── cache/                   what can be made again from the rest, see [`DerivedStore`]
//! │   ├── .pending-<random>        a file being written (file systems only)
//! │   ├── .partial-<name>          the first part of an object that is being received (file systems only)
//! │   └── .lock                    held while refs/head moves (file systems only)
//! └── .jetway/                     what belongs to no dataset, such as views, see [`Repository::note`]
//! ```
//!
//! A commit first makes every object and block durable under its hash, which nobody can see yet, and then moves
//! `refs/head` from the block that the commit builds on to the newest one, or finds that somebody else was faster:
//!
//! ```text
//!            file system                                           object store
//! 1  write and fsync slice, blocks and the new head's text,     PUT slice and blocks at once; GET refs/head
//!    all at once, under pending names
//! 2  rename slice and blocks; fsync their folders at once
//! 3  lock, compare, rename the head's text over refs/head,      PUT refs/head, if it is still the one that was read
//!    fsync its folder, unlock
//! ```
//!
//! A process that dies on the way leaves the dataset as it was, and at most objects that no block names. A dataset
//! without a readable `refs/head` does not exist, whatever else is in its folder.

mod cloud;
mod commit;
mod dataset;
mod derived;
mod gc;
mod head;
mod insert;
mod layout;
mod local;
mod notes;
mod options;
mod pending;
mod read_only;
mod remote;
mod repository;
mod scratch;

pub use cloud::{AzureOptions, GcsOptions, S3Options};
pub use commit::CommitOutcome;
pub use dataset::{DatasetStorage, ObjectStream};
pub use derived::DerivedStore;
pub use gc::{Garbage, GarbageOptions, GarbageReport, LeftAlone, MIN_GRACE};
pub use head::HeadSwap;
pub(crate) use layout::parse_head;
pub use layout::{NamedObject, ObjectKind};
pub use options::RepositoryOptions;
pub use pending::{ObjectSource, PendingFile, PendingObject};
pub use repository::Repository;
pub use scratch::ScratchStore;

#[cfg(test)]
mod tests;
