//! Chains that another implementation wrote: root datasets with every merge strategy.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::chain::{Advanced, ChainState, Strictness, advance, load, walk_back};
use crate::codec::EncodedBlock;
use crate::metadata::DatasetKind;
use crate::storage::{DatasetStorage, Repository, RepositoryOptions};

struct Expected {
    id: &'static str,
    blocks: u64,
    slices: u64,
    last_offset: u64,
    data_bytes: u64,
    watermark: &'static str,
    /// After the system columns.
    columns: &'static [&'static str],
}

#[rustfmt::skip]
const EXPECTED: [Expected; 7] = [
    // bank.transactions: ledger
    Expected { id: "did:odf:fed0177cbd6b17717a2c33968cfdadc15669a0fbeb251a1ef44219f3dbd373aada6e8", blocks: 7, slices: 4, last_offset: 89, data_bytes: 11276, watermark: "2024-01-04T23:00:00Z", columns: &["tx", "account", "amount"] },
    // cities.population: snapshot
    Expected { id: "did:odf:fed019e0938cffe5a2ef22e9e4cebaabb46e973dbf6a11301550a21c887d451c6132c", blocks: 7, slices: 4, last_offset: 12, data_bytes: 8154, watermark: "2024-01-04T00:00:00Z", columns: &["city", "population"] },
    // files.polled: polling source
    Expected { id: POLLED, blocks: 5, slices: 2, last_offset: 4, data_bytes: 4541, watermark: "2024-02-02T00:00:00Z", columns: &["id", "name", "score"] },
    // registry.changes: changelog stream
    Expected { id: "did:odf:fed017142eb25f4e5252d42f4ceda98f12ec6fa2ae7275429e51bf3ef0b23c052989f", blocks: 5, slices: 2, last_offset: 8, data_bytes: 4003, watermark: "2024-01-02T00:00:00Z", columns: &["id", "v"] },
    // sensors.readings: append, with licence, description, attachment and a watermark of its own
    Expected { id: SENSORS, blocks: 11, slices: 4, last_offset: 199, data_bytes: 13914, watermark: "2024-02-01T00:00:00Z", columns: &["sensor", "value", "note", "ok"] },
    // shop.inventory: upsert stream
    Expected { id: "did:odf:fed015335b8048e81d653e2e3b74635bd252a795b30f8563637e95ca7d3beff266c3f", blocks: 7, slices: 4, last_offset: 63, data_bytes: 8506, watermark: "2024-01-04T00:00:00Z", columns: &["sku", "qty"] },
    // weather.vocab: event time is a date called `day`
    Expected { id: VOCAB, blocks: 6, slices: 2, last_offset: 4, data_bytes: 3740, watermark: "2024-01-05T00:00:00Z", columns: &["station", "temp"] },
];

const POLLED: &str = "did:odf:fed0122cd2a53dce5f511a96ec6c570b7506ab04b77ce1f478caa570d49dbc84ba9e1";
const SENSORS: &str = "did:odf:fed01f29abadcb7e55a5594ab7f23cf2da1b1ed29f1decaaf36d1178240735d37ca27";
const VOCAB: &str = "did:odf:fed010bb5e3b61b8737e8f089ff00c58a8fec72ed630df8f794b429575ac5f15bea9f";

async fn open(id: &str) -> DatasetStorage {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/datasets");
    assert!(path.is_dir(), "the fixtures are missing: {}", path.display());
    let repository = Repository::open(path.to_str().unwrap(), &RepositoryOptions::default())
        .await
        .unwrap();
    repository.dataset(id.parse().unwrap())
}

async fn load_head(storage: &DatasetStorage) -> (ChainState, Vec<EncodedBlock>) {
    let head = storage.head().await.unwrap().unwrap();
    let mut blocks = Vec::new();
    let state = load(storage, head, |block| blocks.push(block.clone())).await.unwrap();
    (state, blocks)
}

#[tokio::test]
async fn real_chains_add_up_to_what_their_writer_says() {
    for expected in EXPECTED {
        let storage = open(expected.id).await;
        let (state, blocks) = load_head(&storage).await;
        assert_eq!(state.id().to_string(), expected.id);
        assert_eq!(state.kind(), DatasetKind::Root);
        assert_eq!(state.last_offset(), Some(expected.last_offset), "{}", expected.id);
        assert_eq!(
            state.watermark(),
            Some(expected.watermark.parse::<DateTime<Utc>>().unwrap())
        );
        let counts = state.counts();
        assert_eq!(
            (counts.blocks, counts.slices, counts.data_bytes),
            (expected.blocks, expected.slices, expected.data_bytes)
        );
        assert_eq!((counts.records, counts.checkpoint_bytes), (expected.last_offset + 1, 0));
        assert_eq!(blocks.len() as u64, expected.blocks);

        let columns: Vec<_> = state
            .schema()
            .unwrap()
            .fields
            .iter()
            .map(|field| field.name.as_str())
            .collect();
        let system_columns = state.vocabulary().names();
        assert_eq!(columns, [&system_columns, expected.columns].concat());

        let is_polled = expected.id == POLLED;
        assert_eq!(
            (state.polling_source().is_some(), state.push_sources().len()),
            (is_polled, usize::from(!is_polled))
        );
        assert_eq!(
            state.source_state().map(|state| state.value.as_str()),
            is_polled.then_some("poll-2024-02-02.csv")
        );
        assert!(state.transform().is_none() && state.query_inputs().is_none() && state.checkpoint().is_none());
    }
}

#[tokio::test]
async fn real_chains_describe_themselves() {
    let (state, _) = load_head(&open(SENSORS).await).await;
    assert_eq!(
        state.info().unwrap().description.as_deref(),
        Some("Sensor readings with nulls and non-ASCII text")
    );
    assert_eq!(state.license().unwrap().short_name, "CC0");
    assert_eq!(state.attachments().len(), 1);
    let (state, _) = load_head(&open(VOCAB).await).await;
    assert_eq!(state.vocabulary().event_time, "day");
}

#[tokio::test]
async fn real_chains_keep_even_the_rules_for_what_is_written_here() {
    for expected in EXPECTED {
        let (state, blocks) = load_head(&open(expected.id).await).await;
        let mut strict = ChainState::start(blocks[0].hash, &blocks[0].block).unwrap();
        for block in &blocks[1..] {
            strict.apply(block.hash, &block.block, Strictness::Append).unwrap();
        }
        assert_eq!(strict, state);
    }
}

#[tokio::test]
async fn real_chains_can_be_followed_from_any_block() {
    use futures::TryStreamExt;
    for expected in EXPECTED {
        let storage = open(expected.id).await;
        let (state, blocks) = load_head(&storage).await;
        for (index, block) in blocks.iter().enumerate() {
            let mut followed = load(&storage, block.hash, |_| {}).await.unwrap();
            let outcome = advance(&mut followed, &storage, state.head(), |_| {}).await.unwrap();
            let new = blocks.len() - index - 1;
            assert_eq!(
                outcome,
                if new == 0 {
                    Advanced::Unchanged
                } else {
                    Advanced::Forward { blocks: new as u64 }
                }
            );
            assert_eq!(followed, state);
            let walked: Vec<_> = walk_back(&storage, state.head(), Some(block.hash))
                .try_collect()
                .await
                .unwrap();
            assert_eq!(walked.len(), new);
        }
    }
}
