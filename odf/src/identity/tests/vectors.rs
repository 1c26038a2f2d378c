//! `ids.json`: hashes and DIDs that another implementation agrees with.

use serde_json::Value;

use crate::identity::{AccountId, DatasetId, DatasetNamePattern, Multicodec, Multihash};

fn vectors(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../../tests/vectors/ids.json")).unwrap();
    match &all[section] {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    }
}

fn text<'a>(vector: &'a Value, key: &str) -> Option<&'a str> {
    vector.get(key)?.as_str()
}

#[test]
fn multihashes() {
    let mut seen = 0;
    let mut last = None;
    for vector in vectors("multihash") {
        if let Some(upper) = text(&vector, "equal_uppercase") {
            assert_eq!(upper.parse::<Multihash>().unwrap().to_string(), upper.to_lowercase());
            continue;
        }
        let base16 = text(&vector, "base16").unwrap();
        let hash: Multihash = base16.parse().unwrap();
        assert_eq!(hash.to_string(), base16);
        assert_eq!(Multihash::from_bytes(&hash.to_bytes()).unwrap(), hash);
        let codec = text(&vector, "code").unwrap_or("sha3-256");
        assert_eq!(hash.codec().name(), codec);
        if let Some(base58) = text(&vector, "base58btc") {
            assert_eq!(base58.parse::<Multihash>().unwrap(), hash);
        }
        if let Some(input) = text(&vector, "input_utf8") {
            assert_eq!(Multihash::sha3_256(input.as_bytes()), hash);
        }
        if let Some(short) = text(&vector, "short8") {
            assert_eq!(hash.short(), short);
        }
        assert_ne!(last.replace(hash), Some(hash));
        seen += 1;
    }
    assert_eq!(seen, 13);
}

#[test]
fn logical_hashes_have_their_own_codec() {
    let text = "f9680c001200b3483eecc3d5c6b50ee6b8cba11b51c08f89ea1f53d3a334c743199f5fe656e";
    let hash: Multihash = text.parse().unwrap();
    assert_eq!(hash.codec(), Multicodec::Arrow0Sha3_256);
    assert_eq!(Multihash::arrow0_sha3_256(*hash.digest()), hash);
    assert_eq!((hash.to_string().as_str(), text.len()), (text, 75));
}

#[test]
fn dataset_ids() {
    for vector in vectors("did") {
        if let Some(invalid) = text(&vector, "invalid") {
            assert!(invalid.parse::<DatasetId>().is_err(), "{invalid}");
            continue;
        }
        let did_odf = text(&vector, "did_odf").unwrap();
        let id: DatasetId = did_odf.parse().unwrap();
        assert_eq!(id.to_string(), did_odf);
        assert_eq!(DatasetId::from_bytes(&id.to_bytes()).unwrap(), id);
        assert_eq!(DatasetId::from_multibase(&id.to_multibase()).unwrap(), id);
        if let Some(seed) = text(&vector, "seed") {
            assert_eq!(DatasetId::seeded(seed.as_bytes()), id);
        }
        if let Some(did_key) = text(&vector, "did_key") {
            assert_eq!(id.to_did_key(), did_key);
            assert_eq!(did_key.parse::<DatasetId>().unwrap(), id);
        }
        if let Some(other) = text(&vector, "also_parses") {
            assert_eq!(other.parse::<DatasetId>().unwrap(), id);
        }
    }
}

#[test]
fn generated_ids_belong_to_their_key() {
    let (id, key) = DatasetId::generate();
    assert_eq!(id.public_key(), key.verifying_key().as_bytes());
    assert_ne!(DatasetId::generate().0, id);
}

#[test]
fn account_ids() {
    for vector in vectors("account") {
        let text = vector.as_str().unwrap();
        let id: AccountId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        match id {
            AccountId::Odf(_) => assert!(text.starts_with("did:odf:")),
            AccountId::Pkh(wallet) => {
                let parts = [wallet.namespace(), wallet.chain(), wallet.address()];
                assert_eq!(text, format!("did:pkh:{}", parts.join(":")));
            }
        }
    }
    for invalid in [
        "did:pkh:eip155:1",
        "did:pkh:e:1:0xab",
        "did:pkh:eip155:1:0xab:1",
        "did:key:z6Mk",
        "alice",
        "",
    ] {
        assert!(invalid.parse::<AccountId>().is_err(), "{invalid}");
    }
}

#[test]
fn name_patterns() {
    let all = vectors("namePatterns");
    let texts = |key: &str| all[0][key].as_array().unwrap().clone();
    for valid in texts("valid") {
        let pattern: DatasetNamePattern = valid.as_str().unwrap().parse().unwrap();
        assert_eq!(pattern.to_string(), valid.as_str().unwrap());
    }
    for partial in texts("partial") {
        assert!(
            partial[0].as_str().unwrap().parse::<DatasetNamePattern>().is_err(),
            "{partial}"
        );
        assert!(
            partial[1].as_str().unwrap().parse::<DatasetNamePattern>().is_ok(),
            "{partial}"
        );
    }
    for invalid in texts("invalid") {
        assert!(
            invalid.as_str().unwrap().parse::<DatasetNamePattern>().is_err(),
            "{invalid}"
        );
    }
}
