use proptest::prelude::*;
use sha3::{Digest, Sha3_256};

use super::{BLOCK, Sponge, absorb};

#[test]
fn every_length_around_a_block_has_the_standard_hash() {
    for length in (0..2 * BLOCK + 2).chain([10_000, 10 * BLOCK]) {
        let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let mut sponge = Sponge::new();
        sponge.push(&bytes);
        assert_eq!(
            sponge.finish(),
            <[u8; 32]>::from(Sha3_256::digest(&bytes)),
            "{length} bytes"
        );
    }
}

proptest! {
    /// However many streams there are, however long each is and whenever they are hashed.
    #[test]
    fn streams_hashed_together_are_hashed_as_if_alone(
        rounds in prop::collection::vec(prop::collection::vec(0_usize..3000, 1..20), 1..5),
    ) {
        let streams = rounds.iter().map(Vec::len).max().unwrap_or_default();
        let mut together: Vec<Sponge> = (0..streams).map(|_| Sponge::new()).collect();
        let mut alone: Vec<Sha3_256> = (0..streams).map(|_| Sha3_256::new()).collect();
        for (round, lengths) in rounds.iter().enumerate() {
            for (stream, length) in lengths.iter().enumerate() {
                let bytes: Vec<u8> = (0..*length).map(|index| (index * 7 + stream + round) as u8).collect();
                together[stream].push(&bytes);
                alone[stream].update(&bytes);
            }
            absorb(together.iter_mut());
        }
        for (sponge, hasher) in together.into_iter().zip(alone) {
            prop_assert_eq!(sponge.finish(), <[u8; 32]>::from(hasher.finalize()));
        }
    }
}
