//! Making chains.

use super::dsl::{day, parse, seed, state_of};
use crate::chain::{ChainState, Rule, Strictness};
use crate::codec::{EncodedBlock, ManifestVersion};
use crate::identity::Multihash;
use crate::metadata::MetadataEvent;

/// The state of encoded blocks, as a reader finds it.
pub(super) fn reload(blocks: &[EncodedBlock], strictness: Strictness) -> ChainState {
    let decoded: Vec<_> = blocks
        .iter()
        .map(|block| EncodedBlock::from_bytes(block.bytes.clone()).unwrap())
        .collect();
    let mut state = ChainState::start(decoded[0].hash, &decoded[0].block).unwrap();
    for block in &decoded[1..] {
        state.apply(block.hash, &block.block, strictness).unwrap();
    }
    state
}

#[test]
fn datasets_are_created_and_grow() {
    for version in [ManifestVersion::V2, ManifestVersion::V3] {
        let empty = state_of("root");
        let definition = vec![parse(&empty, "push x"), parse(&empty, "info x")];
        let (mut blocks, created) = ChainState::create(seed("root"), definition, day(1), version).unwrap();
        assert_eq!(blocks.len(), 3);
        assert!(blocks.iter().all(|block| block.block.system_time == day(1)));
        assert!(
            blocks
                .iter()
                .all(|block| block.hash == Multihash::sha3_256(&block.bytes))
        );
        assert_eq!((created.sequence_number(), created.head()), (2, blocks[2].hash));

        let events = vec![parse(&created, "schema n:i64"), parse(&created, "add 0-9 wm=1")];
        let (more, grown) = created.append(events, day(2), version).unwrap();
        assert_eq!(more[0].block.prev_block_hash, Some(created.head()));
        assert_eq!(
            (grown.sequence_number(), grown.head(), grown.last_offset()),
            (4, more[1].hash, Some(9))
        );
        assert_eq!(created.last_offset(), None);

        blocks.extend(more);
        assert_eq!(reload(&blocks, Strictness::Append), grown);
        assert_eq!(reload(&blocks, Strictness::Read), grown);
    }
}

#[test]
fn no_events_make_no_blocks() {
    let state = state_of("root | info x");
    let (blocks, same) = state.append(Vec::new(), day(1), ManifestVersion::V3).unwrap();
    assert!(blocks.is_empty());
    assert_eq!(same, state);
}

#[test]
fn broken_events_make_no_blocks() {
    let state = state_of("root | schema | add 0-9 wm=1");
    let events = vec![parse(&state, "info x"), parse(&state, "add 11-19 wm=1")];
    let error = state.append(events, day(1), ManifestVersion::V3).unwrap_err();
    assert_eq!(error.rule(), Some("D1"));
    assert_eq!(error.context(), [("event", "1".to_owned())]);
    assert_eq!(
        error.to_string(),
        "the slice must start right after the last offset, at 10, but starts at 11 (rule: D1, event: 1)"
    );

    let repeated = parse(&state, "add wm=1");
    let error = state.append(vec![repeated], day(1), ManifestVersion::V3).unwrap_err();
    assert!(Rule::of(&error).unwrap().is_no_op());

    let error = state
        .append(vec![parse(&state, "info x")], day(-1), ManifestVersion::V3)
        .unwrap_err();
    assert_eq!(error.rule(), Some("G4"));

    let error = ChainState::create(
        seed("root"),
        vec![MetadataEvent::Seed(seed("root"))],
        day(1),
        ManifestVersion::V3,
    )
    .unwrap_err();
    assert_eq!(error.rule(), Some("G1"));
}
