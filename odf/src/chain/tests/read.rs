//! Reading chains out of storage.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;

use super::dsl::{day, id, parse, seed, state_of};
use crate::chain::read::advance_within;
use crate::chain::{Advanced, ChainState, advance, load, walk_back};
use crate::codec::{EncodedBlock, ManifestVersion};
use crate::error::ErrorKind;
use crate::identity::Multihash;
use crate::storage::{DatasetStorage, Repository, RepositoryOptions};

async fn memory() -> Repository {
    Repository::open("memory:", &RepositoryOptions::default())
        .await
        .unwrap()
}

/// Stores blocks as they are, with no head: reading starts where it is told.
pub(super) async fn store(blocks: &[EncodedBlock]) -> DatasetStorage {
    let storage = memory().await.dataset(id("dataset"));
    for block in blocks {
        let path = format!("{}/blocks/{}", storage.id().to_multibase(), block.hash);
        storage
            .store()
            .put(&path.into(), block.bytes.clone().into())
            .await
            .unwrap();
    }
    storage
}

/// A stored chain and what it should be read as.
struct Stored {
    storage: DatasetStorage,
    blocks: Vec<EncodedBlock>,
    states: Vec<ChainState>,
}

impl Stored {
    /// A dataset with the Seed and one block for each of `events`.
    async fn new(events: &[&str]) -> Self {
        let (mut blocks, mut state) =
            ChainState::create(seed("root"), Vec::new(), day(0), ManifestVersion::V3).unwrap();
        let mut states = vec![state.clone()];
        for event in events {
            let (made, next) = state
                .append(vec![parse(&state, event)], day(0), ManifestVersion::V3)
                .unwrap();
            blocks.extend(made);
            states.push(next.clone());
            state = next;
        }
        Self {
            storage: store(&blocks).await,
            blocks,
            states,
        }
    }

    fn last(&self) -> &ChainState {
        self.states.last().unwrap()
    }

    fn hashes(&self) -> Vec<Multihash> {
        self.blocks.iter().map(|block| block.hash).collect()
    }
}

const EVENTS: [&str; 6] = [
    "push x",
    "schema n:i64",
    "add 0-9 wm=1",
    "info x",
    "add 10-19 wm=2",
    "add wm=3",
];

