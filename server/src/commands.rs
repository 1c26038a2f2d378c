//! What the command line can do, one file per command.

pub(crate) mod account;
pub(crate) mod add;
pub(crate) mod compact;
pub(crate) mod config;
pub(crate) mod delete;
pub(crate) mod gc;
pub(crate) mod identity;
pub(crate) mod ingest;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod queries;
pub(crate) mod reindex;
pub(crate) mod rename;
pub(crate) mod reset;
pub(crate) mod serve;
pub(crate) mod set_watermark;
pub(crate) mod settings;
pub(crate) mod sql;
pub(crate) mod tail;
pub(crate) mod token;
pub(crate) mod verify;
pub(crate) mod verify_query;
