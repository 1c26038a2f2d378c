//! Limits, versions and what the tables alone do not say.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::codec::{
    EncodedBlock, MAX_BLOCK_SIZE, ManifestVersion, decode_block, decode_manifest_version, encode_block,
};
use crate::error::ErrorKind;
use crate::identity::Multihash;
use crate::metadata::{
    AddData, DataSchema, DataType, ExtraAttributes, MetadataBlock, MetadataEvent, SetDataSchema, SetInfo,
};

fn block(event: MetadataEvent) -> MetadataBlock {
    MetadataBlock {
        system_time: DateTime::<Utc>::UNIX_EPOCH,
        prev_block_hash: None,
        sequence_number: 0,
        event,
    }
}

fn schema_of(data_type: DataType) -> MetadataBlock {
    let field = crate::metadata::DataField {
        name: "a".to_owned(),
        r#type: data_type,
        extra: None,
    };
    let schema = Some(DataSchema {
        fields: vec![field],
        extra: None,
    });
    block(MetadataEvent::SetDataSchema(SetDataSchema {
        schema,
        raw_arrow_schema: None,
    }))
}

#[test]
fn versions() {
    let info = block(MetadataEvent::SetInfo(SetInfo::default()));
    for version in [ManifestVersion::V2, ManifestVersion::V3] {
        let mut bytes = encode_block(&info, version).unwrap();
        assert_eq!(decode_manifest_version(&bytes).unwrap(), version);
        let number: u8 = if version == ManifestVersion::V2 { 2 } else { 3 };
        let at = bytes.iter().position(|byte| *byte == number).unwrap();
        for unknown in [0, 1, 4] {
            bytes[at] = unknown;
            assert_eq!(
                decode_block(&bytes).unwrap_err().kind(),
                ErrorKind::Unsupported,
                "{unknown}"
            );
        }
    }
}

#[test]
fn hashes_are_checked_on_request() {
    let encoded = EncodedBlock::encode(block(MetadataEvent::SetInfo(SetInfo::default())), ManifestVersion::V3).unwrap();
    let read = EncodedBlock::from_bytes_with_hash(encoded.bytes.clone(), &encoded.hash).unwrap();
    assert_eq!(read, encoded);
    let other = Multihash::sha3_256(b"other");
    let error = EncodedBlock::from_bytes_with_hash(encoded.bytes, &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_schema_event_has_exactly_one_schema() {
    let none = SetDataSchema::default();
    let both = SetDataSchema {
        raw_arrow_schema: Some(vec![1]),
        schema: Some(DataSchema::default()),
    };
    for event in [none, both] {
        let error = encode_block(&block(MetadataEvent::SetDataSchema(event)), ManifestVersion::V3).unwrap_err();
        assert_eq!(error.rule(), Some("S1"));
    }
}

#[test]
fn types_nest_up_to_a_limit() {
    let nested = |depth| {
        let wrap = |inner, _| DataType::List {
            item_type: Box::new(inner),
            fixed_length: None,
        };
        schema_of((0..depth).fold(DataType::Int8, wrap))
    };
    let deep = encode_block(&nested(100), ManifestVersion::V3).unwrap();
    assert_eq!(decode_block(&deep).unwrap(), nested(100));
    let too_deep = encode_block(&nested(200), ManifestVersion::V3).unwrap();
    assert_eq!(decode_block(&too_deep).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn big_blocks_are_refused() {
    let info = SetInfo {
        description: Some("x".repeat(MAX_BLOCK_SIZE)),
        keywords: None,
    };
    let error = encode_block(&block(MetadataEvent::SetInfo(info)), ManifestVersion::V3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        decode_block(&vec![0; MAX_BLOCK_SIZE + 1]).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn missing_fields_are_named() {
    let encoded = encode_block(&block(MetadataEvent::AddData(AddData::default())), ManifestVersion::V3).unwrap();
    // The tag of the event, one of the bytes that are 1, becomes that of SetLicense, whose fields are all required.
    let as_license = (0..encoded.len()).filter(|at| encoded[*at] == 1).find_map(|at| {
        let mut bytes = encoded.clone();
        bytes[at] = 9;
        decode_block(&bytes)
            .err()
            .filter(|error| error.to_string().contains("License"))
    });
    let error = as_license.unwrap();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(
        error.to_string(),
        "a required field is missing (field: SetLicense.short_name)"
    );
}

#[test]
fn attributes_are_written_with_sorted_keys() {
    let object = json!({"b": {"z": 1, "a": [{"y": 1, "x": "é"}]}, "a": null});
    let extra = Some(ExtraAttributes(object.as_object().unwrap().clone()));
    let event = block(MetadataEvent::AddData(AddData {
        extra,
        ..AddData::default()
    }));
    let bytes = encode_block(&event, ManifestVersion::V3).unwrap();
    let canonical = r#"{"a":null,"b":{"a":[{"x":"é","y":1}],"z":1}}"#;
    assert!(
        bytes
            .windows(canonical.len())
            .any(|window| window == canonical.as_bytes())
    );
    assert_eq!(decode_block(&bytes).unwrap(), event);
}