#[tokio::test]
async fn chains_are_walked_back() {
    let stored = Stored::new(&EVENTS).await;
    let hashes = stored.hashes();
    let walk = async |from: usize, until: Option<Multihash>| {
        walk_back(&stored.storage, hashes[from], until)
            .try_collect::<Vec<_>>()
            .await
    };

    let mut all = walk(6, None).await.unwrap();
    all.reverse();
    assert_eq!(all, stored.blocks);
    let middle: Vec<_> = walk(5, Some(hashes[2]))
        .await
        .unwrap()
        .iter()
        .map(|block| block.hash)
        .collect();
    assert_eq!(middle, [hashes[5], hashes[4], hashes[3]]);
    assert_eq!(walk(4, Some(hashes[4])).await.unwrap(), []);
    assert_eq!(walk(0, None).await.unwrap(), stored.blocks[..1]);

    let error = walk(2, Some(hashes[4])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("history was rewritten"), "{error}");
    let error = walk_back(&stored.storage, super::dsl::hash("nowhere"), None)
        .try_collect::<Vec<_>>()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn chains_are_loaded() {
    let stored = Stored::new(&EVENTS).await;
    for (state, hash) in stored.states.iter().zip(stored.hashes()) {
        let mut seen = Vec::new();
        assert_eq!(
            load(&stored.storage, hash, |block| seen.push(block.hash))
                .await
                .unwrap(),
            *state
        );
        assert_eq!(seen, stored.hashes()[..seen.len()]);
        assert_eq!(seen.len() as u64, state.counts().blocks);
    }
}

#[tokio::test]
async fn states_are_brought_forward_by_new_blocks_only() {
    let stored = Stored::new(&EVENTS).await;
    // With less room than one block, with room for some, and for all of them.
    for budget in [0, 300, 1 << 20] {
        for (from, state) in stored.states.iter().enumerate() {
            for (to, expected) in stored.states.iter().enumerate() {
                let mut state = state.clone();
                let mut seen = Vec::new();
                let outcome = advance_within(budget, &mut state, &stored.storage, expected.head(), |block| {
                    seen.push(block.clone())
                })
                .await
                .unwrap();
                match from.cmp(&to) {
                    std::cmp::Ordering::Less => {
                        assert_eq!(
                            outcome,
                            Advanced::Forward {
                                blocks: (to - from) as u64
                            }
                        );
                        assert_eq!(state, *expected);
                        assert_eq!(seen, stored.blocks[from + 1..=to]);
                    }
                    std::cmp::Ordering::Equal => {
                        assert_eq!((outcome, seen.len()), (Advanced::Unchanged, 0));
                        assert_eq!(state, *expected);
                    }
                    std::cmp::Ordering::Greater => {
                        assert_eq!((outcome, seen.len()), (Advanced::Diverged, 0));
                        assert_eq!(state, stored.states[from]);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn rewritten_history_is_noticed() {
    let stored = Stored::new(&["push x", "info a", "info b"]).await;
    let fork = stored.states[1].clone();
    for events in [
        &["info c"][..],
        &["info c", "info d"],
        &["info c", "info d", "info e", "info f"],
    ] {
        let mut blocks = Vec::new();
        let mut state = fork.clone();
        for event in events {
            let (made, next) = state
                .append(vec![parse(&state, event)], day(0), ManifestVersion::V3)
                .unwrap();
            blocks.extend(made);
            state = next;
        }
        let all: Vec<_> = stored.blocks[..2].iter().chain(&blocks).cloned().collect();
        let rewritten = store(&all).await;

        let mut old = stored.last().clone();
        let outcome = advance(&mut old, &rewritten, state.head(), |_| panic!("no block is shown"))
            .await
            .unwrap();
        assert_eq!(outcome, Advanced::Diverged, "{events:?}");
        assert_eq!(old, *stored.last());
        assert_eq!(load(&rewritten, state.head(), |_| {}).await.unwrap(), state);
    }
}

#[tokio::test]
async fn long_chains_are_loaded_in_turns() {
    let (mut blocks, mut state) = ChainState::create(seed("root"), Vec::new(), day(0), ManifestVersion::V3).unwrap();
    let seeded = state.clone();
    for number in 0..1000 {
        let (made, next) = state
            .append(
                vec![parse(&state, &format!("info number-{number}"))],
                day(0),
                ManifestVersion::V3,
            )
            .unwrap();
        blocks.extend(made);
        state = next;
    }
    let storage = store(&blocks).await;
    assert_eq!(load(&storage, state.head(), |_| {}).await.unwrap(), state);

    let mut advanced = seeded;
    let outcome = advance_within(10_000, &mut advanced, &storage, state.head(), |_| {})
        .await
        .unwrap();
    assert_eq!(outcome, Advanced::Forward { blocks: 1000 });
    assert_eq!(advanced, state);
}

#[tokio::test]
async fn broken_chains_are_refused_and_leave_the_state_alone() {
    let good = state_of("root");
    let (blocks, state) =
        ChainState::create(seed("root"), vec![parse(&good, "info a")], day(0), ManifestVersion::V3).unwrap();
    let block = |event: &str, change: &dyn Fn(&mut crate::metadata::MetadataBlock)| {
        let mut block = super::dsl::next_block(&state, parse(&state, event));
        change(&mut block);
        EncodedBlock::encode(block, ManifestVersion::V3).unwrap()
    };
    let broken = [
        ("G2", block("info b", &|block| block.sequence_number = 3)),
        ("G2", block("info b", &|block| block.prev_block_hash = None)),
        ("G1", block("info b", &|block| block.sequence_number = 0)),
        ("G4", block("info b", &|block| block.system_time = day(-1))),
        ("D5", block("add 0-9", &|_| {})),
        ("G1", block("seed", &|_| {})),
    ];
    for (rule, last) in broken {
        let all: Vec<_> = blocks.iter().cloned().chain([last.clone()]).collect();
        let hashes: Vec<_> = all.iter().map(|block| block.hash.to_string()).collect();
        let storage = store(&all).await;
        let error = load(&storage, last.hash, |_| {}).await.unwrap_err();
        assert_eq!(error.rule(), Some(rule), "{error}");
        assert!(
            error
                .context()
                .iter()
                .any(|(key, value)| *key == "block" && hashes.contains(value)),
            "{error}"
        );

        let mut advanced = state.clone();
        match advance(&mut advanced, &storage, last.hash, |_| {}).await {
            Err(error) => assert_eq!(error.rule(), Some(rule), "{error}"),
            Ok(outcome) => assert_eq!(outcome, Advanced::Diverged),
        }
        assert_eq!(advanced, state);
    }
}

#[tokio::test]
async fn bytes_that_are_not_a_block_are_refused() {
    let (blocks, _) = ChainState::create(seed("root"), Vec::new(), day(0), ManifestVersion::V3).unwrap();
    let garbage = Bytes::from_static(b"not a block");
    let fake = EncodedBlock {
        hash: Multihash::sha3_256(&garbage),
        bytes: garbage,
        block: blocks[0].block.clone(),
    };
    let storage = store(std::slice::from_ref(&fake)).await;
    assert_eq!(
        load(&storage, fake.hash, |_| {}).await.unwrap_err().kind(),
        ErrorKind::Malformed
    );
}

#[tokio::test]
async fn a_chain_of_another_dataset_is_refused() {
    let stored = Stored::new(&["info a"]).await;
    let other = memory().await.dataset(id("other"));
    for block in &stored.blocks {
        let path = format!("{}/blocks/{}", other.id().to_multibase(), block.hash);
        other
            .store()
            .put(&path.into(), block.bytes.clone().into())
            .await
            .unwrap();
    }
    let error = load(&other, stored.last().head(), |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
