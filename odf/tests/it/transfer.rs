//! Copies of datasets: through every kind of place, over bad connections, and from servers that lie.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod faults;
mod identical;
mod liars;
mod long;
mod relations;
mod server;

use std::time::Duration;

use jetway_odf::Result;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::storage::{DatasetStorage, ObjectKind, PendingObject, Repository, RepositoryOptions};
use jetway_odf::transfer::{
    CopyOptions, CopyOutcome, CopyStats, Place, RemoteDataset, RemoteOptions, RetryPolicy, copy,
};

use crate::storage::blocks;

async fn memory() -> Repository {
    Repository::open("memory:", &RepositoryOptions::default())
        .await
        .unwrap()
}

async fn folder(path: &std::path::Path) -> Repository {
    Repository::open(path.to_str().unwrap(), &RepositoryOptions::default())
        .await
        .unwrap()
}

fn remote(server: &server::FileServer) -> Place {
    Place::Remote(RemoteDataset::open(&server.url(), &RemoteOptions::default()).unwrap())
}

/// Short pauses; chains whose events make no sense are fine.
fn lenient() -> CopyOptions {
    CopyOptions {
        validate: false,
        ..strict()
    }
}

fn strict() -> CopyOptions {
    CopyOptions {
        retry: RetryPolicy {
            attempts: 3,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(2),
        },
        ..CopyOptions::default()
    }
}

async fn run(source: &Place, target: &Place, options: &CopyOptions) -> Result<CopyOutcome> {
    copy(source, target, options, &|_| {}).await
}

/// What was moved by a copy that must have moved the head.
fn moved(outcome: &CopyOutcome) -> CopyStats {
    match outcome {
        CopyOutcome::Copied { stats, .. } => *stats,
        other => panic!("{other:?}"),
    }
}

/// A dataset of a Seed and one slice with those bytes, which are no Parquet file.
async fn with_object(repository: &Repository, bytes: bytes::Bytes) -> (DatasetStorage, EncodedBlock) {
    let (dataset, seed) = blocks::create(repository).await;
    let block = blocks::add_data(&seed, &bytes);
    let object = PendingObject {
        kind: ObjectKind::Data,
        hash: jetway_odf::identity::Multihash::sha3_256(&bytes),
        source: bytes.into(),
    };
    let _committed = dataset
        .commit(Some(seed.hash), std::slice::from_ref(&block), vec![object])
        .await
        .unwrap();
    (dataset, block)
}
