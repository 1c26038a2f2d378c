//! What every repository does, whatever it is made of. The backends call [`check`].

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, TryStreamExt};
use jetway_odf::codec::MAX_BLOCK_SIZE;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::{AddData, Checkpoint, MetadataEvent};
use jetway_odf::storage::{
    CommitOutcome, DatasetStorage, HeadSwap, ObjectKind, ObjectSource, PendingObject, Repository,
};
use jetway_odf::{ErrorKind, storage::RepositoryOptions};
use object_store::{ObjectStoreExt, path::Path};

use super::blocks;
use super::garbage::{
    a_chain_with_a_hole_has_no_garbage, a_short_grace_period_is_refused, links_that_cannot_be_read_keep_everything,
    what_no_block_names_is_garbage, what_rows_link_to_is_no_garbage,
};

type Case = fn(Repository) -> BoxFuture<'static, ()>;

macro_rules! cases {
    ($($name:ident)*) => {
        const CASES: &[(&str, Case)] = &[$((stringify!($name), |repository| $name(repository).boxed())),*];
    };
}

cases! {
    a_head_moves_only_from_the_expected_block
    one_of_many_writers_wins_each_generation
    a_swap_can_be_repeated
    a_head_needs_its_block
    a_damaged_head_is_an_error
    putting_twice_is_putting_once
    wrong_bytes_are_refused
    damaged_blocks_are_detected
    what_is_not_there_is_not_found
    large_objects_from_files_and_memory
    ranges_of_objects
    pending_files_disappear
    commits_move_everything_at_once
    commits_are_checked
    commits_of_many_blocks
    creating_needs_a_free_place
    listing_skips_garbage
    deleting_removes_everything
    aliases_are_kept
    stores_can_be_registered
    what_no_block_names_is_garbage
    a_short_grace_period_is_refused
    a_chain_with_a_hole_has_no_garbage
    what_rows_link_to_is_no_garbage
    links_that_cannot_be_read_keep_everything
}

