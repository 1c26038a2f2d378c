mod conversion;
mod evolution;
mod legacy;

use crate::metadata::{DataField, DataSchema, DataType};

fn field(name: &str, data_type: DataType) -> DataField {
    DataField {
        name: name.to_owned(),
        r#type: data_type,
        extra: None,
    }
}

fn optional(inner: DataType) -> DataType {
    DataType::Option { inner: Box::new(inner) }
}

fn schema(fields: impl IntoIterator<Item = (&'static str, DataType)>) -> DataSchema {
    DataSchema {
        fields: fields
            .into_iter()
            .map(|(name, data_type)| field(name, data_type))
            .collect(),
        extra: None,
    }
}
