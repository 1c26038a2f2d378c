//! A put that was done may look like one that was not: commits must tell them apart.

use std::sync::Arc;

use chrono::TimeDelta;
use futures::FutureExt;
use jetway_odf::ErrorKind;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::Multihash;
use jetway_odf::storage::{CommitOutcome, DatasetStorage, NamedObject, ObjectKind, Repository};

use super::blocks;
use super::faulty::{Fault, FaultyStore};

/// A dataset whose head is behind a bad network, its Seed, and a block to commit.
async fn dataset() -> (Arc<FaultyStore>, DatasetStorage, EncodedBlock, EncodedBlock) {
    let store = FaultyStore::scripted("refs/head");
    let (dataset, seed) = blocks::create(&repository(&store)).await;
    let block = blocks::info(&seed, "mine");
    (store, dataset, seed, block)
}

fn repository(store: &Arc<FaultyStore>) -> Repository {
    Repository::from_store("faulty://store".parse().unwrap(), Arc::clone(store) as _).unwrap()
}

#[tokio::test]
async fn a_head_that_moved_without_an_answer_has_moved() {
    let faults: [fn() -> Vec<Fault>; 5] = [
        || vec![Fault::LostAnswer],
        || vec![Fault::Repeated],
        || vec![Fault::LostRequest],
        || vec![Fault::LostRequest, Fault::LostRequest, Fault::LostAnswer],
        || vec![Fault::LostRequest, Fault::Repeated],
    ];
    for faults in faults {
        // Both when the head is created and when it is replaced.
        let store = FaultyStore::scripted("refs/head");
        store.inject(faults());
        let (dataset, seed) = blocks::create(&repository(&store)).await;
        assert_eq!(store.faults_left(), 0);

        store.inject(faults());
        let block = blocks::info(&seed, "mine");
        assert_eq!(
            blocks::commit(&dataset, &seed, &block).await,
            CommitOutcome::Committed { head: block.hash }
        );
        assert_eq!(store.faults_left(), 0);
        assert_eq!(blocks::chain(&dataset).await, [block, seed]);
    }
}

#[tokio::test]
async fn a_commit_that_others_built_on_has_happened() {
    let (store, dataset, seed, mine) = dataset().await;
    let theirs = [blocks::info(&mine, "theirs")].to_vec();
    let theirs = [theirs.clone(), vec![blocks::info(&theirs[0], "theirs, too")]].concat();
    let others = {
        let (dataset, mine, theirs) = (dataset.clone(), mine.clone(), theirs.clone());
        async move {
            let outcome = dataset.commit(Some(mine.hash), &theirs, Vec::new()).await.unwrap();
            assert!(matches!(outcome, CommitOutcome::Committed { .. }));
        }
    };
    store.inject([Fault::LostAnswerAfter(others.boxed())]);
    assert_eq!(
        blocks::commit(&dataset, &seed, &mine).await,
        CommitOutcome::Committed { head: mine.hash }
    );
    assert_eq!(
        blocks::chain(&dataset).await,
        [theirs[1].clone(), theirs[0].clone(), mine, seed]
    );
}

#[tokio::test]
async fn a_commit_that_others_overtook_has_not_happened() {
    let (store, dataset, seed, mine) = dataset().await;
    let theirs = blocks::info(&seed, "theirs");
    let others = {
        let (dataset, seed, theirs) = (dataset.clone(), seed.clone(), theirs.clone());
        async move {
            let outcome = blocks::commit(&dataset, &seed, &theirs).await;
            assert!(matches!(outcome, CommitOutcome::Committed { .. }));
        }
    };
    store.inject([Fault::LostRequestAfter(others.boxed())]);
    let outcome = blocks::commit(&dataset, &seed, &mine).await;
    assert_eq!(
        outcome,
        CommitOutcome::Conflict {
            actual: Some(theirs.hash)
        }
    );
    assert_eq!(blocks::chain(&dataset).await, [theirs, seed]);
}

#[tokio::test]
async fn a_dead_network_is_a_failure_that_can_be_retried() {
    let (store, dataset, seed, mine) = dataset().await;
    store.inject((0..5).map(|_| Fault::LostRequest));
    let error = dataset
        .commit(Some(seed.hash), std::slice::from_ref(&mine), Vec::new())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Storage, true));
    assert_eq!(dataset.head().await.unwrap(), Some(seed.hash));

    // The retry of a commit that had happened after all finds it, also where others have built on it.
    for text in ["theirs", "theirs, too"] {
        assert_eq!(
            blocks::commit(&dataset, &seed, &mine).await,
            CommitOutcome::Committed { head: mine.hash }
        );
        let newest = blocks::chain(&dataset).await[0].clone();
        let theirs = blocks::info(&newest, text);
        assert_eq!(
            blocks::commit(&dataset, &newest, &theirs).await,
            CommitOutcome::Committed { head: theirs.hash }
        );
    }
    assert_eq!(blocks::chain(&dataset).await.len(), 4);
}

#[tokio::test]
async fn objects_survive_lost_answers() {
    let store = FaultyStore::scripted("/data/");
    let (dataset, _) = blocks::create(&repository(&store)).await;
    // In one put and in parts.
    for (size, fault) in [
        (1000, Fault::LostAnswer),
        (1000, Fault::Repeated),
        (9 << 20, Fault::LostAnswer),
    ] {
        store.inject([fault]);
        let data = blocks::random_bytes(size);
        let hash = Multihash::sha3_256(&data);
        dataset
            .put_object(ObjectKind::Data, hash, data.clone().into())
            .await
            .unwrap();
        assert_eq!(store.faults_left(), 0);
        let path = dataset.object_path(ObjectKind::Data, &hash);
        assert!(store.stored(path.as_ref()).await == data, "the object has other bytes");
    }
}

#[tokio::test]
async fn an_old_object_does_not_make_a_failed_upload_a_success() {
    let store = FaultyStore::scripted("/data/");
    let (dataset, _) = blocks::create(&repository(&store)).await;
    let data = blocks::random_bytes(9 << 20);
    let hash = Multihash::sha3_256(&data);
    let put = || dataset.put_object(ObjectKind::Data, hash, data.clone().into());
    put().await.unwrap();
    store.set_age(TimeDelta::hours(2));
    store.inject([Fault::Refused("503 Slow Down")]);
    // Garbage collection may be about to take the one that is there.
    assert!(put().await.unwrap_err().is_retryable());
    assert_eq!(store.faults_left(), 0);
    put().await.unwrap();
}

#[tokio::test]
async fn objects_on_a_bucket_are_held_for_half_of_the_shortest_grace_period() {
    let store = FaultyStore::scripted("/data/");
    let (dataset, _) = blocks::create(&repository(&store)).await;
    let data = blocks::random_bytes(100);
    let object = NamedObject {
        kind: ObjectKind::Data,
        hash: Multihash::sha3_256(&data),
        size: 100,
    };
    dataset.put_object(object.kind, object.hash, data.into()).await.unwrap();
    for (minutes, is_held) in [(0, true), (29, true), (31, false)] {
        store.set_age(TimeDelta::minutes(minutes));
        assert_eq!(dataset.holds(&object).await.unwrap(), is_held, "{minutes}");
    }
}
