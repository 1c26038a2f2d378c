//! How pushed columns become the columns of a dataset.
//!
//! Values never change, only what carries them: views, dictionaries and large or run-end encoded arrays become plain
//! ones; timestamps without a zone become UTC ones, because the format knows no others; `Date64` becomes `Date32`. A
//! column that is called like a system column is renamed to `_name` where rows are appended, and refused where they are
//! merged; one that is called like the event time column is the event time (integers are seconds since 1970, text is
//! RFC 3339), and refused where the dataset would cut it. Streams of changes bring their operations along. What the format cannot say is refused by name.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::util::display::array_value_to_string;
use futures::StreamExt;
use jetway_odf::chain::Vocabulary;
use jetway_odf::hash::LogicalHasher;
use jetway_odf::metadata::{DataSchema, MergeStrategy};

use crate::summary::DatasetSummary;
use crate::{BatchStream, Error, ErrorKind, Result};

/// How many columns a dataset may have: a limit against mistakes, far above what people use.
const MAX_COLUMNS: usize = 10_000;

/// What may differ between rows and dataset.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShapeRules {
    pub(super) system: SystemColumns,
    /// Whether columns that the dataset does not have are added to it.
    pub(super) evolves: bool,
}

/// What becomes of pushed columns that are called like offset, operation and system time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SystemColumns {
    /// They get another name.
    Renamed,
    /// They are refused.
    Refused,
    /// The operation is what it says, the others are refused.
    OperationTaken,
}

impl SystemColumns {
    /// What a merge strategy makes of them.
    pub(super) fn of(merge: &MergeStrategy) -> Self {
        match merge {
            MergeStrategy::Append {} => Self::Renamed,
            MergeStrategy::Ledger { .. } | MergeStrategy::Snapshot { .. } => Self::Refused,
            MergeStrategy::ChangelogStream { .. } | MergeStrategy::UpsertStream { .. } => Self::OperationTaken,
        }
    }
}

/// From the schema of a push to the schema of a dataset.
#[derive(Debug)]
pub(super) struct Shape {
    /// Schema of the dataset's slices, system columns included.
    pub(super) schema: SchemaRef,
    /// The same in ODF's types.
    pub(super) data_schema: DataSchema,
    pub(super) vocabulary: Arc<Vocabulary>,
    /// Schema of the dataset before the push; none if it had none.
    before: Option<SchemaRef>,
    /// Schema of what [`Self::apply`] gives: operation and event time if they were pushed, then the data columns of the
    /// dataset.
    rows: SchemaRef,
    /// Where each column of `rows` comes from; none means nulls.
    sources: Vec<Option<usize>>,
    has_event_time: bool,
}

impl Shape {
    /// The shape of rows for a dataset as it is.
    ///
    /// # Errors
    /// Those of [`Self::new`] and [`Self::existing`].
    pub(super) fn of(pushed: &Schema, summary: &DatasetSummary, rules: ShapeRules) -> Result<Self> {
        let vocabulary = summary.state.vocabulary();
        match summary.state.schema() {
            Some(schema) => Self::existing(pushed, &summary.schema, schema, vocabulary, rules),
            None => Self::new(pushed, vocabulary, rules.system),
        }
    }

    /// The shape of a dataset that gets its schema from the push.
    ///
    /// # Errors
    /// `InvalidArgument` naming the column that cannot be stored.
    pub(super) fn new(pushed: &Schema, vocabulary: &Arc<Vocabulary>, system: SystemColumns) -> Result<Self> {
        check_width(pushed)?;
        let names = stored_names(pushed, vocabulary, system)?;
        let event_time = names.iter().position(|name| *name == vocabulary.event_time);
        let event_type = match event_time {
            Some(index) => event_time_type(pushed.field(index))?,
            None => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        };
        let mut fields = vec![
            Field::new(&vocabulary.offset, DataType::Int64, false),
            Field::new(&vocabulary.operation_type, DataType::Int32, false),
            Field::new(
                &vocabulary.system_time,
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
                false,
            ),
            Field::new(&vocabulary.event_time, event_type, false),
        ];
        for (index, name) in names.iter().enumerate() {
            if Some(index) != event_time && *name != vocabulary.operation_type {
                let field = pushed.field(index);
                let plain = plain_type(field)?;
                fields.push(Field::new(name, plain, field.is_nullable()).with_metadata(field.metadata().clone()));
            }
        }
        let data_schema = DataSchema::from_arrow(&Schema::new(fields))
            .map_err(not_storable)?
            .strip_encoding();
        // What readers will make of it, which may be another width of the same type.
        let schema = Arc::new(data_schema.to_arrow().map_err(not_storable)?);
        LogicalHasher::new(&schema).map_err(not_storable)?;
        Self::between(pushed, &names, schema, data_schema, None, vocabulary)
    }