/// Runs every case, each on a repository of its own.
pub(crate) async fn check<F: Future<Output = Repository>>(new_repository: impl Fn() -> F) {
    for (name, case) in CASES {
        // The test harness shows it when a case fails.
        println!("case {name}");
        case(new_repository().await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    check(|| async {
        Repository::open("memory:", &RepositoryOptions::default())
            .await
            .unwrap()
    })
    .await;
}

async fn a_head_moves_only_from_the_expected_block(repository: Repository) {
    let id = blocks::new_id();
    let dataset = repository.create_dataset(id).await.unwrap();
    let seed = blocks::seed(&id);
    let next = blocks::info(&seed, "next");
    for block in [&seed, &next] {
        dataset.put_block(block.hash, block.bytes.clone()).await.unwrap();
    }
    let swap = async |expected, new| dataset.compare_and_swap_head(expected, new).await.unwrap();

    assert_eq!(dataset.head().await.unwrap(), None);
    assert_eq!(
        swap(Some(seed.hash), next.hash).await,
        HeadSwap::Conflict { actual: None }
    );
    assert_eq!(swap(None, seed.hash).await, HeadSwap::Swapped);
    assert_eq!(dataset.head().await.unwrap(), Some(seed.hash));
    assert_eq!(
        swap(None, next.hash).await,
        HeadSwap::Conflict {
            actual: Some(seed.hash)
        }
    );
    assert_eq!(swap(Some(seed.hash), next.hash).await, HeadSwap::Swapped);
    // Back, as a reset does.
    assert_eq!(swap(Some(next.hash), seed.hash).await, HeadSwap::Swapped);
    assert_eq!(dataset.head().await.unwrap(), Some(seed.hash));

    let raw = dataset
        .store()
        .get(&Path::from(format!("{}/refs/head", id.to_multibase())))
        .await
        .unwrap();
    assert_eq!(raw.bytes().await.unwrap(), seed.hash.to_string().as_bytes());
}

async fn one_of_many_writers_wins_each_generation(repository: Repository) {
    const WRITERS: usize = 16;
    const GENERATIONS: usize = 3;
    let (dataset, mut newest) = blocks::create(&repository).await;
    for generation in 0..GENERATIONS {
        let start = Arc::new(tokio::sync::Barrier::new(WRITERS));
        let writers = (0..WRITERS).map(|writer| {
            let (dataset, newest, start) = (dataset.clone(), newest.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                let block = blocks::info(&newest, &format!("{generation} {writer}"));
                start.wait().await;
                (blocks::commit(&dataset, &newest, &block).await, block)
            })
        });
        let outcomes: Vec<_> = join_all(writers).await.into_iter().map(Result::unwrap).collect();
        let (winners, losers): (Vec<_>, Vec<_>) = outcomes
            .into_iter()
            .partition(|(outcome, _)| matches!(outcome, CommitOutcome::Committed { .. }));
        assert_eq!(winners.len(), 1, "generation {generation}");
        let (outcome, winner) = winners.into_iter().next().unwrap();
        assert_eq!(outcome, CommitOutcome::Committed { head: winner.hash });
        for (outcome, _) in losers {
            assert_eq!(
                outcome,
                CommitOutcome::Conflict {
                    actual: Some(winner.hash)
                }
            );
        }
        newest = winner;
    }
    assert_eq!(blocks::chain(&dataset).await.len(), GENERATIONS + 1);
}

async fn a_swap_can_be_repeated(repository: Repository) {
    let (dataset, seed) = blocks::create(&repository).await;
    let next = blocks::info(&seed, "next");
    for _ in 0..2 {
        assert_eq!(
            blocks::commit(&dataset, &seed, &next).await,
            CommitOutcome::Committed { head: next.hash }
        );
        assert_eq!(
            dataset.compare_and_swap_head(Some(seed.hash), next.hash).await.unwrap(),
            HeadSwap::Swapped
        );
    }
}

async fn a_head_needs_its_block(repository: Repository) {
    let (dataset, seed) = blocks::create(&repository).await;
    let missing = Multihash::sha3_256(b"missing");
    let error = dataset
        .compare_and_swap_head(Some(seed.hash), missing)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(dataset.head().await.unwrap(), Some(seed.hash));
}

async fn a_damaged_head_is_an_error(repository: Repository) {
    let (dataset, seed) = blocks::create(&repository).await;
    let path = Path::from(format!("{}/refs/head", dataset.id().to_multibase()));
    for damaged in [format!("{}\n", seed.hash), String::new(), "x".repeat(10_000)] {
        dataset.store().put(&path, damaged.into()).await.unwrap();
        let kind = dataset.head().await.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Malformed | ErrorKind::Corrupt), "{kind:?}");
        let next = blocks::info(&seed, "next");
        dataset.commit(Some(seed.hash), &[next], Vec::new()).await.unwrap_err();
    }
    assert_eq!(blocks::list(&repository).await, []);
}

async fn putting_twice_is_putting_once(repository: Repository) {
    let (dataset, seed) = blocks::create(&repository).await;
    let data = Bytes::from_static(b"slice");
    let hash = Multihash::sha3_256(&data);
    for kind in [ObjectKind::Data, ObjectKind::Checkpoint] {
        assert!(!dataset.object_exists(kind, &hash).await.unwrap());
        let mut modified = Vec::new();
        for source in [
            ObjectSource::Bytes(data.clone()),
            file_with(&dataset, &data).await,
            data.clone().into(),
        ] {
            dataset.put_object(kind, hash, source).await.unwrap();
            modified.push(
                dataset
                    .store()
                    .head(&dataset.object_path(kind, &hash))
                    .await
                    .unwrap()
                    .last_modified,
            );
        }
        assert!(
            modified.iter().all(|time| *time == modified[0]),
            "an object was written again"
        );
        assert!(dataset.object_exists(kind, &hash).await.unwrap());
        assert_eq!(read(&dataset, kind, &hash).await, data);
    }
    for _ in 0..2 {
        dataset.put_block(seed.hash, seed.bytes.clone()).await.unwrap();
        assert_eq!(dataset.block(&seed.hash).await.unwrap(), seed.bytes);
    }

    // What was cut off by a crash of something else is made whole.
    let path = dataset.object_path(ObjectKind::Data, &hash);
    dataset.store().put(&path, Bytes::new().into()).await.unwrap();
    dataset
        .put_object(ObjectKind::Data, hash, data.clone().into())
        .await
        .unwrap();
    assert_eq!(read(&dataset, ObjectKind::Data, &hash).await, data);
}

