//! The Open Data Fabric format: identities, metadata blocks, schemas, hashes and storage.

pub mod chain;
pub mod codec;
pub mod error;
pub mod hash;
pub mod identity;
pub mod metadata;
pub mod schema;
pub mod storage;

pub use error::{Error, ErrorKind, Result};
