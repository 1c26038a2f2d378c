//! Processes that are killed while they commit. The test program starts itself as the process to kill.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use futures::TryStreamExt;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::MetadataEvent;
use jetway_odf::storage::{CommitOutcome, DatasetStorage, ObjectKind, ObjectSource, PendingObject};

use super::blocks;
use super::process::{Process, say};
use super::site::{Site, is_long};

const WRITERS: usize = 2;

fn id() -> DatasetId {
    DatasetId::seeded(b"crash")
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_writers_leave_a_whole_chain() {
    check(&Site::folder(), 30, Duration::from_millis(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_writers_leave_a_whole_chain_on_s3() {
    check(&Site::s3(), rounds(), Duration::from_millis(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_writers_leave_a_whole_chain_on_azure() {
    check(&Site::azure(), rounds(), Duration::from_millis(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_writers_leave_a_whole_chain_on_gcs() {
    check(&Site::gcs(), rounds(), Duration::from_millis(200)).await;
}

fn rounds() -> usize {
    if is_long() { 60 } else { 4 }
}

/// Kills writers at most `longest` after they began, `rounds` times.
async fn check(site: &Site, rounds: usize, longest: Duration) {
    let dataset = site
        .open()
        .await
        .create(id(), None, &[blocks::seed(&id())])
        .await
        .unwrap();
    let mut committed = HashSet::new();
    let mut checked = HashSet::new();
    // Kills that come before the first commit count, but there must be others.
    for round in 0.. {
        if round >= rounds && committed.len() >= rounds {
            break;
        }
        assert!(
            round < 20 * rounds,
            "the writers hardly get to commit: {} commits",
            committed.len()
        );
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| Process::start("storage::crash::writer", site))
            .collect();
        for writer in &writers {
            writer.wait_for("ready");
        }
        std::thread::sleep(longest.mul_f64(rand::random()));
        for writer in writers {
            committed.extend(
                writer
                    .kill()
                    .iter()
                    .filter_map(|line| Some(line.strip_prefix("committed ")?.parse::<Multihash>().unwrap())),
            );
        }

        // As a process sees it that starts after the crash.
        let dataset = site.open().await.dataset(id());
        let chain = blocks::chain(&dataset).await;
        let hashes: HashSet<Multihash> = chain.iter().map(|block| block.hash).collect();
        assert_eq!(chain.last().unwrap().block.sequence_number, 0);
        let lost: Vec<_> = committed.difference(&hashes).collect();
        assert!(
            lost.is_empty(),
            "round {round}: acknowledged, but not in the chain: {lost:?}"
        );
        for block in &chain {
            if checked.insert(block.hash) {
                check_data(&dataset, block).await;
            }
        }
    }
    let next = blocks::info(&blocks::chain(&dataset).await[0], "still works");
    let outcome = dataset
        .commit(next.block.prev_block_hash, std::slice::from_ref(&next), Vec::new())
        .await
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { head: next.hash });
}

async fn check_data(dataset: &DatasetStorage, block: &EncodedBlock) {
    let MetadataEvent::AddData(event) = &block.block.event else {
        return;
    };
    let slice = event.new_data.as_ref().unwrap();
    let object = dataset
        .open_object(ObjectKind::Data, &slice.physical_hash)
        .await
        .unwrap();
    let bytes: Vec<_> = object.bytes.try_collect().await.unwrap();
    assert_eq!(Multihash::sha3_256(&bytes.concat()), slice.physical_hash);
}

/// Not a test by itself: what [`check`] kills.
#[tokio::test(flavor = "multi_thread")]
async fn writer() {
    let Some(site) = Site::of_environment() else {
        return;
    };
    let dataset = site.open().await.dataset(id());
    let mut newest = newest(&dataset).await;
    say("ready");
    loop {
        let data = blocks::random_bytes(rand::random_range(1..5_000));
        let block = blocks::add_data(&newest, &data);
        let mut file = dataset.new_pending_file().await.unwrap();
        file.write_all(&data).unwrap();
        let object = PendingObject {
            kind: ObjectKind::Data,
            hash: Multihash::sha3_256(&data),
            source: ObjectSource::File {
                file,
                size: data.len() as u64,
            },
        };
        newest = match dataset
            .commit(Some(newest.hash), std::slice::from_ref(&block), vec![object])
            .await
            .unwrap()
        {
            CommitOutcome::Committed { head } => {
                assert_eq!(head, block.hash);
                say(&format!("committed {head}"));
                block
            }
            CommitOutcome::Conflict { .. } => self::newest(&dataset).await,
            CommitOutcome::Unchanged => panic!("a block was ignored"),
        };
    }
}

async fn newest(dataset: &DatasetStorage) -> EncodedBlock {
    let head = dataset.head().await.unwrap().unwrap();
    EncodedBlock::from_bytes(dataset.block(&head).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_goes_with_its_process() {
    let site = Site::folder();
    let seed = blocks::seed(&id());
    let dataset = site
        .open()
        .await
        .create(id(), None, std::slice::from_ref(&seed))
        .await
        .unwrap();
    let holder = Process::start("storage::crash::lock_holder", &site);
    holder.wait_for("locked");

    let block = blocks::info(&seed, "waiting");
    let mut commit = tokio::spawn({
        let (dataset, seed, block) = (dataset.clone(), seed.clone(), block.clone());
        async move { blocks::commit(&dataset, &seed, &block).await }
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut commit)
            .await
            .is_err(),
        "the lock was ignored"
    );
    // Readers do not wait.
    assert_eq!(dataset.head().await.unwrap(), Some(seed.hash));

    holder.kill();
    let outcome = tokio::time::timeout(Duration::from_secs(10), commit)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { head: block.hash });
}

/// Not a test by itself: what [`a_lock_goes_with_its_process`] kills.
#[test]
fn lock_holder() {
    let Some(site) = Site::of_environment() else {
        return;
    };
    let lock = File::create(PathBuf::from(site.location).join(id().to_multibase()).join(".lock")).unwrap();
    lock.lock().unwrap();
    say("locked");
    loop {
        std::thread::park();
    }
}
