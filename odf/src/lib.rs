//! The Open Data Fabric format: identities, metadata blocks, schemas, hashes, manifests, storage, its verification, and copies.

pub mod chain;
pub mod codec;
pub mod error;
pub mod hash;
pub mod identity;
pub mod manifest;
pub mod metadata;
pub mod proof;
pub mod schema;
pub mod storage;
pub mod transfer;
pub mod verify;

pub use error::{Error, ErrorKind, Result};