async fn wrong_bytes_are_refused(repository: Repository) {
    let (dataset, _) = blocks::create(&repository).await;
    let hash = Multihash::sha3_256(b"right");
    let wrong = Bytes::from_static(b"wrong");
    assert_corrupt(dataset.put_block(hash, wrong.clone()).await);
    assert_corrupt(dataset.put_object(ObjectKind::Data, hash, wrong.into()).await);
    let ObjectSource::File { file, .. } = file_with(&dataset, b"righ").await else {
        panic!("not a file")
    };
    assert_corrupt(
        dataset
            .put_object(ObjectKind::Data, hash, ObjectSource::File { file, size: 5 })
            .await,
    );
    assert_corrupt(dataset.put_block(hash, vec![0; MAX_BLOCK_SIZE + 1].into()).await);
    let logical = Multihash::arrow0_sha3_256(*hash.digest());
    assert_corrupt(
        dataset
            .put_object(ObjectKind::Data, logical, file_with(&dataset, b"right").await)
            .await,
    );
    assert!(!dataset.object_exists(ObjectKind::Data, &hash).await.unwrap());
}

async fn damaged_blocks_are_detected(repository: Repository) {
    let (dataset, seed) = blocks::create(&repository).await;
    let path = Path::from(format!("{}/blocks/{}", dataset.id().to_multibase(), seed.hash));
    let mut flipped = seed.bytes.to_vec();
    flipped[20] ^= 1;
    for damaged in [
        flipped,
        seed.bytes[..seed.bytes.len() - 1].to_vec(),
        Vec::new(),
        vec![0; MAX_BLOCK_SIZE + 1],
    ] {
        dataset.store().put(&path, damaged.into()).await.unwrap();
        let error = dataset.block(&seed.hash).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&seed.hash.to_string()), "{error}");
    }
}

async fn what_is_not_there_is_not_found(repository: Repository) {
    let missing = Multihash::sha3_256(b"missing");
    let (existing, _) = blocks::create(&repository).await;
    for dataset in [existing, repository.dataset(blocks::new_id())] {
        assert_eq!(dataset.block(&missing).await.unwrap_err().kind(), ErrorKind::NotFound);
        for kind in [ObjectKind::Data, ObjectKind::Checkpoint] {
            assert!(!dataset.object_exists(kind, &missing).await.unwrap());
            assert_eq!(
                dataset.open_object(kind, &missing).await.unwrap_err().kind(),
                ErrorKind::NotFound
            );
            let range = dataset.read_object_range(kind, &missing, 0..1).await;
            assert_eq!(range.unwrap_err().kind(), ErrorKind::NotFound);
        }
    }
}

async fn large_objects_from_files_and_memory(repository: Repository) {
    let (dataset, _) = blocks::create(&repository).await;
    // In parts of 8 MiB, the last one odd.
    let data = blocks::random_bytes((20 << 20) + 7);
    let hash = Multihash::sha3_256(&data);
    for (kind, source) in [
        (ObjectKind::Data, data.clone().into()),
        (ObjectKind::Checkpoint, file_with(&dataset, &data).await),
        // Again, when it is there.
        (ObjectKind::Checkpoint, file_with(&dataset, &data).await),
    ] {
        dataset.put_object(kind, hash, source).await.unwrap();
        let object = dataset.open_object(kind, &hash).await.unwrap();
        assert_eq!(object.size, data.len() as u64);
        assert!(read(&dataset, kind, &hash).await == data, "an object has other bytes");
    }
}

