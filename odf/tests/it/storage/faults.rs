//! Whatever happens on the way to a store, requests succeed or say that they can be tried again, and trying again works.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::MetadataEvent;
use jetway_odf::storage::{CommitOutcome, DatasetStorage, ObjectKind, PendingObject, Repository};
use jetway_odf::{Error, ErrorKind};
use object_store::memory::InMemory;

use super::blocks;
use super::faulty::FaultyStore;
use super::site::is_long;

const WRITERS: u64 = 4;
const SHARE: f64 = 0.1;

fn id() -> DatasetId {
    DatasetId::seeded(b"faults")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_or_doubled() {
    let seeds = if is_long() { 100 } else { 6 };
    for seed in 0..seeds {
        check(seed).await;
    }
}

async fn check(seed: u64) {
    let stored: Arc<InMemory> = Arc::default();
    let calm = repository(&FaultyStore::random(Arc::clone(&stored), seed, 0.0));
    let created = calm.create(id(), None, &[blocks::seed(&id())]).await.unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = FaultyStore::random(Arc::clone(&stored), seed * WRITERS + writer, SHARE);
        async move { write(&repository(&store).dataset(id()), writer).await }
    });
    let mut pushed = BTreeMap::new();
    for written in join_all(writers).await {
        pushed.extend(written);
    }

    let chain = blocks::chain(&created).await;
    let mut found = BTreeMap::new();
    for block in &chain[..chain.len() - 1] {
        let MetadataEvent::AddData(event) = &block.block.event else {
            panic!("a block of somebody else")
        };
        let hash = event.new_data.as_ref().unwrap().physical_hash;
        let bytes = created.open_object(ObjectKind::Data, &hash).await.unwrap().bytes;
        let bytes: Vec<Bytes> = bytes.try_collect().await.unwrap();
        let doubled = found.insert(hash, Bytes::from(bytes.concat()));
        assert!(doubled.is_none(), "seed {seed}: a slice is in the chain twice");
    }
    assert!(
        found == pushed,
        "seed {seed}: {} slices instead of {}",
        found.len(),
        pushed.len()
    );

    // What is read through the faults is the same.
    let faulty = repository(&FaultyStore::random(stored, seed, SHARE));
    let dataset = faulty.dataset(id());
    for (hash, bytes) in &pushed {
        let read = retry(seed, async || {
            let object = dataset.open_object(ObjectKind::Data, hash).await?;
            let pieces: Vec<Bytes> = object.bytes.try_collect().await?;
            Ok(Bytes::from(pieces.concat()))
        });
        assert!(read.await == *bytes, "seed {seed}: an object has other bytes");
        let part = retry(seed, async || {
            dataset.read_object_range(ObjectKind::Data, hash, 1..u64::MAX).await
        })
        .await;
        assert!(part == bytes[1..], "seed {seed}: a part of an object has other bytes");
    }
    for block in &chain {
        assert_eq!(
            retry(seed, async || dataset.block(&block.hash).await).await,
            block.bytes
        );
    }
    for _ in 0..20 {
        let listed: Vec<DatasetId> = retry(seed, async || faulty.list().try_collect().await).await;
        assert_eq!(listed, [id()]);
    }
}

/// Appends slices, one of them in parts; gives what it has appended.
async fn write(dataset: &DatasetStorage, writer: u64) -> BTreeMap<Multihash, Bytes> {
    let mut pushed = BTreeMap::new();
    for number in 0..8 {
        let large = writer == 0 && number == 3;
        let data = blocks::random_bytes(if large { 9 << 20 } else { 500 });
        append(dataset, writer, &data).await;
        pushed.insert(Multihash::sha3_256(&data), data);
    }
    pushed
}

async fn append(dataset: &DatasetStorage, writer: u64, data: &Bytes) {
    let mut newest = retry(writer, async || dataset.head().await).await.unwrap();
    loop {
        let prev = retry(writer, async || dataset.block(&newest).await).await;
        let block = blocks::add_data(&EncodedBlock::from_bytes(prev).unwrap(), data);
        let outcome = retry(writer, async || {
            let object = PendingObject {
                kind: ObjectKind::Data,
                hash: Multihash::sha3_256(data),
                source: data.clone().into(),
            };
            dataset
                .commit(Some(newest), std::slice::from_ref(&block), vec![object])
                .await
        });
        match outcome.await {
            CommitOutcome::Committed { head } => return assert_eq!(head, block.hash),
            CommitOutcome::Conflict { actual } => newest = actual.unwrap(),
            CommitOutcome::Unchanged => panic!("a block was ignored"),
        }
    }
}

/// Tries until it works. Each failure must say that trying again makes sense.
async fn retry<T>(seed: u64, attempt: impl AsyncFn() -> Result<T, Error>) -> T {
    // Nothing here repeats single requests, as the clients of real stores do.
    for _ in 0..200 {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(
                error.kind() == ErrorKind::Storage && error.is_retryable(),
                "seed {seed}: {error:?}"
            ),
        }
    }
    panic!("seed {seed}: nothing gets through")
}

fn repository(store: &Arc<FaultyStore>) -> Repository {
    Repository::from_store("faulty://store".parse().unwrap(), Arc::clone(store) as _).unwrap()
}
