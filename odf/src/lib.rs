//! The Open Data Fabric format: identities, metadata blocks, schemas, hashes and storage.

pub mod codec;
pub mod error;
pub mod identity;
pub mod metadata;
pub mod storage;

pub use error::{Error, ErrorKind, Result};
