mod physical;
mod random;
mod samples;
mod vectors;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_digest::{RecordDigest, RecordDigestV0};
use sha3::Sha3_256;

use crate::hash::{ColumnHasher, LogicalHasher};
use crate::identity::Multihash;

/// The hash by this crate, fed with the batches as they are.
fn ours(schema: &Schema, batches: &[RecordBatch]) -> Multihash {
    let mut hasher = LogicalHasher::new(schema).unwrap();
    batches.iter().for_each(|batch| hasher.update(batch).unwrap());
    hasher.finish().unwrap()
}

/// The hash by this crate, one column at a time and from the last to the first.
fn ours_by_column(schema: &Schema, batches: &[RecordBatch]) -> Multihash {
    let (hash, columns) = LogicalHasher::new(schema).unwrap().split();
    let digests = columns.into_iter().rev().map(|mut column: ColumnHasher| {
        batches
            .iter()
            .for_each(|batch| column.update(batch.column(column.index())).unwrap());
        column.finish().unwrap()
    });
    hash.finish(digests).unwrap()
}

/// The hash by the original.
fn original(schema: &Schema, batches: &[RecordBatch]) -> Multihash {
    let mut hasher = RecordDigestV0::<Sha3_256>::new(schema);
    batches.iter().for_each(|batch| hasher.update(batch));
    Multihash::arrow0_sha3_256(hasher.finalize().into())
}