async fn ranges_of_objects(repository: Repository) {
    let (dataset, _) = blocks::create(&repository).await;
    let data = blocks::random_bytes(1000);
    let hash = Multihash::sha3_256(&data);
    dataset
        .put_object(ObjectKind::Checkpoint, hash, data.clone().into())
        .await
        .unwrap();
    let read = async |range| dataset.read_object_range(ObjectKind::Checkpoint, &hash, range).await;
    for range in [0..1, 0..1000, 17..400, 999..1000] {
        let expected = data.slice(range.start as usize..range.end as usize);
        assert_eq!(read(range).await.unwrap(), expected);
    }
    assert_eq!(read(990..2000).await.unwrap(), data.slice(990..));
    read(1000..1001).await.unwrap_err();
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    read(10..5).await.unwrap_err();
}

async fn pending_files_disappear(repository: Repository) {
    let (dataset, _) = blocks::create(&repository).await;
    let mut file = dataset.new_pending_file().await.unwrap();
    file.write_all(b"state").unwrap();
    let path = file.path().to_owned();
    assert!(path.file_name().unwrap().to_str().unwrap().starts_with(".pending-"));
    assert_eq!(file.size().unwrap(), 5);
    drop(file);
    assert!(!path.exists());

    let moved = file_with(&dataset, b"state").await;
    let ObjectSource::File { file, .. } = &moved else {
        panic!("not a file")
    };
    let path = file.path().to_owned();
    dataset
        .put_object(ObjectKind::Checkpoint, Multihash::sha3_256(b"state"), moved)
        .await
        .unwrap();
    assert!(!path.exists());
    assert_eq!(blocks::list(&repository).await, [*dataset.id()]);
}

async fn commits_move_everything_at_once(repository: Repository) {
    let (dataset, seed) = blocks::create(&repository).await;
    assert_eq!(
        dataset.commit(Some(seed.hash), &[], Vec::new()).await.unwrap(),
        CommitOutcome::Unchanged
    );

    let first = blocks::add_data(&seed, b"first");
    let objects = vec![object(ObjectKind::Data, file_with(&dataset, b"first").await, b"first")];
    let outcome = dataset
        .commit(Some(seed.hash), std::slice::from_ref(&first), objects)
        .await
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { head: first.hash });
    assert_eq!(
        read(&dataset, ObjectKind::Data, &Multihash::sha3_256(b"first")).await,
        &b"first"[..]
    );

    // Two blocks, two objects and a checkpoint that the second block only carries on.
    let checkpoint = Checkpoint {
        physical_hash: Multihash::sha3_256(b"state"),
        size: 5,
    };
    let second = blocks::encode(
        Some(&first),
        MetadataEvent::AddData(AddData {
            new_checkpoint: Some(checkpoint.clone()),
            ..AddData::default()
        }),
    );
    let third = blocks::encode(
        Some(&second),
        MetadataEvent::AddData(AddData {
            prev_checkpoint: Some(checkpoint.physical_hash),
            new_checkpoint: Some(checkpoint.clone()),
            ..AddData::default()
        }),
    );
    let objects = vec![object(
        ObjectKind::Checkpoint,
        Bytes::from_static(b"state").into(),
        b"state",
    )];
    let outcome = dataset
        .commit(Some(first.hash), &[second.clone(), third.clone()], objects)
        .await
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { head: third.hash });
    assert_eq!(
        blocks::chain(&dataset).await,
        [third.clone(), second, first.clone(), seed]
    );
    assert!(
        dataset
            .object_exists(ObjectKind::Checkpoint, &checkpoint.physical_hash)
            .await
            .unwrap()
    );

    // A stale one changes nothing in the chain, but its objects are there for the next attempt.
    let stale = blocks::add_data(&first, b"stale");
    let objects = vec![object(ObjectKind::Data, file_with(&dataset, b"stale").await, b"stale")];
    let outcome = dataset.commit(Some(first.hash), &[stale], objects).await.unwrap();
    assert_eq!(
        outcome,
        CommitOutcome::Conflict {
            actual: Some(third.hash)
        }
    );
    assert_eq!(dataset.head().await.unwrap(), Some(third.hash));
    assert_eq!(
        read(&dataset, ObjectKind::Data, &Multihash::sha3_256(b"stale")).await,
        &b"stale"[..]
    );
}

