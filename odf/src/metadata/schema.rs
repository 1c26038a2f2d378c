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
    Binary {
        /// Length in bytes when all values have the same one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fixed_length: Option<u64>,
    },
    Bool,
    Date,
    Decimal {
        precision: u32,
        scale: i32,
    },
    Duration {
        /// Milliseconds when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<TimeUnit>,
    },
    Float16,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    List {
        item_type: Box<DataType>,
        /// Number of items when all values have the same one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fixed_length: Option<u64>,
    },
    Map {
        key_type: Box<DataType>,
        value_type: Box<DataType>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keys_sorted: Option<bool>,
    },
    Null,
    /// The value may be null. Options do not nest.
    Option {
        inner: Box<DataType>,
    },
    Struct {
        fields: Vec<DataField>,
    },
    Time {
        /// Milliseconds when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<TimeUnit>,
    },
    Timestamp {
        /// Milliseconds when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<TimeUnit>,
        /// `UTC` when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timezone: Option<String>,
    },
    String,
}

/// Unit of times, timestamps and durations. The order of the variants is their number in the format (0 to 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum TimeUnit {
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}
