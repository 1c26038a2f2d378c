//! The logical hash of records: the same for the same values, however they are encoded, compressed or cut into batches.
//!
//! This is version 0 of the `arrow-digest` algorithm with SHA3-256. Every leaf column (one that is not a struct) has a
//! digest of its own over its type and its values; the hash of the records is the hash of all column names and nesting
//! levels, followed by the digests of the leaves:
//!
//! ```text
//! H( name, level | name, level | ... | H(type, values of leaf 1) | H(type, values of leaf 2) | ... )
//! ```
//!
//! Leaves do not depend on each other, so columns can be hashed side by side on one core, see [`ColumnHasher::update_all`], and on several
//! cores, see [`LogicalHasher::split`].
//!
//! Structs have a peculiarity: whether a value under a null counts as null depends on the nulls of the whole batch. Other
//! implementations feed what a Parquet reader gives them in batches of 10 000 rows, so struct columns are cut at the same
//! rows here, whatever the batches of the caller are. What lies *under* a null must be what a Parquet reader gives, too:
//! the hash of a struct column with nulls is to be taken from the file that was written.

mod column;
mod leaf;
mod types;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Fields, Schema};
use sha3::{Digest, Sha3_256};

pub use column::{ColumnDigest, ColumnHasher, STRUCT_BATCH_ROWS};
pub use types::check_hashable;

use crate::error::{Error, Result};
use crate::identity::Multihash;

/// Hashes record batches, column after column.
#[derive(Debug, Clone)]
pub struct LogicalHasher {
    hash: LogicalHash,
    columns: Vec<ColumnHasher>,
}

impl LogicalHasher {
    /// Starts a hash over records of the schema. Of string, binary and list types any variant may be fed later.
    ///
    /// # Errors
    /// `Unsupported`, naming the column, if the algorithm does not know its type: see [`check_hashable`].
    pub fn new(schema: &Schema) -> Result<Self> {
        let mut names = Sha3_256::new();
        hash_names(schema.fields(), 0, &mut names);
        let columns = schema.fields().iter().enumerate();
        let columns = columns
            .map(|(index, field)| ColumnHasher::new(index, field))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            hash: LogicalHash {
                names,
                columns: columns.len(),
            },
            columns,
        })
    }

    /// Feeds a batch.
    ///
    /// # Errors
    /// `Unsupported` if the batch is not of the schema.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        ColumnHasher::update_all(&mut self.columns, batch.columns())
    }

    /// The hash of all records so far.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn finish(self) -> Result<Multihash> {
        let digests = self
            .columns
            .into_iter()
            .map(ColumnHasher::finish)
            .collect::<Result<Vec<_>>>()?;
        self.hash.finish(digests)
    }

    /// Takes the hasher apart, so that columns can be fed on several threads. Every column must be fed all rows in
    /// order; then its digest goes into [`LogicalHash::finish`].
    #[must_use]
    pub fn split(self) -> (LogicalHash, Vec<ColumnHasher>) {
        (self.hash, self.columns)
    }
}

/// The hash over the columns' names, waiting for the digests of the columns.
#[derive(Debug, Clone)]
pub struct LogicalHash {
    names: Sha3_256,
    columns: usize,
}

impl LogicalHash {
    /// Puts the digests of all columns together; their order does not matter.
    ///
    /// # Errors
    /// `Unsupported` if a column is missing or there twice.
    pub fn finish(self, digests: impl IntoIterator<Item = ColumnDigest>) -> Result<Multihash> {
        let mut digests: Vec<ColumnDigest> = digests.into_iter().collect();
        digests.sort_by_key(ColumnDigest::index);
        if !digests.iter().map(ColumnDigest::index).eq(0..self.columns) {
            return Err(Error::unsupported(
                "the digests are not those of all columns of the schema",
            ));
        }
        let mut hasher = self.names;
        for leaf in digests.iter().flat_map(ColumnDigest::leaves) {
            hasher.update(leaf);
        }
        Ok(Multihash::arrow0_sha3_256(hasher.finalize().into()))
    }
}

fn hash_names(fields: &Fields, level: u64, hasher: &mut Sha3_256) {
    for field in fields {
        hasher.update((field.name().len() as u64).to_le_bytes());
        hasher.update(field.name());
        hasher.update(level.to_le_bytes());
        if let DataType::Struct(children) = field.data_type() {
            hash_names(children, level + 1, hasher);
        }
    }
}
