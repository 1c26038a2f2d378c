//! Many writers in several processes at one dataset: each commit is in the chain, once.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use futures::future::join_all;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::MetadataEvent;
use jetway_odf::storage::{CommitOutcome, DatasetStorage, ObjectKind, PendingObject};

use super::blocks;
use super::process::{Process, say};
use super::site::{Site, is_long};

const PROCESSES: usize = 4;
const WRITERS: usize = 4;

fn id() -> DatasetId {
    DatasetId::seeded(b"contention")
}

fn commits() -> usize {
    if is_long() { 25 } else { 2 }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_folder() {
    check(&Site::folder()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_s3() {
    check(&Site::s3()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_azure() {
    check(&Site::azure()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_gcs() {
    check(&Site::gcs()).await;
}

async fn check(site: &Site) {
    let dataset = site
        .open()
        .await
        .create(id(), None, &[blocks::seed(&id())])
        .await
        .unwrap();
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| Process::start("storage::contention::writers", site))
        .collect();
    let lines: Vec<String> = processes.into_iter().flat_map(Process::finish).collect();
    let told: Vec<Multihash> = lines
        .iter()
        .filter_map(|line| Some(line.strip_prefix("committed ")?.parse().unwrap()))
        .collect();
    let committed: BTreeSet<_> = told.iter().copied().collect();
    assert_eq!(told.len(), PROCESSES * WRITERS * commits());
    assert_eq!(committed.len(), told.len(), "two writers were told of the same block");

    let chain = blocks::chain(&dataset).await;
    let numbers: Vec<_> = chain.iter().rev().map(|block| block.block.sequence_number).collect();
    assert_eq!(numbers, (0..chain.len() as u64).collect::<Vec<_>>());
    let (seed, appended) = chain.split_last().unwrap();
    assert_eq!(*seed, blocks::seed(&id()));
    assert_eq!(
        appended.iter().map(|block| block.hash).collect::<BTreeSet<_>>(),
        committed
    );
    // What was pushed is there, and no more of it.
    let mut slices = BTreeSet::new();
    for block in appended {
        let MetadataEvent::AddData(event) = &block.block.event else {
            panic!("a block of somebody else")
        };
        let hash = event.new_data.as_ref().unwrap().physical_hash;
        assert!(slices.insert(hash), "a slice was appended twice");
        let object = dataset.open_object(ObjectKind::Data, &hash).await.unwrap();
        let bytes: Vec<_> = object.bytes.try_collect().await.unwrap();
        assert_eq!(Multihash::sha3_256(&bytes.concat()), hash);
    }
}

/// Not a test by itself: one of the processes of [`check`].
#[tokio::test(flavor = "multi_thread")]
async fn writers() {
    let Some(site) = Site::of_environment() else {
        return;
    };
    let dataset = site.open().await.dataset(id());
    join_all((0..WRITERS).map(|_| async {
        for _ in 0..commits() {
            say(&format!("committed {}", append(&dataset).await));
        }
    }))
    .await;
}

/// Appends a slice of its own, however often others are faster.
async fn append(dataset: &DatasetStorage) -> Multihash {
    let data = blocks::random_bytes(2_000);
    let mut newest = dataset.head().await.unwrap().unwrap();
    loop {
        let prev = EncodedBlock::from_bytes(dataset.block(&newest).await.unwrap()).unwrap();
        let block = blocks::add_data(&prev, &data);
        let object = PendingObject {
            kind: ObjectKind::Data,
            hash: Multihash::sha3_256(&data),
            source: data.clone().into(),
        };
        match dataset.commit(Some(newest), &[block], vec![object]).await.unwrap() {
            CommitOutcome::Committed { head } => return head,
            CommitOutcome::Conflict { actual } => newest = actual.unwrap(),
            CommitOutcome::Unchanged => panic!("a block was ignored"),
        }
    }
}
