//! Hashes of data: of a file's bytes, and of the records in it.

mod keccak;
mod logical;
mod physical;
mod sponge;

pub use logical::{ColumnDigest, ColumnHasher, LogicalHash, LogicalHasher, STRUCT_BATCH_ROWS, check_hashable};
pub use physical::{HashedFile, HashingWriter};

#[cfg(test)]
mod tests;
