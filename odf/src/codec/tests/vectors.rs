//! `block-vectors*.json`: blocks whose bytes and hashes other implementations agree with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::codec::{EncodedBlock, ManifestVersion, decode_manifest_version, encode_block};
use crate::metadata::MetadataBlock;

pub(super) fn all() -> Vec<Value> {
    let files = [
        include_str!("../../../tests/vectors/block-vectors.json"),
        include_str!("../../../tests/vectors/block-vectors-derived.json"),
    ];
    let read = |file| {
        serde_json::from_str::<Value>(file).unwrap()["vectors"]
            .as_array()
            .unwrap()
            .clone()
    };
    files.into_iter().flat_map(read).collect()
}

pub(super) fn bytes_of(vector: &Value) -> Vec<u8> {
    hex::decode(vector["manifestHex"].as_str().unwrap()).unwrap()
}

/// The vectors' shorthand (`hex:` for bytes, pairs for intervals, two properties left out of `FilesGlob`) in the form of
/// our types.
fn expand(key: &str, value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut expanded: Map<_, _> = object
                .iter()
                .map(|(key, value)| (key.clone(), expand(key, value)))
                .collect();
            if object.get("kind").is_some_and(|kind| kind == "FilesGlob") {
                expanded.insert("eventTime".to_owned(), json!({"kind": "FromMetadata"}));
                expanded.insert("cache".to_owned(), json!({"kind": "Forever"}));
            }
            Value::Object(expanded)
        }
        Value::Array(pair) if key == "offsetInterval" => json!({"start": pair[0], "end": pair[1]}),
        Value::Array(items) => items.iter().map(|item| expand("", item)).collect(),
        Value::String(text) => match (text.strip_prefix("hex:"), key) {
            (Some(digits), "rawArrowSchema") => STANDARD.encode(hex::decode(digits).unwrap()).into(),
            (Some(digits), "datasetId") => format!("did:odf:f{digits}").into(),
            (Some(digits), _) => format!("f{digits}").into(),
            (None, _) => value.clone(),
        },
        other => other.clone(),
    }
}

#[test]
fn every_vector_is_read_and_written_to_the_byte() {
    let vectors = all();
    assert!(vectors.len() >= 26 + 8, "{}", vectors.len());
    for vector in vectors {
        let id = &vector["id"];
        let bytes = bytes_of(&vector);
        let version = match vector["manifestVersion"].as_i64() {
            Some(2) => ManifestVersion::V2,
            _ => ManifestVersion::V3,
        };
        let expected: MetadataBlock = serde_json::from_value(expand("", &vector["block"])).unwrap();
        assert_eq!(decode_manifest_version(&bytes).unwrap(), version, "{id}");
        assert_eq!(
            hex::encode(encode_block(&expected, version).unwrap()),
            hex::encode(&bytes),
            "{id}"
        );

        let encoded = EncodedBlock::from_bytes(Bytes::from(bytes.clone())).unwrap();
        assert_eq!(encoded.block, expected, "{id}");
        assert_eq!(encoded.bytes, bytes, "{id}");
        let hash = vector
            .get("expectedMultihash")
            .or_else(|| vector.get("multihash"))
            .unwrap();
        assert_eq!(hash, &encoded.hash.to_string(), "{id}");

        let json = serde_json::to_value(&encoded.block).unwrap();
        assert_eq!(serde_json::from_value::<MetadataBlock>(json).unwrap(), expected, "{id}");
    }
}