    /// The shape of a dataset that is there: columns are found by name, in any order; those that are missing become null
    /// where they may, and those that are new are refused or added.
    ///
    /// # Errors
    /// `SchemaMismatch` naming the column that does not fit.
    fn existing(
        pushed: &Schema,
        stored: &SchemaRef,
        data_schema: &DataSchema,
        vocabulary: &Arc<Vocabulary>,
        rules: ShapeRules,
    ) -> Result<Self> {
        check_width(pushed)?;
        let names = stored_names(pushed, vocabulary, rules.system)?;
        let new = match rules.evolves {
            true => new_fields(pushed, &names, stored, vocabulary)?,
            false => Vec::new(),
        };
        let before = Some(Arc::clone(stored));
        if new.is_empty() {
            return Self::between(
                pushed,
                &names,
                Arc::clone(stored),
                data_schema.clone(),
                before,
                vocabulary,
            );
        }
        let added = DataSchema::from_arrow(&Schema::new(new))
            .map_err(not_storable)?
            .strip_encoding();
        let mut data_schema = data_schema.clone();
        data_schema.fields.extend(added.fields);
        let schema = Arc::new(data_schema.to_arrow().map_err(not_storable)?);
        LogicalHasher::new(&schema).map_err(not_storable)?;
        Self::between(pushed, &names, schema, data_schema, before, vocabulary)
    }

