//! Servers that send something else than what they were asked for.

use bytes::Bytes;
use jetway_odf::codec::{EncodedBlock, ManifestVersion};
use jetway_odf::identity::Multihash;
use jetway_odf::transfer::{Place, RemoteDataset, RemoteOptions};
use jetway_odf::{Error, ErrorKind};

use super::server::{FileServer, State};
use super::{lenient, memory, moved, remote, run, strict, with_object};
use crate::storage::blocks;

/// The error of a copy from a server after `lie` was told; nothing may have come of it.
async fn caught(lie: impl FnOnce(&mut State, &EncodedBlock)) -> Error {
    let (dataset, block) = with_object(&memory().await, blocks::random_bytes(50_000)).await;
    let server = FileServer::of(&dataset).await;
    server.state(|state| lie(state, &block));
    let target = memory().await.dataset(*dataset.id());
    let error = run(&remote(&server), &Place::Stored(target.clone()), &lenient())
        .await
        .unwrap_err();
    assert_eq!(target.head().await.unwrap(), None);
    error
}

fn name(block: &EncodedBlock) -> String {
    format!("blocks/{}", block.hash)
}

fn object(state: &mut State) -> &mut Bytes {
    let mut objects = state.files.iter_mut().filter(|(name, _)| name.starts_with("data/"));
    objects.next().unwrap().1
}

#[tokio::test]
async fn blocks_must_have_their_hash() {
    // One bit of the slice's logical hash.
    let error = caught(|state, block| {
        let file = state.files.get_mut(&name(block)).unwrap();
        let mut bytes = file.to_vec();
        let position = bytes.windows(32).position(|window| window == [1; 32]).unwrap();
        bytes[position] ^= 1;
        *file = bytes.into();
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    // A block that leads back to itself, and one that leads back to the head.
    let error = caught(|state, block| {
        let prev = format!("blocks/{}", block.block.prev_block_hash.unwrap());
        let head = state.files[&name(block)].clone();
        state.files.insert(prev, head);
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let error = caught(|state, block| {
        state.files.insert(name(block), Bytes::from(vec![0; 9 << 20]));
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains("longer"), "{error}");
    let error = caught(|state, block| {
        state.files.remove(&name(block));
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn heads_must_be_heads() {
    for (head, kind) in [
        ("<html>", ErrorKind::Malformed),
        ("", ErrorKind::Malformed),
        (&"f".repeat(100_000), ErrorKind::Corrupt),
        (&Multihash::sha3_256(b"nothing").to_string(), ErrorKind::NotFound),
    ] {
        let error = caught(|state, _| {
            state.files.insert("refs/head".to_owned(), Bytes::from(head.to_owned()));
        })
        .await;
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn objects_must_have_their_hash_and_size() {
    let error = caught(|state, _| *object(state) = blocks::random_bytes(50_000)).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let error = caught(|state, _| *object(state) = blocks::random_bytes(50_001)).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let error = caught(|state, _| *object(state) = object(state).slice(..49_999)).await;
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    let error = caught(|state, _| state.files.retain(|name, _| !name.starts_with("data/"))).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn old_blocks_that_a_server_encodes_anew_are_restored() {
    let repository = memory().await;
    let id = blocks::new_id();
    let old = |block: EncodedBlock| EncodedBlock::encode(block.block, ManifestVersion::V2).unwrap();
    let seed = old(blocks::seed(&id));
    let info = old(blocks::info(&seed, "written by an older node"));
    let chain = [seed, info];
    let dataset = repository.create(id, None, &chain).await.unwrap();
    let server = FileServer::of(&dataset).await;
    server.state(|state| {
        for block in &chain {
            let anew = EncodedBlock::encode(block.block.clone(), ManifestVersion::V3).unwrap();
            assert_ne!(anew.hash, block.hash);
            state.files.insert(name(block), anew.bytes);
        }
    });
    let target = memory().await.dataset(id);
    let _stats = moved(
        &run(&remote(&server), &Place::Stored(target.clone()), &strict())
            .await
            .unwrap(),
    );
    let copied = blocks::chain(&target).await;
    assert!(copied.iter().rev().eq(chain.iter()));
}

#[test]
fn addresses_are_checked() {
    for address in [
        "ftp://host/a/b",
        "https://me:secret@host/a/b",
        "https://host/a?token=secret",
        "nonsense",
        "odf+file:///a",
    ] {
        let error = RemoteDataset::open(address, &RemoteOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
