//! Copies that take long.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use futures::FutureExt;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::Multihash;
use jetway_odf::storage::{DatasetStorage, HeadSwap, ObjectKind, PendingObject, Repository};
use jetway_odf::transfer::{Place, Progress, RemoteDataset, RemoteOptions, copy};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{lenient, memory, moved, run, with_object};
use crate::storage::blocks;
use crate::storage::faulty::FaultyStore;

async fn append(dataset: &DatasetStorage, prev: &EncodedBlock) -> EncodedBlock {
    let data = blocks::random_bytes(1000);
    let block = blocks::add_data(prev, &data);
    let object = PendingObject {
        kind: ObjectKind::Data,
        hash: Multihash::sha3_256(&data),
        source: data.into(),
    };
    let committed = dataset.commit(Some(prev.hash), std::slice::from_ref(&block), vec![object]);
    let _committed = committed.await.unwrap();
    block
}

#[tokio::test]
async fn what_a_copy_has_sent_is_not_sent_again_when_it_looks_again() {
    let (dataset, seed) = blocks::create(&memory().await).await;
    let store = FaultyStore::scripted("");
    let bucket = Repository::from_store("memory://aged".parse().unwrap(), Arc::<FaultyStore>::clone(&store)).unwrap();
    let goal = bucket
        .create(*dataset.id(), None, std::slice::from_ref(&seed))
        .await
        .unwrap();
    let first = append(&dataset, &seed).await;
    append(&dataset, &first).await;
    // As if each object took hours.
    store.set_age(TimeDelta::hours(2));
    let moved_once = Mutex::new(false);
    let source = Place::Stored(dataset);
    let look = |progress: Progress| {
        // Somebody else brings the first block meanwhile, so that everything begins anew.
        let mut moved_once = moved_once.lock().unwrap();
        if progress.objects == 2 && !std::mem::replace(&mut *moved_once, true) {
            let swap = goal.compare_and_swap_head(Some(seed.hash), first.hash);
            assert_eq!(swap.now_or_never().unwrap().unwrap(), HeadSwap::Swapped);
        }
    };
    let outcome = copy(&source, &Place::Stored(goal.clone()), &lenient(), &look)
        .await
        .unwrap();
    let stats = moved(&outcome);
    assert!(*moved_once.lock().unwrap());
    assert_eq!((stats.objects, stats.objects_skipped), (2, 1), "{outcome:?}");
}

#[tokio::test]
async fn an_upload_may_take_longer_than_a_server_may_be_silent() {
    let (dataset, _) = with_object(&memory().await, blocks::random_bytes(1000)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_slowly(stream));
        }
    });
    let options = RemoteOptions {
        read_timeout: Duration::from_millis(300),
        ..RemoteOptions::default()
    };
    let remote = RemoteDataset::open(&format!("http://127.0.0.1:{port}/alice/trades"), &options).unwrap();
    let target = Place::Remote(remote.for_push_of(*dataset.id()));
    let outcome = run(&Place::Stored(dataset), &target, &lenient()).await.unwrap();
    assert_eq!(moved(&outcome).objects, 1);
    server.abort();
}

/// A server that has nothing and takes everything, objects and heads after longer than it may be silent.
async fn answer_slowly(mut stream: TcpStream) {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    loop {
        let (mut request, mut length) = (String::new(), 0);
        if reader.read_line(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).await.unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await.unwrap();
        let is_put = request.starts_with("PUT");
        if is_put && !request.contains("/blocks/") {
            tokio::time::sleep(Duration::from_millis(450)).await;
        }
        let status = if is_put { "201 Created" } else { "404 Not Found" };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        writer.write_all(answer.as_bytes()).await.unwrap();
    }
}