    fn between(
        pushed: &Schema,
        names: &[String],
        schema: SchemaRef,
        data_schema: DataSchema,
        before: Option<SchemaRef>,
        vocabulary: &Arc<Vocabulary>,
    ) -> Result<Self> {
        let find = |wanted: &str| {
            let exact = names.iter().position(|name| name == wanted);
            exact.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)))
        };
        let system = vocabulary.names();
        let mut rows = Vec::new();
        let mut sources = Vec::new();
        // Under its own name it is only there where it is taken for what it says.
        let operation = names.iter().position(|name| *name == vocabulary.operation_type);
        if let Some(index) = operation {
            check_operation(pushed.field(index))?;
            rows.push(Arc::new(Field::new(&vocabulary.operation_type, DataType::Int32, true)));
            sources.push(Some(index));
        }
        let event_time = find(&vocabulary.event_time);
        if let Some(index) = event_time {
            let stored = schema
                .field_with_name(&vocabulary.event_time)
                .map_err(|_| no_event_time(vocabulary))?;
            event_time_type(pushed.field(index))?;
            rows.push(Arc::new(Field::new(stored.name(), stored.data_type().clone(), true)));
            sources.push(Some(index));
        }
        for stored in schema
            .fields()
            .iter()
            .filter(|field| !system.contains(&field.name().as_str()))
        {
            let source = find(stored.name());
            match source {
                Some(index) => check_fits(pushed.field(index), stored)?,
                None if stored.is_nullable() => {}
                None => {
                    return Err(Error::new(
                        ErrorKind::SchemaMismatch,
                        format!(
                            "column \"{}\" is missing, and the dataset does not allow it to be null",
                            stored.name()
                        ),
                    ));
                }
            }
            rows.push(Arc::clone(stored));
            sources.push(source);
        }
        if let Some(extra) = (0..names.len()).find(|index| !sources.contains(&Some(*index))) {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!(
                    "the dataset has no column \"{}\"; leave it out, or ask for the schema to evolve",
                    names.get(extra).map_or("", String::as_str)
                ),
            )
            .with_context("columns", column_list(&schema, &system)));
        }
        let rows = Arc::new(Schema::new(rows));
        Ok(Self {
            schema,
            data_schema,
            vocabulary: Arc::clone(vocabulary),
            before,
            rows,
            sources,
            has_event_time: event_time.is_some(),
        })
    }

    /// Schema of what [`Self::apply`] gives.
    pub(super) fn row_schema(&self) -> SchemaRef {
        Arc::clone(&self.rows)
    }

    /// All of a stream, each batch as [`Self::apply`] gives it.
    pub(super) fn apply_to(self: &Arc<Self>, rows: BatchStream) -> BatchStream {
        let shape = Arc::clone(self);
        BatchStream::new(Arc::clone(&self.rows), rows.map(move |batch| shape.apply(&batch?)))
    }

    /// A pushed batch as columns of the dataset: operation and event time first if they were pushed, then the data columns.
    ///
    /// # Errors
    /// `SchemaMismatch` when a value does not fit, such as a null where none may be.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.sources.len());
        for (field, source) in self.rows.fields().iter().zip(&self.sources) {
            let column = match source.and_then(|index| batch.columns().get(index)) {
                None => new_null_array(field.data_type(), batch.num_rows()),
                Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
                Some(column) => {
                    let through = self.event_time_detour(field, column, &options)?;
                    let stored = cast_with_options(&through, field.data_type(), &options)
                        .map_err(|error| bad_value(field, error))?;
                    if *field.name() == self.vocabulary.event_time {
                        check_not_cut(field, &through, &stored)?;
                    }
                    stored
                }
            };
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(Error::new(
                    ErrorKind::SchemaMismatch,
                    format!(
                        "column \"{}\" holds nulls, and the dataset does not allow them",
                        field.name()
                    ),
                ));
            }
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.rows), columns, &options).map_err(|error| {
            Error::new(ErrorKind::SchemaMismatch, "the rows do not fit the dataset").with_source(error)
        })
    }

    /// The schema to announce before the rows, if the chain does not have it yet.
    ///
    /// # Errors
    /// `Conflict` if the chain has got another schema than the rows were shaped for.
    pub(super) fn announcement(&self, summary: &DatasetSummary) -> Result<Option<&DataSchema>> {
        let now = summary.state.schema().map(|_| &summary.schema);
        if now == Some(&self.schema) {
            return Ok(None);
        }
        if now == self.before.as_ref() {
            return Ok(Some(&self.data_schema));
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "the dataset's schema changed while rows were sent; send them again",
        ))
    }

    /// Whether event times were pushed.
    pub(super) fn has_event_time(&self) -> bool {
        self.has_event_time
    }

    /// Whether the rows of both can stand in one slice.
    pub(super) fn gives_same_rows(&self, other: &Self) -> bool {
        self.schema == other.schema && self.rows == other.rows
    }

    /// Integers as event time are seconds, whatever unit the column has.
    fn event_time_detour(&self, field: &Field, column: &ArrayRef, options: &CastOptions<'_>) -> Result<ArrayRef> {
        if *field.name() == self.vocabulary.event_time && column.data_type().is_integer() {
            let seconds =
                cast_with_options(column, &DataType::Int64, options).map_err(|error| bad_value(field, error))?;
            let seconds_type = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
            return cast_with_options(&seconds, &seconds_type, options).map_err(|error| bad_value(field, error));
        }
        Ok(Arc::clone(column))
    }
}

/// Names under which pushed columns are stored.
fn stored_names(pushed: &Schema, vocabulary: &Vocabulary, system: SystemColumns) -> Result<Vec<String>> {
    let reserved = [&vocabulary.offset, &vocabulary.operation_type, &vocabulary.system_time];
    let mut names: Vec<String> = Vec::with_capacity(pushed.fields().len());
    for field in pushed.fields() {
        let name = match (field.name(), system) {
            (name, _) if !reserved.contains(&name) => name.clone(),
            (name, SystemColumns::Renamed) => format!("_{name}"),
            (name, SystemColumns::OperationTaken) if *name == vocabulary.operation_type => name.clone(),
            (name, SystemColumns::Refused | SystemColumns::OperationTaken) => {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "column \"{name}\" is called like a system column, which the node fills in; leave it out, or rename it \
                         in the source's `preprocess`"
                    ),
                ));
            }
        };
        if name.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a column has no name; give it one",
            ));
        }
        if names.contains(&name) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("two columns would be called \"{name}\"; rename one of them"),
            ));
        }
        names.push(name);
    }
    Ok(names)
}

