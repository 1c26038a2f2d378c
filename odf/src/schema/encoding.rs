//! Attributes of a column that say how Arrow lays out its values, where that is not the usual way.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::metadata::{DataField, DataSchema, DataType, ExtraAttributes};

const BUFFER: &str = "arrow.apache.org/bufferEncoding";
const DATE: &str = "arrow.apache.org/dateEncoding";
const DECIMAL: &str = "arrow.apache.org/decimalEncoding";

/// An unusual layout. A column without one has the usual layout of its type: 32-bit offsets, dates in days, and decimals
/// as narrow as possible but at least 128 bits wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Contiguous values with 64-bit offsets.
    LargeOffsets,
    /// Views into several buffers, with 32-bit offsets.
    View,
    /// Views with 64-bit offsets, which lists alone have.
    LargeView,
    /// Dates in milliseconds.
    DateMillisecond,
    /// Decimals of this many bits.
    DecimalBits(u64),
}

impl Encoding {
    /// The attribute that says so.
    pub(super) fn to_attributes(self) -> ExtraAttributes {
        let (key, value) = match self {
            Self::LargeOffsets => (BUFFER, json!({"kind": "Contiguous", "offsetBitWidth": 64})),
            Self::View => (BUFFER, json!({"kind": "View", "offsetBitWidth": 32})),
            Self::LargeView => (BUFFER, json!({"kind": "View", "offsetBitWidth": 64})),
            Self::DateMillisecond => (DATE, json!({"unit": "Millisecond"})),
            Self::DecimalBits(bits) => (DECIMAL, json!({"bitWidth": bits})),
        };
        ExtraAttributes(Map::from_iter([(key.to_owned(), value)]))
    }

    /// The layout that a column of this type asks for; `None` for the usual one.
    pub(super) fn of(field: &DataField) -> Result<Option<Self>> {
        let Some(ExtraAttributes(attributes)) = &field.extra else {
            return Ok(None);
        };
        let key = match field.r#type.without_option() {
            DataType::String | DataType::Binary { .. } | DataType::List { .. } => BUFFER,
            DataType::Date => DATE,
            DataType::Decimal { .. } => DECIMAL,
            _ => return Ok(None),
        };
        let Some(value) = attributes.get(key) else {
            return Ok(None);
        };
        let text = |property: &str| value.get(property).and_then(Value::as_str);
        let number = |property: &str| value.get(property).and_then(Value::as_u64);
        match (key, text("kind"), number("offsetBitWidth")) {
            (BUFFER, Some("Contiguous"), Some(32) | None) => Ok(None),
            (BUFFER, Some("Contiguous"), Some(64)) => Ok(Some(Self::LargeOffsets)),
            (BUFFER, Some("View"), Some(32) | None) => Ok(Some(Self::View)),
            (BUFFER, Some("View"), Some(64)) => Ok(Some(Self::LargeView)),
            (DATE, ..) if text("unit") == Some("Day") => Ok(None),
            (DATE, ..) if text("unit") == Some("Millisecond") => Ok(Some(Self::DateMillisecond)),
            (DECIMAL, ..) => match number("bitWidth") {
                Some(bits @ (32 | 64 | 128 | 256)) => Ok(Some(Self::DecimalBits(bits))),
                _ => Err(unknown(key, value)),
            },
            _ => Err(unknown(key, value)),
        }
    }
}

fn unknown(key: &'static str, value: &Value) -> Error {
    Error::unsupported("not a known encoding of a column")
        .with_context("attribute", key)
        .with_context("value", value)
}

impl DataSchema {
    /// Takes away the attributes that say how Arrow lays out values, at every level. A schema that is committed does not
    /// have them, so that another layout is not another schema.
    #[must_use]
    pub fn strip_encoding(mut self) -> Self {
        strip_fields(&mut self.fields);
        self
    }
}

fn strip_fields(fields: &mut [DataField]) {
    for field in fields {
        if let Some(ExtraAttributes(attributes)) = &mut field.extra {
            for key in [BUFFER, DATE, DECIMAL] {
                attributes.remove(key);
            }
            if attributes.is_empty() {
                field.extra = None;
            }
        }
        strip_type(&mut field.r#type);
    }
}

fn strip_type(data_type: &mut DataType) {
    match data_type {
        DataType::Struct { fields } => strip_fields(fields),
        DataType::Option { inner } => strip_type(inner),
        DataType::List { item_type, .. } => strip_type(item_type),
        DataType::Map {
            key_type, value_type, ..
        } => {
            strip_type(key_type);
            strip_type(value_type);
        }
        _ => {}
    }
}
