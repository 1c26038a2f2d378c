//! How a dataset's schema may change.

use crate::codec::decode_arrow_schema;
use crate::error::{Error, Result};
use crate::metadata::{DataField, DataSchema, DataType, SetDataSchema};

impl SetDataSchema {
    /// The schema in ODF's form, whichever form the event has.
    ///
    /// # Errors
    /// `Malformed` if there is no schema or the legacy form cannot be read, `Unsupported` as in [`DataSchema::from_arrow`].
    pub fn to_schema(&self) -> Result<DataSchema> {
        match (&self.schema, &self.raw_arrow_schema) {
            (Some(schema), _) => Ok(schema.clone()),
            (None, Some(raw)) => Ok(DataSchema::from_arrow(&decode_arrow_schema(raw)?)?.strip_encoding()),
            (None, None) => Err(Error::malformed("a schema event has no schema")),
        }
    }
}

/// Checks that `next` may follow `previous`.
///
/// Columns may be added if they are optional, moved, and get other attributes. They may not be removed, become required or
/// optional, or change their type, at any level of structs and lists. When `previous` has the legacy form of schema,
/// optional and required are taken for equal, because old writers were careless about it.
///
/// # Errors
/// `InvalidEvent`: rule `S2` if nothing changes, rule `S3` if the change is not allowed. Also those of
/// [`SetDataSchema::to_schema`].
pub fn check_evolution(previous: &SetDataSchema, next: &SetDataSchema) -> Result<()> {
    let optionality = if previous.schema.is_some() {
        Optionality::MustStay
    } else {
        Optionality::MayChange
    };
    let (before, after) = (previous.to_schema()?.normalized(), next.to_schema()?.normalized());
    let form_changes = previous.schema.is_none() && next.schema.is_some();
    if before == after && !form_changes {
        return Err(Error::invalid_event(
            "S2",
            "the schema is the same as before; leave the event out",
        ));
    }
    check_fields(&before.fields, &after.fields, optionality, &mut Vec::new())
}

/// Whether required and optional are different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Optionality {
    MustStay,
    MayChange,
}

fn check_fields<'a>(
    before: &'a [DataField],
    after: &'a [DataField],
    optionality: Optionality,
    path: &mut Vec<&'a str>,
) -> Result<()> {
    let find = |fields: &'a [DataField], name: &str| fields.iter().find(|field| field.name == name);
    for field in before {
        path.push(&field.name);
        match find(after, &field.name) {
            Some(same) => check_type(&field.r#type, &same.r#type, optionality, path)?,
            None => return Err(refused("a column may not be removed", path)),
        }
        path.pop();
    }
    for field in after {
        path.push(&field.name);
        if find(before, &field.name).is_none() && !field.r#type.is_optional() {
            return Err(refused(
                "a new column must be optional, because earlier rows do not have it",
                path,
            ));
        }
        path.pop();
    }
    Ok(())
}

fn check_type<'a>(
    before: &'a DataType,
    after: &'a DataType,
    optionality: Optionality,
    path: &mut Vec<&'a str>,
) -> Result<()> {
    if optionality == Optionality::MustStay && before.is_optional() != after.is_optional() {
        return Err(refused("a column may not become required or optional", path));
    }
    match (before.without_option(), after.without_option()) {
        (DataType::Struct { fields: before }, DataType::Struct { fields: after }) => {
            check_fields(before, after, optionality, path)
        }
        (
            DataType::List {
                item_type: before,
                fixed_length: length_before,
            },
            DataType::List {
                item_type: after,
                fixed_length: length_after,
            },
        ) if length_before == length_after => {
            path.push("item");
            check_type(before, after, optionality, path)?;
            path.pop();
            Ok(())
        }
        (before, after) if before == after => Ok(()),
        (before, after) => {
            let types = format!("{before:?} -> {after:?}");
            Err(refused("a column may not change its type", path).with_context("types", types))
        }
    }
}

fn refused(message: &'static str, path: &[&str]) -> Error {
    Error::invalid_event("S3", message).with_context("column", path.join("."))
}