/// Columns that the dataset does not have. Earlier rows have no values for them, so they may be null.
fn new_fields(pushed: &Schema, names: &[String], stored: &Schema, vocabulary: &Vocabulary) -> Result<Vec<Field>> {
    let is_new = |name: &String| {
        let known = stored.fields().iter().map(|field| field.name());
        *name != vocabulary.event_time && known.into_iter().all(|known| !known.eq_ignore_ascii_case(name))
    };
    let new = names.iter().zip(pushed.fields()).filter(|(name, _)| is_new(name));
    new.map(|(name, field)| Ok(Field::new(name, plain_type(field)?, true).with_metadata(field.metadata().clone())))
        .collect()
}

fn check_operation(field: &Field) -> Result<()> {
    match plain_type(field)? {
        data_type if data_type.is_integer() => Ok(()),
        other => Err(Error::new(
            ErrorKind::SchemaMismatch,
            format!(
                "column \"{}\" says what each row does, as an integer from 0 to 3, and {other} was sent",
                field.name()
            ),
        )),
    }
}

fn check_width(pushed: &Schema) -> Result<()> {
    if pushed.fields().is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "the rows have no columns"));
    }
    if pushed.fields().len() > MAX_COLUMNS {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("a dataset has at most {MAX_COLUMNS} columns"),
        ));
    }
    Ok(())
}

fn event_time_type(field: &Field) -> Result<DataType> {
    let millis = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    match plain_type(field)? {
        kept @ (DataType::Timestamp(_, Some(_)) | DataType::Date32) => Ok(kept),
        DataType::Utf8 => Ok(millis),
        other if other.is_integer() => Ok(millis),
        other => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "column \"{}\" is the event time, which is a timestamp, a date, seconds since 1970 or RFC 3339 text, not {other}",
                field.name()
            ),
        )),
    }
}

/// Event times must not be finer than the column that stores them.
fn check_not_cut(field: &Field, pushed: &ArrayRef, stored: &ArrayRef) -> Result<()> {
    let plain = plain_type(&Field::new("", pushed.data_type().clone(), true))?;
    let units: &[TimeUnit] = match (pushed.data_type(), &plain) {
        (DataType::Date64, _) => &[TimeUnit::Millisecond],
        (_, DataType::Timestamp(unit, _)) => std::slice::from_ref(unit),
        // Nanoseconds do not reach as far as texts do.
        (_, DataType::Utf8) => &[TimeUnit::Microsecond, TimeUnit::Nanosecond],
        _ => return Ok(()),
    };
    for unit in units {
        let exact = DataType::Timestamp(*unit, Some("UTC".into()));
        let moments = |column: &ArrayRef| cast(&cast(column, &exact)?, &DataType::Int64);
        let (before, after) = match (moments(pushed), moments(stored)) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(error), _) | (_, Err(error)) => return Err(bad_value(field, error)),
        };
        // What does not fit into the unit is null here.
        let mut moments = before
            .as_primitive::<Int64Type>()
            .iter()
            .zip(after.as_primitive::<Int64Type>());
        let is_cut = |(before, after): (Option<i64>, Option<i64>)| before.zip(after).is_some_and(|(a, b)| a != b);
        if let Some(row) = moments.position(is_cut) {
            let value = array_value_to_string(pushed, row).map_err(|error| bad_value(field, error))?;
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!(
                    "event time \"{}\" is finer than the dataset stores it, {}; round it first, or send it also as a column of \
                     another name",
                    field.name(),
                    field.data_type()
                ),
            )
            .with_context("value", value));
        }
    }
    Ok(())
}

/// Whether values of a pushed column can be stored in a column of the dataset without changing.
fn check_fits(pushed: &Field, stored: &Field) -> Result<()> {
    let plain = plain_type(pushed).unwrap_or_else(|_| pushed.data_type().clone());
    if same_values(&plain, stored.data_type())
        || widens(&plain, stored.data_type())
        || plain == DataType::Null && stored.is_nullable()
    {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::SchemaMismatch,
        format!(
            "column \"{}\" holds {} in the dataset, and {} was sent; cast it first",
            stored.name(),
            stored.data_type(),
            pushed.data_type()
        ),
    ))
}

