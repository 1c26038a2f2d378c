//! Schemas compared by what they mean: an absent property equals its default.

use crate::metadata::{DataField, DataSchema, DataType, ExtraAttributes, TimeUnit};

impl DataSchema {
    /// The same schema with every default spelled out: milliseconds, `UTC`, unsorted keys, no attributes.
    ///
    /// For comparing only. What is written is what was given, because the spelling is part of a block's hash.
    #[must_use]
    pub fn normalized(&self) -> Self {
        Self {
            fields: normalize_fields(&self.fields),
            extra: normalize_extra(self.extra.as_ref()),
        }
    }

    /// Whether both say the same, attributes included.
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        self.normalized() == other.normalized()
    }

    /// The column of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&DataField> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl DataType {
    /// The type of the values that are not null.
    #[must_use]
    pub fn without_option(&self) -> &Self {
        match self {
            Self::Option { inner } => inner,
            other => other,
        }
    }

    /// Whether values may be null.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        matches!(self, Self::Option { .. })
    }
}

fn normalize_fields(fields: &[DataField]) -> Vec<DataField> {
    let normalize = |field: &DataField| DataField {
        name: field.name.clone(),
        r#type: normalize_type(&field.r#type),
        extra: normalize_extra(field.extra.as_ref()),
    };
    fields.iter().map(normalize).collect()
}

fn normalize_type(data_type: &DataType) -> DataType {
    let unit_or_default = |unit: &Option<TimeUnit>| Some(unit.unwrap_or(TimeUnit::Millisecond));
    let boxed = |inner: &DataType| Box::new(normalize_type(inner));
    match data_type {
        DataType::Time { unit } => DataType::Time {
            unit: unit_or_default(unit),
        },
        DataType::Duration { unit } => DataType::Duration {
            unit: unit_or_default(unit),
        },
        DataType::Timestamp { unit, timezone } => DataType::Timestamp {
            unit: unit_or_default(unit),
            timezone: Some(timezone.clone().unwrap_or_else(|| "UTC".to_owned())),
        },
        DataType::Option { inner } => DataType::Option { inner: boxed(inner) },
        DataType::List {
            item_type,
            fixed_length,
        } => DataType::List {
            item_type: boxed(item_type),
            fixed_length: *fixed_length,
        },
        DataType::Map {
            key_type,
            value_type,
            keys_sorted,
        } => DataType::Map {
            key_type: boxed(key_type),
            value_type: boxed(value_type),
            keys_sorted: Some(keys_sorted.unwrap_or(false)),
        },
        DataType::Struct { fields } => DataType::Struct {
            fields: normalize_fields(fields),
        },
        other => other.clone(),
    }
}

fn normalize_extra(extra: Option<&ExtraAttributes>) -> Option<ExtraAttributes> {
    extra
        .filter(|ExtraAttributes(attributes)| !attributes.is_empty())
        .cloned()
}
