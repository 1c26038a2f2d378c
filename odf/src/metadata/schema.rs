//! ODF's own schema language (RFC-016): logical types, with encodings kept apart as attributes.

use serde::{Deserialize, Serialize};

/// Free-form attributes, ordered by key as the canonical form asks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExtraAttributes(pub serde_json::Map<String, serde_json::Value>);

/// Columns of a dataset, system columns included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataSchema {
    /// The columns, in the order of the slices.
    pub fields: Vec<DataField>,
    /// Attributes of the whole schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<ExtraAttributes>,
}

/// A column or a member of a struct.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataField {
    /// Its name.
    pub name: String,
    /// Its type; nullable columns have [`DataType::Option`].
    #[serde(deserialize_with = "crate::metadata::short_form::required")]
    pub r#type: DataType,
    /// Attributes of the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<ExtraAttributes>,
}

/// A logical type. The order of the variants is the order of the union tags in the format (1 to 24).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the specification and say what they are"
)]
pub enum DataType {
    #[serde(alias = "binary")]
    Binary {
        /// Length in bytes when all values have the same one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fixed_length: Option<u64>,
    },
    #[serde(alias = "bool")]
    Bool,
    #[serde(alias = "date")]
    Date,
    #[serde(alias = "decimal")]
    Decimal { precision: u32, scale: i32 },
    #[serde(alias = "duration")]
    Duration {
        /// Milliseconds when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<TimeUnit>,
    },
    #[serde(alias = "float16")]
    Float16,
    #[serde(alias = "float32")]
    Float32,
    #[serde(alias = "float64")]
    Float64,
    #[serde(alias = "int8")]
    Int8,
    #[serde(alias = "int16")]
    Int16,
    #[serde(alias = "int32")]
    Int32,
    #[serde(alias = "int64")]
    Int64,
    #[serde(alias = "uInt8", alias = "uint8")]
    UInt8,
    #[serde(alias = "uInt16", alias = "uint16")]
    UInt16,
    #[serde(alias = "uInt32", alias = "uint32")]
    UInt32,
    #[serde(alias = "uInt64", alias = "uint64")]
    UInt64,
    #[serde(alias = "list")]
    List {
        #[serde(deserialize_with = "crate::metadata::short_form::required")]
        item_type: Box<DataType>,
        /// Number of items when all values have the same one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fixed_length: Option<u64>,
    },
    #[serde(alias = "map")]
    Map {
        #[serde(deserialize_with = "crate::metadata::short_form::required")]
        key_type: Box<DataType>,
        #[serde(deserialize_with = "crate::metadata::short_form::required")]
        value_type: Box<DataType>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keys_sorted: Option<bool>,
    },
    #[serde(alias = "null")]
    Null,
    /// The value may be null. Options do not nest.
    #[serde(alias = "option")]
    Option {
        #[serde(deserialize_with = "crate::metadata::short_form::required")]
        inner: Box<DataType>,
    },
    #[serde(alias = "struct")]
    Struct { fields: Vec<DataField> },
    #[serde(alias = "time")]
    Time {
        /// Milliseconds when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<TimeUnit>,
    },
    #[serde(alias = "timestamp")]
    Timestamp {
        /// Milliseconds when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<TimeUnit>,
        /// `UTC` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timezone: Option<String>,
    },
    #[serde(alias = "string")]
    String,
}

/// Unit of times, timestamps and durations. The order of the variants is their number in the format (0 to 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum TimeUnit {
    #[serde(alias = "second")]
    Second,
    #[serde(alias = "millisecond")]
    Millisecond,
    #[serde(alias = "microsecond")]
    Microsecond,
    #[serde(alias = "nanosecond")]
    Nanosecond,
}
