//! What several events say together.

use chrono::DateTime;
use jetway_odf::metadata::{AddData, ExtraAttributes, SourceState};
use serde_json::{Value, json};

use super::{MAX_ITEMS, merge};

fn with(extra: &Value) -> AddData {
    AddData {
        extra: Some(ExtraAttributes(extra.as_object().unwrap().clone())),
        ..AddData::default()
    }
}

#[test]
fn the_first_says_where_it_starts_and_the_last_where_it_ends() {
    let event = |prev_offset, watermark, state: Option<&str>| AddData {
        prev_offset,
        new_watermark: DateTime::from_timestamp_millis(watermark),
        new_source_state: state.map(|value| SourceState {
            source_name: "default".to_owned(),
            kind: "odf/etag".to_owned(),
            value: value.to_owned(),
        }),
        ..AddData::default()
    };
    let events = [
        event(Some(4), 1, Some("a")),
        event(Some(6), 2, Some("b")),
        event(Some(9), 3, None),
    ];
    // A state that the last event does not repeat is lost, as it was before.
    assert_eq!(merge(events.into_iter()).unwrap(), event(Some(4), 3, None));
}

#[test]
fn lists_grow_counts_add_up_and_later_values_count() {
    let first =
        json!({"keys": [1, 2], "opendatafabric.org/linkedObjects": {"numObjectsNaive": 2}, "by": "ann", "n": 1});
    let next = json!({"keys": [3], "opendatafabric.org/linkedObjects": {"numObjectsNaive": 3, "sizeNaive": 7}, "n": 5});
    let both = json!({"keys": [1, 2, 3], "opendatafabric.org/linkedObjects": {"numObjectsNaive": 5, "sizeNaive": 7}, "by": "ann", "n": 5});
    let events = [with(&first), AddData::default(), with(&next)];
    assert_eq!(merge(events.into_iter()).unwrap(), with(&both));
}

#[test]
fn of_long_lists_the_newest_items_stay() {
    let events = (0..10_000).map(|item| with(&json!({"keys": [item]})));
    let keys: Vec<usize> = (10_000 - MAX_ITEMS..10_000).collect();
    assert_eq!(merge(events).unwrap(), with(&json!({"keys": keys})));
}
