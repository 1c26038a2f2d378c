//! The Open Data Fabric format: identities, metadata blocks, schemas, hashes and storage.

pub mod error;
pub mod identity;
pub mod metadata;

pub use error::{Error, ErrorKind, Result};