async fn commits_are_checked(repository: Repository) {
    let (dataset, seed) = blocks::create(&repository).await;
    let first = blocks::info(&seed, "first");
    let second = blocks::info(&first, "second");
    let mut skipped = second.block.clone();
    skipped.sequence_number += 1;
    let skipped = jetway_odf::codec::EncodedBlock::encode(skipped, Default::default()).unwrap();
    let mut forged = first.clone();
    forged.bytes = second.bytes.clone();
    let data = blocks::add_data(&seed, b"never stored");

    let commit = async |expected, blocks: &[_]| dataset.commit(expected, blocks, Vec::new()).await.unwrap_err();
    assert_eq!(
        commit(Some(seed.hash), std::slice::from_ref(&second)).await.rule(),
        Some("G6")
    );
    assert_eq!(commit(None, std::slice::from_ref(&first)).await.rule(), Some("G6"));
    assert_eq!(
        commit(Some(seed.hash), &[first.clone(), first.clone()]).await.rule(),
        Some("G3")
    );
    assert_eq!(
        commit(Some(seed.hash), &[first.clone(), skipped]).await.rule(),
        Some("G2")
    );
    assert_eq!(commit(Some(seed.hash), &[data]).await.rule(), Some("D8"));
    assert_eq!(commit(Some(seed.hash), &[forged]).await.kind(), ErrorKind::Corrupt);
    assert_eq!(dataset.head().await.unwrap(), Some(seed.hash));

    // An object that was stored before need not be given.
    let data = Bytes::from_static(b"stored before");
    dataset
        .put_object(ObjectKind::Data, Multihash::sha3_256(&data), data.clone().into())
        .await
        .unwrap();
    let block = blocks::add_data(&seed, &data);
    assert_eq!(
        blocks::commit(&dataset, &seed, &block).await,
        CommitOutcome::Committed { head: block.hash }
    );
}

async fn commits_of_many_blocks(repository: Repository) {
    let id = blocks::new_id();
    let mut chain = vec![blocks::seed(&id)];
    for number in 1..200 {
        chain.push(blocks::info(chain.last().unwrap(), &number.to_string()));
    }
    let dataset = repository.create(id, None, &chain).await.unwrap();
    chain.reverse();
    assert_eq!(blocks::chain(&dataset).await, chain);
}

async fn creating_needs_a_free_place(repository: Repository) {
    let (dataset, seed) = blocks::create(&repository).await;
    let id = *dataset.id();
    assert_eq!(
        repository.create_dataset(id).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let again = repository
        .create(id, None, &[blocks::info(&seed, "x"), seed.clone()])
        .await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(
        repository.create(blocks::new_id(), None, &[]).await.unwrap_err().rule(),
        Some("G1")
    );

    // A head that somebody else creates meanwhile is a conflict, not a replacement.
    let id = blocks::new_id();
    let seed = blocks::seed(&id);
    let dataset = repository.create_dataset(id).await.unwrap();
    repository.create(id, None, std::slice::from_ref(&seed)).await.unwrap();
    let other = blocks::encode(None, MetadataEvent::SetInfo(Default::default()));
    let outcome = dataset.commit(None, &[other], Vec::new()).await.unwrap();
    assert_eq!(
        outcome,
        CommitOutcome::Conflict {
            actual: Some(seed.hash)
        }
    );
}

async fn listing_skips_garbage(repository: Repository) {
    assert_eq!(blocks::list(&repository).await, []);
    let mut expected: Vec<DatasetId> = Vec::new();
    for _ in 0..3 {
        expected.push(*blocks::create(&repository).await.0.id());
    }
    expected.sort_unstable();
    // An unfinished dataset, and things that are no datasets.
    let unfinished = repository.create_dataset(blocks::new_id()).await.unwrap();
    let seed = blocks::seed(unfinished.id());
    unfinished.put_block(seed.hash, seed.bytes).await.unwrap();
    for foreign in ["README.txt", "lost+found/x", "fed01aa/refs/head", ".hidden/refs/head"] {
        repository.store().put(&Path::from(foreign), "x".into()).await.unwrap();
    }
    assert_eq!(blocks::list(&repository).await, expected);
}

async fn deleting_removes_everything(repository: Repository) {
    let (kept, _) = blocks::create(&repository).await;
    let (dataset, seed) = blocks::create(&repository).await;
    let id = *dataset.id();
    let block = blocks::add_data(&seed, b"data");
    let objects = vec![object(ObjectKind::Data, Bytes::from_static(b"data").into(), b"data")];
    let outcome = dataset.commit(Some(seed.hash), &[block], objects).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }));

    for _ in 0..2 {
        repository.delete(id).await.unwrap();
        assert_eq!(dataset.head().await.unwrap(), None);
        assert_eq!(dataset.block(&seed.hash).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(
            !dataset
                .object_exists(ObjectKind::Data, &Multihash::sha3_256(b"data"))
                .await
                .unwrap()
        );
        assert_eq!(blocks::list(&repository).await, [*kept.id()]);
    }
    let left: Vec<_> = repository
        .store()
        .list(Some(&Path::from(id.to_multibase())))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(left, []);

    // The place is free again, and a handle from before works.
    repository.create(id, None, std::slice::from_ref(&seed)).await.unwrap();
    let next = blocks::info(&seed, "next");
    assert_eq!(
        blocks::commit(&dataset, &seed, &next).await,
        CommitOutcome::Committed { head: next.hash }
    );
}

