//! The tables of ODF schemas. Names and order are those of `opendatafabric.fbs`.

use serde_json::{Map, Value};

use super::declare::{encode_table, numbered, record_field, records, unions};
use super::field::{Record, SlotReader};
use super::flatbuffer::{Builder, Offset, Table};
use crate::error::{Error, Result};
use crate::metadata::{DataField, DataSchema, DataType, ExtraAttributes, TimeUnit};

records! {
    DataSchema { fields, extra }
    DataField { name, r#type, extra }
}

unions! {
    DataType {
        1 Binary { fixed_length },
        2 Bool,
        3 Date,
        4 Decimal { precision, scale },
        5 Duration { unit },
        6 Float16,
        7 Float32,
        8 Float64,
        9 Int8,
        10 Int16,
        11 Int32,
        12 Int64,
        13 UInt8,
        14 UInt16,
        15 UInt32,
        16 UInt64,
        17 List { item_type, fixed_length },
        18 Map { key_type, value_type, keys_sorted },
        19 Null,
        20 Option { inner },
        21 Struct { fields },
        22 Time { unit },
        23 Timestamp { unit, timezone },
        24 String,
    }
}

numbered! {
    TimeUnit: i16 { 0 Second, 1 Millisecond, 2 Microsecond, 3 Nanosecond }
}

record_field!(ExtraAttributes);

/// Attributes are one string of JSON in the format. The canonical one has no spaces and sorted keys.
impl Record for ExtraAttributes {
    fn encode(&self, builder: &mut Builder) -> Offset {
        let entries = &Value::Object(sorted(&self.0)).to_string();
        encode_table!(builder, entries)
    }

    fn decode(table: Table<'_>) -> Result<Self> {
        let entries: String = SlotReader::new(table, "ExtraAttributes").read("entries")?;
        let attributes = serde_json::from_str(&entries);
        attributes
            .map(Self)
            .map_err(|error| Error::malformed("the attributes are not a JSON object").with_source(error))
    }
}

/// The same object with sorted keys at every level, even where `serde_json` is built to keep their order.
fn sorted(object: &Map<String, Value>) -> Map<String, Value> {
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by_key(|(key, _)| key.as_str());
    entries
        .into_iter()
        .map(|(key, value)| (key.clone(), sorted_value(value)))
        .collect()
}

fn sorted_value(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(sorted(object)),
        Value::Array(items) => items.iter().map(sorted_value).collect(),
        other => other.clone(),
    }
}
