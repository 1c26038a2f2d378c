//! Connections that break, servers that are busy, and copies that are given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jetway_odf::ErrorKind;
use jetway_odf::storage::ObjectKind;
use jetway_odf::transfer::{CopyOptions, Place, RetryPolicy, copy};

use super::server::FileServer;
use super::{folder, lenient, memory, moved, remote, run, with_object};
use crate::storage::blocks;

const SIZE: usize = 3_000_000;

fn once() -> CopyOptions {
    CopyOptions {
        retry: RetryPolicy {
            attempts: 1,
            ..lenient().retry
        },
        ..lenient()
    }
}

#[tokio::test]
async fn an_object_that_was_cut_off_goes_on_where_it_stopped() {
    let bytes = blocks::random_bytes(SIZE);
    let (dataset, block) = with_object(&memory().await, bytes.clone()).await;
    let server = FileServer::of(&dataset).await;
    let path = tempfile::tempdir().unwrap();
    for repository in [folder(path.path()).await, memory().await] {
        let target = repository.dataset(*dataset.id());
        let place = Place::Stored(target.clone());
        server.state(|state| {
            state.object_bytes = 0;
            state.cuts = vec![1_000_000];
        });
        let error = run(&remote(&server), &place, &once()).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert_eq!(target.head().await.unwrap(), None);
        let first = server.state(|state| state.object_bytes);

        let stats = moved(&run(&remote(&server), &place, &once()).await.unwrap());
        let second = server.state(|state| state.object_bytes) - first;
        assert!(stats.bytes_resumed > 0 && stats.bytes_resumed <= 1_000_000, "{stats:?}");
        assert_eq!(stats.bytes as usize, second);
        assert_eq!(stats.bytes_resumed as usize + second, SIZE);
        assert_eq!(target.head().await.unwrap(), Some(block.hash));
        let hash = jetway_odf::identity::Multihash::sha3_256(&bytes);
        let stored = target
            .read_object_range(ObjectKind::Data, &hash, 0..u64::MAX)
            .await
            .unwrap();
        assert!(stored == bytes);
        // Blocks of the first attempt were not fetched again.
        let requests = server.state(|state| std::mem::take(&mut state.requests));
        assert_eq!(requests.iter().filter(|path| path.starts_with("blocks/")).count(), 2);
    }
    let left = std::fs::read_dir(path.path().join(dataset.id().to_multibase())).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter().all(|name| !name.to_str().unwrap().starts_with(".p")),
        "{left:?}"
    );
}

#[tokio::test]
async fn attempts_that_bring_bytes_do_not_count() {
    let (dataset, _) = with_object(&memory().await, blocks::random_bytes(SIZE)).await;
    let server = FileServer::of(&dataset).await;
    server.state(|state| state.cuts = vec![300_000; 8]);
    let target = memory().await.dataset(*dataset.id());
    let stats = moved(&run(&remote(&server), &Place::Stored(target), &lenient()).await.unwrap());
    assert_eq!(server.state(|state| state.object_bytes), SIZE);
    assert_eq!((stats.bytes as usize, stats.bytes_resumed), (SIZE, 0));
}

#[tokio::test]
async fn a_server_without_ranges_is_read_again() {
    let (dataset, _) = with_object(&memory().await, blocks::random_bytes(SIZE)).await;
    let server = FileServer::of(&dataset).await;
    server.state(|state| {
        state.no_ranges = true;
        state.cuts = vec![300_000];
    });
    let target = memory().await.dataset(*dataset.id());
    let stats = moved(&run(&remote(&server), &Place::Stored(target), &lenient()).await.unwrap());
    assert_eq!(stats.bytes as usize, SIZE);
    assert_eq!(server.state(|state| state.object_bytes), SIZE + 300_000);
}

#[tokio::test]
async fn busy_servers_are_asked_again_but_not_for_ever() {
    let (dataset, _) = with_object(&memory().await, blocks::random_bytes(10)).await;
    let server = FileServer::of(&dataset).await;
    let target = Place::Stored(memory().await.dataset(*dataset.id()));
    server.state(|state| state.failures = vec![503, 429, 500]);
    let error = run(&remote(&server), &target, &lenient()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(server.state(|state| state.requests.len()), 3);
    server.state(|state| state.failures = vec![503, 429]);
    let _stats = moved(&run(&remote(&server), &target, &lenient()).await.unwrap());
    // Refusals do not pass.
    server.state(|state| {
        state.requests.clear();
        state.failures = vec![401];
    });
    let error = run(&remote(&server), &target, &lenient()).await.unwrap_err();
    assert!(error.message().contains("token"), "{error}");
    assert_eq!(server.state(|state| state.requests.len()), 1);
}

#[tokio::test]
async fn a_dropped_copy_changes_nothing_and_the_next_one_goes_on() {
    let (dataset, block) = with_object(&memory().await, blocks::random_bytes(SIZE)).await;
    let server = FileServer::of(&dataset).await;
    let path = tempfile::tempdir().unwrap();
    let target = folder(path.path()).await.dataset(*dataset.id());
    let place = Place::Stored(target.clone());
    {
        let source = remote(&server);
        let (options, seen) = (lenient(), Arc::new(AtomicU64::new(0)));
        let progress = {
            let seen = Arc::clone(&seen);
            move |progress: jetway_odf::transfer::Progress| seen.store(progress.bytes, Ordering::SeqCst)
        };
        let mut copying = Box::pin(copy(&source, &place, &options, &progress));
        while seen.load(Ordering::SeqCst) < 1_000_000 {
            tokio::select! {
                biased;
                ended = &mut copying => panic!("{ended:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    assert_eq!(target.head().await.unwrap(), None);
    // The writer of the dropped copy lets go of the file as soon as it has written what it has got.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let partial = || {
        let entries = std::fs::read_dir(path.path().join(dataset.id().to_multibase())).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_str().unwrap().contains(".partial-"))
    };
    while std::fs::File::open(partial().unwrap()).unwrap().try_lock().is_err() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let stats = moved(&run(&remote(&server), &place, &lenient()).await.unwrap());
    assert!(stats.bytes_resumed > 0, "{stats:?}");
    assert_eq!(target.head().await.unwrap(), Some(block.hash));
}

#[tokio::test]
async fn a_damaged_rest_of_an_earlier_copy_is_fetched_anew() {
    let (dataset, block) = with_object(&memory().await, blocks::random_bytes(SIZE)).await;
    let server = FileServer::of(&dataset).await;
    let path = tempfile::tempdir().unwrap();
    let target = folder(path.path()).await.dataset(*dataset.id());
    let place = Place::Stored(target.clone());
    server.state(|state| state.cuts = vec![1_000_000]);
    run(&remote(&server), &place, &once()).await.unwrap_err();
    let entries = std::fs::read_dir(path.path().join(dataset.id().to_multibase())).unwrap();
    let partial = entries
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().contains(".partial-"))
        .unwrap();
    let mut bytes = std::fs::read(&partial).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&partial, bytes).unwrap();
    let stats = moved(&run(&remote(&server), &place, &once()).await.unwrap());
    assert_eq!(stats.bytes_resumed, 0);
    assert_eq!(target.head().await.unwrap(), Some(block.hash));
    assert!(!partial.exists());
}
