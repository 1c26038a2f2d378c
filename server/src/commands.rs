//! What the command line can do, one file per command.

pub(crate) mod account;
pub(crate) mod config;
pub(crate) mod ingest;
pub(crate) mod list;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod sql;
pub(crate) mod token;
