//! Which type stands for which.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, UnionFields};

/// A choice of Arrow types without the encodings that a reader may not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// For clients: no views, dictionaries, run ends or list views.
    Wire,
    /// For the planner: as [`Self::Wire`], but string and binary views stay, since they cost nothing there.
    Upload,
}

impl Shape {
    /// The schema with all types replaced; names, nullability and metadata stay.
    pub(crate) fn schema(self, schema: &Schema) -> SchemaRef {
        let fields: Vec<FieldRef> = schema.fields().iter().map(|field| self.field(field)).collect();
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
        match data_type {
            DataType::Utf8View if self == Self::Wire => DataType::Utf8,
            DataType::BinaryView if self == Self::Wire => DataType::Binary,
            DataType::Dictionary(_, values) => self.data_type(values),
            DataType::RunEndEncoded(_, values) => self.data_type(values.data_type()),
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
}