/// The same type apart from names and nullability of what is inside.
fn same_values(pushed: &DataType, stored: &DataType) -> bool {
    match (pushed, stored) {
        (DataType::List(pushed), DataType::List(stored)) => same_values(pushed.data_type(), stored.data_type()),
        (DataType::FixedSizeList(pushed, n), DataType::FixedSizeList(stored, m)) => {
            n == m && same_values(pushed.data_type(), stored.data_type())
        }
        (DataType::Struct(pushed), DataType::Struct(stored)) => {
            pushed.len() == stored.len()
                && pushed.iter().zip(stored).all(|(pushed, stored)| {
                    pushed.name() == stored.name() && same_values(pushed.data_type(), stored.data_type())
                })
        }
        (DataType::Decimal32(p, s) | DataType::Decimal64(p, s), DataType::Decimal128(q, t)) => p == q && s == t,
        _ => pushed == stored,
    }
}

/// Whether every value of one type is one of the other.
fn widens(from: &DataType, to: &DataType) -> bool {
    let width = |data_type: &DataType| data_type.primitive_width().unwrap_or(0);
    if from.is_integer() && to.is_integer() {
        return match (from.is_signed_integer(), to.is_signed_integer()) {
            (true, true) | (false, false) => width(from) <= width(to),
            (false, true) => width(from) < width(to),
            (true, false) => false,
        };
    }
    matches!(
        (from, to),
        (DataType::Float16, DataType::Float32 | DataType::Float64) | (DataType::Float32, DataType::Float64)
    )
}

/// The type that carries the same values without an encoding of its own.
fn plain_type(field: &Field) -> Result<DataType> {
    let refuse = |why: &str| {
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "column \"{}\" is of type {}, which {why}",
                field.name(),
                field.data_type()
            ),
        ))
    };
    Ok(match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Timestamp(unit, None) => DataType::Timestamp(*unit, Some("UTC".into())),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            DataType::List(plain_item(item)?)
        }
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(plain_item(item)?, *length),
        DataType::Struct(members) => {
            let members = members
                .iter()
                .map(|member| Ok(Arc::new(member.as_ref().clone().with_data_type(plain_type(member)?))))
                .collect::<Result<Fields>>()?;
            DataType::Struct(members)
        }
        DataType::Dictionary(_, values) => plain_type(&field.clone().with_data_type(values.as_ref().clone()))?,
        DataType::RunEndEncoded(_, values) => plain_type(&field.clone().with_data_type(values.data_type().clone()))?,
        DataType::Null => return refuse("holds nothing but nulls; cast it to the type that its values will have"),
        DataType::Map(_, _) => {
            return refuse("cannot be hashed by the format; send it as text, or as two lists of keys and values");
        }
        DataType::Duration(_) => return refuse("cannot be hashed by the format; send it as an integer"),
        DataType::Interval(_) => return refuse("the format does not know; send it as integers"),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale)
            if *scale < 0 =>
        {
            return refuse("cannot be stored with its negative scale; cast it to one with a scale of 0 or more");
        }
        DataType::Union(_, _) => return refuse("the format does not know; send one column for each member"),
        other => other.clone(),
    })
}

fn plain_item(item: &FieldRef) -> Result<FieldRef> {
    Ok(Arc::new(Field::new("item", plain_type(item)?, item.is_nullable())))
}

fn column_list(schema: &Schema, system: &[&str; 4]) -> String {
    let names = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .filter(|name| !system.contains(name));
    names.take(50).collect::<Vec<_>>().join(", ")
}

fn no_event_time(vocabulary: &Vocabulary) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        format!(
            "the dataset's schema has no event time column \"{}\"; leave the column out",
            vocabulary.event_time
        ),
    )
}

fn bad_value(field: &Field, error: arrow::error::ArrowError) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        format!(
            "a value of column \"{}\" cannot be stored as {}",
            field.name(),
            field.data_type()
        ),
    )
    .with_context("reason", error.to_string())
    .with_source(error)
}

fn not_storable(error: jetway_odf::Error) -> Error {
    Error::new(ErrorKind::InvalidArgument, "these columns cannot be stored")
        .with_context("reason", error.to_string())
        .with_source(error)
}
