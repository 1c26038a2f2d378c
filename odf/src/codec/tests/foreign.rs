//! Foreign bytes: a block or an error, never a panic and never more work than the bytes are worth.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::vectors;
use crate::codec::{ManifestVersion, decode_block, decode_manifest_version, encode_block};

static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| vectors::all().iter().map(vectors::bytes_of).collect());

/// What is read from broken bytes must still be a block that can be written and read.
fn check(bytes: &[u8]) {
    let _ = decode_manifest_version(bytes);
    if let Ok(block) = decode_block(bytes) {
        let again = encode_block(&block, ManifestVersion::V3).unwrap();
        assert_eq!(decode_block(&again).unwrap(), block);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn mutated_blocks(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(255), 1_u8..32]), 1..6),
        cut in prop::option::weighted(0.2, any::<Index>()),
    ) {
        let mut bytes = which.get(&SAMPLES).clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check(&bytes);
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        check(&bytes);
    }
}

#[test]
fn every_truncation_and_every_zeroed_byte() {
    for sample in SAMPLES.iter() {
        for at in 0..sample.len() {
            assert!(decode_block(&sample[..at]).is_err());
            let mut changed = sample.clone();
            changed[at] = 0;
            check(&changed);
        }
    }
}
