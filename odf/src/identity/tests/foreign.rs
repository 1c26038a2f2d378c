//! Foreign text and bytes: refused or read, never a panic.

use proptest::prelude::*;

use crate::identity::{
    AccountId, DatasetAlias, DatasetAliasPattern, DatasetId, DatasetRef, Multihash, RemoteDatasetRef, multibase, varint,
};

const TEXTS: [&str; 6] = [
    "f162008c3792b2a4deed1bd7ea2328fb5de5531eccf0fbfa04a7d800cdc267137c635",
    "zW1a3CNT52HXJiNniLkWMeev3CPRy9QiNRMWGyTrVNg4hY8",
    "did:odf:fed012126262ba49e1ba8392c26f7a39e1ba8d756c7469786d3365200c68402ff65dc",
    "did:key:z6MkggfEoTnRceFGdwjUtm1JaWeHQVKUpttKZUY6KAMaWvqq",
    "did:pkh:eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a",
    "hub/alice/net.example.%",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_texts(which in 0..TEXTS.len(), at in 0_usize..80, with in ".{0,3}", cut in 0_usize..80) {
        let mut chars: Vec<char> = TEXTS[which].chars().collect();
        let at = at % chars.len();
        chars.splice(at..at + 1, with.chars());
        chars.truncate(cut.max(1));
        let text: String = chars.into_iter().collect();
        if let Ok(hash) = text.parse::<Multihash>() {
            prop_assert_eq!(hash.to_string().parse::<Multihash>().unwrap(), hash);
        }
        if let Ok(id) = text.parse::<DatasetId>() {
            prop_assert_eq!(id.to_string().parse::<DatasetId>().unwrap(), id);
        }
        if let Ok(id) = text.parse::<AccountId>() {
            prop_assert_eq!(id.to_string().parse::<AccountId>().unwrap(), id);
        }
        let _ = multibase::decode(&text);
        let _ = text.parse::<DatasetAlias>();
        let _ = text.parse::<DatasetAliasPattern>();
        let _ = text.parse::<DatasetRef>();
        let _ = text.parse::<RemoteDatasetRef>();
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
        if let Ok(hash) = Multihash::from_bytes(&bytes) {
            prop_assert_eq!(hash.to_bytes(), bytes.clone());
        }
        if let Ok(id) = DatasetId::from_bytes(&bytes) {
            prop_assert_eq!(id.to_bytes(), bytes);
        }
    }

    #[test]
    fn numbers_round_trip(value in 0..=u64::MAX >> 1, rest in prop::collection::vec(any::<u8>(), 0..3)) {
        let mut bytes = Vec::new();
        varint::push_varint(value, &mut bytes);
        bytes.extend_from_slice(&rest);
        prop_assert_eq!(varint::take_varint(&bytes), Some((value, rest.as_slice())));
    }
}

#[test]
fn numbers_are_minimal_and_bounded() {
    assert_eq!(varint::take_varint(&[]), None);
    assert_eq!(varint::take_varint(&[0x80]), None);
    assert_eq!(varint::take_varint(&[0x80, 0x00]), None);
    assert_eq!(varint::take_varint(&[0xff; 12]), None);
}

#[test]
fn long_texts_are_refused_at_once() {
    assert!(format!("z{}", "1".repeat(10_000_000)).parse::<Multihash>().is_err());
}
