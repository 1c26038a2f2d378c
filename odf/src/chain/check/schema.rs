//! Rules of SetDataSchema.

use crate::chain::apply::Strictness;
use crate::chain::rule::Rule;
use crate::chain::state::ChainState;
use crate::chain::vocabulary::Vocabulary;
use crate::error::Result;
use crate::metadata::{DataField, DataSchema, DataType, SetDataSchema};
use crate::schema::check_evolution;

/// All rules of SetDataSchema. Returns the schema in ODF types.
pub(in crate::chain) fn check_schema(
    state: &ChainState,
    event: &SetDataSchema,
    strictness: Strictness,
) -> Result<DataSchema> {
    let schema = match (&event.schema, &event.raw_arrow_schema) {
        (Some(schema), None) => schema,
        (None, Some(_)) if strictness == Strictness::Read => return event.to_schema(),
        (None, Some(_)) => {
            return Err(Rule::S1.broken("a schema must be given as `schema`, but is in the old form `rawArrowSchema`"));
        }
        (Some(_), Some(_)) => {
            return Err(
                Rule::S1.broken("a schema must be given once, but is there as `schema` and as `rawArrowSchema`")
            );
        }
        (None, None) => return Err(Rule::S1.broken("a schema must be given as `schema`, but there is none")),
    };
    if let Err(error) = check_system_columns(schema, &state.vocabulary) {
        if strictness == Strictness::Append {
            return Err(error);
        }
        tracing::warn!(dataset.id = %state.id, %error, "the chain has a schema without proper system columns");
    }
    if let Some(previous) = &state.schema {
        check_change(state, previous, event, schema, strictness)?;
    }
    Ok(schema.clone())
}

/// S2 and S3: how the schema changes.
fn check_change(
    state: &ChainState,
    previous: &DataSchema,
    event: &SetDataSchema,
    schema: &DataSchema,
    strictness: Strictness,
) -> Result<()> {
    if strictness == Strictness::Append && previous.is_equivalent(schema) {
        return Err(
            Rule::S2.broken("the schema must differ from the previous one, but is the same; leave the event out")
        );
    }
    let previous_event = match &state.legacy_schema {
        Some(event) => SetDataSchema::clone(event),
        None => SetDataSchema {
            raw_arrow_schema: None,
            schema: Some(previous.clone()),
        },
    };
    let Err(error) = check_evolution(&previous_event, event) else {
        return Ok(());
    };
    let is_lenient = strictness == Strictness::Read && Rule::of(&error) == Some(Rule::S3);
    let (before, after) = (previous.normalized(), schema.normalized());
    if is_lenient && reference_accepts(&before.fields, &after.fields, state.legacy_schema.is_some()) {
        tracing::warn!(dataset.id = %state.id, %error, "the chain changes types of its columns");
        return Ok(());
    }
    Err(error)
}

/// Whether the reference implementation takes the change: it compares the types of columns only when their names, order
/// and number stay the same.
fn reference_accepts(before: &[DataField], after: &[DataField], ignores_optionality: bool) -> bool {
    let same_names = before
        .iter()
        .map(|field| &field.name)
        .eq(after.iter().map(|field| &field.name));
    if same_names {
        let mut pairs = before.iter().zip(after);
        return pairs.all(|(before, after)| reference_accepts_type(&before.r#type, &after.r#type, ignores_optionality));
    }
    let has = |fields: &[DataField], name: &str| fields.iter().any(|field| field.name == name);
    let keeps_all = before.iter().all(|field| has(after, &field.name));
    let adds_optional = after
        .iter()
        .all(|field| has(before, &field.name) || field.r#type.is_optional());
    keeps_all && adds_optional
}

fn reference_accepts_type(before: &DataType, after: &DataType, ignores_optionality: bool) -> bool {
    if !ignores_optionality && before.is_optional() != after.is_optional() {
        return false;
    }
    match (before.without_option(), after.without_option()) {
        (DataType::Struct { fields: before }, DataType::Struct { fields: after }) => {
            reference_accepts(before, after, ignores_optionality)
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
        ) => length_before == length_after && reference_accepts_type(before, after, ignores_optionality),
        (before, after) => before == after,
    }
}

/// S4: the four columns are there, with types that slices have. They may be optional: older writers left them so, the
/// reference still does where a column comes from the input, and no later schema may change it.
fn check_system_columns(schema: &DataSchema, vocabulary: &Vocabulary) -> Result<()> {
    let expect = |name: &str, wanted: &str, fits: fn(&DataType) -> bool| match schema.field(name) {
        Some(field) if fits(field.r#type.without_option()) => Ok(()),
        Some(field) => Err(Rule::S4.broken(format!(
            "the system column \"{name}\" must be {wanted}, but is {:?}",
            field.r#type
        ))),
        None => Err(Rule::S4.broken(format!(
            "the schema must have the system column \"{name}\" ({wanted}), but has none"
        ))),
    };
    expect(&vocabulary.offset, "an Int64", |found| matches!(found, DataType::Int64))?;
    expect(&vocabulary.operation_type, "an Int32", |found| {
        matches!(found, DataType::Int32)
    })?;
    expect(&vocabulary.system_time, "a Timestamp", |found| {
        matches!(found, DataType::Timestamp { .. })
    })?;
    expect(&vocabulary.event_time, "a Timestamp or Date", |found| {
        matches!(found, DataType::Timestamp { .. } | DataType::Date)
    })
}
