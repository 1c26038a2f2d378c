//! `yaml-vectors.json`: the written forms of events and their parts, with what must be accepted and refused.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::identity::{DatasetId, Multihash};
use crate::metadata::{
    DataSchema, FetchStep, MergeStrategy, MetadataBlock, MetadataEvent, ReadStep, SourceOrdering, Transform,
};

fn documents(test: &str) -> Vec<String> {
    let all: Value = serde_json::from_str(include_str!("../../tests/vectors/yaml-vectors.json")).unwrap();
    let item = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["test"] == test)
        .unwrap();
    item["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// What a document holds, without the manifest around it.
fn content(document: &str) -> Value {
    let value: Value = serde_yaml_ng::from_str(document).unwrap();
    value.get("content").cloned().unwrap_or(value)
}

/// The document must be read, and written again as it was.
fn check_canonical<T: DeserializeOwned + Serialize>(document: &str) -> T {
    let value: T = serde_json::from_value(content(document)).unwrap();
    assert_eq!(serde_json::to_value(&value).unwrap(), content(document));
    value
}

#[test]
fn kinds_are_accepted_in_three_spellings() {
    let documents = documents("serde_enum_tagging");
    let expected: ReadStep = check_canonical(&documents[0]);
    for accepted in &documents[1..4] {
        assert_eq!(
            serde_yaml_ng::from_str::<ReadStep>(accepted).unwrap(),
            expected,
            "{accepted}"
        );
    }
    assert!(serde_yaml_ng::from_str::<ReadStep>(&documents[4]).is_err());
}

#[test]
fn names_are_accepted_in_three_spellings() {
    let documents = documents("serde_string_enum_names");
    let expected: SourceOrdering = check_canonical(&documents[0]);
    for accepted in &documents[1..3] {
        assert_eq!(
            serde_yaml_ng::from_str::<SourceOrdering>(accepted).unwrap(),
            expected,
            "{accepted}"
        );
    }
    assert!(serde_yaml_ng::from_str::<SourceOrdering>(&documents[3]).is_err());
}

#[test]
fn unions_have_a_short_form() {
    let documents = documents("serde_enum_short_form");
    let schema: DataSchema = serde_yaml_ng::from_str(&documents[0]).unwrap();
    assert_eq!(schema, check_canonical(&documents[1]));
    let error = serde_yaml_ng::from_str::<DataSchema>(&documents[2]).unwrap_err();
    assert!(error.to_string().contains("unknown variant `Invalid`"), "{error}");
}

#[test]
fn short_forms_stand_wherever_a_kind_may_stand_alone() {
    let long = json!({
        "kind": "SetPollingSource",
        "fetch": {"kind": "Url", "url": "https://example.net", "cache": {"kind": "Forever"}, "eventTime": {"kind": "FromMetadata"}},
        "read": {"kind": "Csv"},
        "merge": {"kind": "Append"},
    });
    let short = json!({
        "kind": "setpollingsource",
        "fetch": {"kind": "url", "url": "https://example.net", "cache": "forever", "eventTime": "fromMetadata"},
        "read": "csv",
        "merge": "append",
    });
    let event: MetadataEvent = serde_json::from_value(short).unwrap();
    assert_eq!(serde_json::to_value(event).unwrap(), long);

    let long = json!({"fields": [{"name": "a", "type": {"kind": "List", "itemType": {"kind": "Option", "inner": {"kind": "UInt8"}}}}]});
    let short =
        json!({"fields": [{"name": "a", "type": {"kind": "list", "itemType": {"kind": "option", "inner": "uInt8"}}}]});
    let schema: DataSchema = serde_json::from_value(short).unwrap();
    assert_eq!(serde_json::to_value(schema).unwrap(), long);
    let absent = json!({"kind": "Url", "url": "https://example.net", "cache": null});
    assert!(matches!(
        serde_json::from_value(absent).unwrap(),
        FetchStep::Url { cache: None, .. }
    ));
}

#[test]
fn blocks_events_and_parts_are_written_as_they_were_read() {
    for test in ["serde_set_data_schema", "serde_set_data_schema_legacy"] {
        check_canonical::<MetadataBlock>(&documents(test)[0]);
    }
    let block: MetadataBlock = check_canonical(&documents("serde_metadata_block")[0]);
    assert_eq!(block.prev_block_hash, Some(Multihash::sha3_256(b"prev")));
    let MetadataEvent::ExecuteTransform(event) = block.event else {
        unreachable!()
    };
    let inputs: Vec<DatasetId> = event.query_inputs.iter().map(|input| input.dataset_id).collect();
    assert_eq!(inputs, [DatasetId::seeded(b"input1"), DatasetId::seeded(b"input2")]);

    check_canonical::<FetchStep>(&documents("serde_fetch_step_files_glob")[0]);
    check_canonical::<Transform>(&documents("serde_transform")[0]);
    for test in ["serde_dataset_snapshot_root", "serde_dataset_snapshot_derivative"] {
        let snapshot = content(&documents(test)[0]);
        let events: Vec<MetadataEvent> = serde_json::from_value(snapshot["metadata"].clone()).unwrap();
        assert_eq!(serde_json::to_value(events).unwrap(), snapshot["metadata"]);
    }
}

#[test]
fn unknown_properties_and_types_are_refused() {
    let documents = documents("serde_set_data_schema_validation");
    check_canonical::<MetadataEvent>(&documents[0]);
    assert!(serde_json::from_value::<MetadataEvent>(content(&documents[1])).is_err());
    check_canonical::<MetadataEvent>(&documents[2]);
    for unknown in [
        json!({"kind": "Ledger", "primaryKey": ["a"], "x": 1}),
        json!({"kind": "Append", "primaryKey": ["a"]}),
    ] {
        assert!(
            serde_json::from_value::<MergeStrategy>(unknown.clone()).is_err(),
            "{unknown}"
        );
    }
    assert!(serde_json::from_value::<MetadataEvent>(json!({"kind": "SetInfo", "desc": "x"})).is_err());
}
