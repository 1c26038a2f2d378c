//! Which type stands for which.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, UnionFields};

use super::{WireProfile, without_column_metadata};

/// Digits of the largest unsigned integer of 64 bits.
const UINT64_DIGITS: u8 = 20;

/// A choice of Arrow types without the encodings that a reader may not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// For clients: what their profile says.
    Wire(WireProfile),
    /// For the planner: no dictionaries, run ends or list views, but string and binary views, since they cost nothing there.
    Upload,
}

impl Shape {
    /// The schema with all types replaced; names, nullability and metadata stay, other than that what an answer said of its
    /// columns is not taken back in.
    pub(crate) fn schema(self, schema: &Schema) -> SchemaRef {
        let fields = schema.fields().iter().map(|field| self.field(field));
        let fields: Vec<FieldRef> = match self {
            Self::Wire(_) => fields.collect(),
            Self::Upload => fields.map(without_column_metadata).collect(),
        };
        Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
    }

    fn field(self, field: &FieldRef) -> FieldRef {
        let data_type = self.data_type(field.data_type());
        // A run-end encoded column has its nulls in its values.
        let nullable = field.is_nullable()
            || matches!(field.data_type(), DataType::RunEndEncoded(_, values) if values.is_nullable());
        if data_type == *field.data_type() {
            return Arc::clone(field);
        }
        Arc::new(Field::new(field.name(), data_type, nullable).with_metadata(field.metadata().clone()))
    }

    /// The type that stands for a type.
    pub(crate) fn data_type(self, data_type: &DataType) -> DataType {
        if let Self::Wire(profile) = self
            && let Some(cast) = profile.leaf(data_type)
        {
            return cast;
        }
        match data_type {
            DataType::Dictionary(keys, values) => {
                let values = self.without_encodings().data_type(values);
                if self.keeps_dictionaries() && !values.is_nested() {
                    DataType::Dictionary(keys.clone(), Box::new(values))
                } else {
                    values
                }
            }
            DataType::RunEndEncoded(_, values) => {
                let cast = self.without_encodings().data_type(values.data_type());
                if self.keeps_runs() && cast == *values.data_type() && !cast.is_nested() {
                    data_type.clone()
                } else {
                    cast
                }
            }
            DataType::List(item) | DataType::ListView(item) => DataType::List(self.field(item)),
            DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(self.field(item)),
            DataType::FixedSizeList(item, size) => DataType::FixedSizeList(self.field(item), *size),
            DataType::Map(entries, sorted) => DataType::Map(self.field(entries), *sorted),
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| self.field(field)).collect()),
            DataType::Union(fields, mode) => {
                let fields: UnionFields = fields.iter().map(|(id, field)| (id, self.field(field))).collect();
                DataType::Union(fields, *mode)
            }
            other => other.clone(),
        }
    }

    fn keeps_dictionaries(self) -> bool {
        matches!(self, Self::Wire(profile) if profile.keeps_dictionaries)
    }

    fn keeps_runs(self) -> bool {
        matches!(self, Self::Wire(profile) if profile.keeps_exotic)
    }

    /// For what is inside of a dictionary or of runs: values are plain, since few readers know one encoding in another.
    fn without_encodings(self) -> Self {
        match self {
            Self::Wire(profile) => Self::Wire(WireProfile {
                keeps_views: false,
                keeps_dictionaries: false,
                ..profile
            }),
            Self::Upload => self,
        }
    }
}

impl WireProfile {
    /// What stands for a type without children; none if it stays.
    fn leaf(self, data_type: &DataType) -> Option<DataType> {
        match data_type {
            DataType::Utf8View if !self.keeps_views => Some(DataType::Utf8),
            DataType::BinaryView if !self.keeps_views => Some(DataType::Binary),
            DataType::UInt8 if self.widens_unsigned => Some(DataType::Int16),
            DataType::UInt16 if self.widens_unsigned => Some(DataType::Int32),
            DataType::UInt32 if self.widens_unsigned => Some(DataType::Int64),
            DataType::UInt64 if self.widens_unsigned => Some(DataType::Decimal128(UINT64_DIGITS, 0)),
            DataType::Timestamp(unit, Some(_)) if self.drops_zones => Some(DataType::Timestamp(*unit, None)),
            DataType::Float16 if !self.keeps_exotic => Some(DataType::Float32),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) if !self.keeps_exotic => {
                Some(DataType::Decimal128(*precision, *scale))
            }
            _ => None,
        }
    }
}

/// Whether a type, or one inside of it, is of a kind.
pub(crate) fn any_type(data_type: &DataType, kind: &impl Fn(&DataType) -> bool) -> bool {
    if kind(data_type) {
        return true;
    }
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => any_type(item.data_type(), kind),
        DataType::Struct(fields) => fields.iter().any(|field| any_type(field.data_type(), kind)),
        DataType::Union(fields, _) => fields.iter().any(|(_, field)| any_type(field.data_type(), kind)),
        DataType::Dictionary(_, values) => any_type(values, kind),
        DataType::RunEndEncoded(_, values) => any_type(values.data_type(), kind),
        _ => false,
    }
}

/// Whether a slice of such an array keeps values that it does not show, and the encoder of messages does not leave them out: all that
/// views were cut from would be sent, and of unions in lists the wrong part.
pub(crate) fn has_hidden_values(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8View | DataType::BinaryView | DataType::Union(_, _)
    )
}