async fn aliases_are_kept(repository: Repository) {
    let id = blocks::new_id();
    let alias = "alice/net.example.trades".parse().unwrap();
    let dataset = repository.create(id, Some(&alias), &[blocks::seed(&id)]).await.unwrap();
    assert_eq!(dataset.alias().await.unwrap(), Some(alias));
    let renamed = "trades".parse().unwrap();
    dataset.set_alias(&renamed).await.unwrap();
    assert_eq!(dataset.alias().await.unwrap(), Some(renamed));

    let path = Path::from(format!("{}/info/alias", id.to_multibase()));
    dataset.store().put(&path, " bob/padded\n".into()).await.unwrap();
    assert_eq!(dataset.alias().await.unwrap(), Some("bob/padded".parse().unwrap()));
    dataset.store().put(&path, "no alias!".into()).await.unwrap();
    assert_eq!(dataset.alias().await.unwrap_err().kind(), ErrorKind::InvalidIdentity);
    dataset.store().delete(&path).await.unwrap();
    assert_eq!(dataset.alias().await.unwrap(), None);
}

async fn stores_can_be_registered(repository: Repository) {
    let (dataset, _) = blocks::create(&repository).await;
    let url = dataset.base_url();
    assert_eq!((url.scheme(), url.path()), ("odf", "/"));
    assert_eq!(url, repository.base_url());
    let other = Repository::open("memory:", &RepositoryOptions::default())
        .await
        .unwrap();
    assert_ne!(url, other.base_url());

    let data = Bytes::from_static(b"slice");
    let hash = Multihash::sha3_256(&data);
    dataset
        .put_object(ObjectKind::Data, hash, data.clone().into())
        .await
        .unwrap();
    let path = dataset.object_path(ObjectKind::Data, &hash);
    assert_eq!(path.as_ref(), format!("{}/data/{hash}", dataset.id().to_multibase()));
    assert_eq!(dataset.store().get(&path).await.unwrap().bytes().await.unwrap(), data);
}

fn assert_corrupt(outcome: jetway_odf::Result<()>) {
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Corrupt);
}

fn object(kind: ObjectKind, source: ObjectSource, bytes: &[u8]) -> PendingObject {
    PendingObject {
        kind,
        hash: Multihash::sha3_256(bytes),
        source,
    }
}

async fn file_with(dataset: &DatasetStorage, bytes: &[u8]) -> ObjectSource {
    let mut file = dataset.new_pending_file().await.unwrap();
    file.write_all(bytes).unwrap();
    ObjectSource::File {
        file,
        size: bytes.len() as u64,
    }
}

async fn read(dataset: &DatasetStorage, kind: ObjectKind, hash: &Multihash) -> Bytes {
    let object = dataset.open_object(kind, hash).await.unwrap();
    let parts: Vec<Bytes> = object.bytes.try_collect().await.unwrap();
    parts.concat().into()
}
