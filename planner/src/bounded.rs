//! Functions that make much of little: a short call could take all memory of the node, or a processor for hours, where nothing
//! can stop it. They refuse what is too much before they begin.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::length::length;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::DataFusionError;
use datafusion::config::ConfigOptions;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// Most bytes that one call makes, for all rows of a batch.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Most bytes that a call with constants makes. Its value becomes a part of the plan, at each place where it is used.
const MAX_CONSTANT_BYTES: u64 = 1024 * 1024;

/// Most steps of one call, for all rows of a batch: about a second.
const MAX_STEPS: u64 = 1_000_000_000;

/// What a call costs, out of its arguments. None if they are of no use, so that the function itself says so.
type Cost = fn(&[ArrayRef]) -> Option<u64>;

/// The functions, by what they cost.
const BY_BYTES: [(&str, Cost); 15] = [
    ("repeat", repeated_text),
    ("lpad", padded_text),
    ("rpad", padded_text),
    ("replace", replaced_text),
    ("regexp_replace", replaced_text),
    ("concat", all_arguments),
    ("concat_ws", all_arguments),
    ("overlay", all_arguments),
    ("make_array", all_arguments),
    ("array_append", all_arguments),
    ("array_concat", all_arguments),
    ("array_repeat", repeated_value),
    ("array_resize", resized_list),
    ("range", range),
    ("generate_series", range),
];
const BY_STEPS: [(&str, Cost); 6] = [
    ("levenshtein", pairs_of_bytes),
    ("array_has_any", pairs_of_items),
    ("array_has_all", pairs_of_items),
    ("array_except", pairs_of_items),
    ("array_intersect", pairs_of_items),
    ("array_union", pairs_of_items),
];

/// Puts bounds to the functions of a session.
pub(crate) fn bound(session: &mut SessionState) -> Result<()> {
    for (names, limit) in [(&BY_BYTES[..], Limit::Bytes), (&BY_STEPS[..], Limit::Steps)] {
        for (name, cost) in names {
            let Some(function) = session.scalar_functions().get(*name).map(Arc::clone) else {
                continue;
            };
            let bounded = Bounded {
                function,
                cost: *cost,
                limit,
            };
            session.register_udf(Arc::new(ScalarUDF::new_from_impl(bounded)))?;
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    Bytes,
    Steps,
}

/// A function that refuses to make too much.
#[derive(Debug)]
struct Bounded {
    function: Arc<ScalarUDF>,
    cost: Cost,
    limit: Limit,
}

impl Bounded {
    fn check(&self, arguments: &ScalarFunctionArgs) -> Result<()> {
        let rows = arguments.number_rows;
        // A call with constants is one row, however many rows it is for.
        let constant = arguments
            .args
            .iter()
            .all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { rows.min(1) } else { rows };
        let arrays = arguments.args.iter().map(|argument| argument.to_array(rows));
        let arrays: Vec<ArrayRef> = arrays.collect::<Result<_, _>>()?;
        let Some(cost) = (self.cost)(&arrays) else {
            return Ok(());
        };
        let (most, what) = match self.limit {
            Limit::Bytes if constant => (MAX_CONSTANT_BYTES, "bytes of a constant"),
            Limit::Bytes => (MAX_BYTES, "bytes at once"),
            Limit::Steps => (MAX_STEPS, "steps at once"),
        };
        if cost > most {
            let name = self.function.name();
            let message = format!(
                "{name} would make {cost} {what}, more than the {most} that it may: call it with shorter texts or lists, or take \
                 rows from generate_series"
            );
            return Err(Error::new(ErrorKind::ResourceExhausted, message));
        }
        Ok(())
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

/// All but the call is as ever. It is not simplified, which would take the bounds away.
impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String, DataFusionError> {
        self.function.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType, DataFusionError> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef, DataFusionError> {
        self.function.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.function.inner().is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        self.check(&args)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        self.function.invoke_with_args(args)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = self.function.inner().with_updated_config(config)?;
        Some(ScalarUDF::new_from_impl(Self {
            function: Arc::new(function),
            cost: self.cost,
            limit: self.limit,
        }))
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>, DataFusionError> {
        self.function.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

fn repeated_text(arguments: &[ArrayRef]) -> Option<u64> {
    let [text, count, ..] = arguments else { return None };
    sum(&lengths(text)?, &numbers(count)?, |length, count| {
        length.saturating_mul(count)
    })
}

/// A padded text has so many characters, of up to four bytes.
fn padded_text(arguments: &[ArrayRef]) -> Option<u64> {
    let [_, wanted, ..] = arguments else { return None };
    Some(total(&numbers(wanted)?).saturating_mul(4))
}

/// What is replaced may be as short as nothing.
fn replaced_text(arguments: &[ArrayRef]) -> Option<u64> {
    let [text, _, by, ..] = arguments else { return None };
    let (text, by) = (lengths(text)?, lengths(by)?);
    // A replacement of a few bytes makes a text larger, but not out of proportion.
    sum(&text, &by, |text, by| {
        if by <= 64 {
            text
        } else {
            text.saturating_add(1).saturating_mul(by)
        }
    })
}

fn all_arguments(arguments: &[ArrayRef]) -> Option<u64> {
    Some(arguments.iter().map(size).fold(0, u64::saturating_add))
}

fn repeated_value(arguments: &[ArrayRef]) -> Option<u64> {
    let [value, count, ..] = arguments else { return None };
    let counts = numbers(count)?;
    let each = size(value).div_ceil(value.len().max(1) as u64).max(8);
    Some(total(&counts).saturating_mul(each))
}

fn resized_list(arguments: &[ArrayRef]) -> Option<u64> {
    let [_, wanted, ..] = arguments else { return None };
    Some(total(&numbers(wanted)?).saturating_mul(8))
}

/// Numbers, days or moments, eight bytes each at most.
fn range(arguments: &[ArrayRef]) -> Option<u64> {
    let (start, stop, step) = match arguments {
        [stop] => (None, stop, None),
        [start, stop] => (Some(start), stop, None),
        [start, stop, step, ..] => (Some(start), stop, Some(step)),
        [] => return None,
    };
    // Moments are compared in nanoseconds, as the function does.
    let unit = match stop.data_type() {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
        DataType::Date64 => DataType::Date32,
        other => other.clone(),
    };
    let stops = integers(&converted(stop, &unit)?)?;
    let starts = match start {
        Some(start) => integers(&converted(start, &unit)?)?,
        None => vec![0; stops.len()],
    };
    let steps = match step {
        Some(step) if matches!(step.data_type(), DataType::Interval(_)) => intervals(step, unit == DataType::Date32)?,
        Some(step) => integers(step)?,
        None => vec![1; stops.len()],
    };
    let items = starts.iter().zip(&stops).zip(&steps).map(|((start, stop), step)| {
        if (stop > start) == (*step > 0) {
            start.abs_diff(*stop) / step.unsigned_abs().max(1)
        } else {
            0
        }
    });
    Some(items.fold(0, u64::saturating_add).saturating_mul(8))
}

/// About how long intervals are, in days or in nanoseconds.
fn intervals(step: &ArrayRef, in_days: bool) -> Option<Vec<i64>> {
    const NANOSECONDS: i64 = 24 * 60 * 60 * 1_000_000_000;
    let step = converted(step, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let steps = step.as_primitive_opt::<IntervalMonthDayNanoType>()?.iter().map(|step| {
        let step = step.unwrap_or_default();
        let days = i64::from(step.months) * 28 + i64::from(step.days);
        if in_days {
            days
        } else {
            days.saturating_mul(NANOSECONDS).saturating_add(step.nanoseconds)
        }
    });
    Some(steps.collect())
}

fn pairs_of_bytes(arguments: &[ArrayRef]) -> Option<u64> {
    let [one, other, ..] = arguments else { return None };
    sum(&lengths(one)?, &lengths(other)?, u64::saturating_mul)
}

fn pairs_of_items(arguments: &[ArrayRef]) -> Option<u64> {
    let [one, other, ..] = arguments else { return None };
    sum(&items(one)?, &items(other)?, u64::saturating_mul)
}

/// How many items lists have.
fn items(lists: &ArrayRef) -> Option<Vec<u64>> {
    match lists.data_type() {
        DataType::List(_) | DataType::LargeList(_) => numbers(&length(lists).ok()?),
        _ => None,
    }
}

/// How many bytes texts have.
fn lengths(texts: &ArrayRef) -> Option<Vec<u64>> {
    match texts.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary => {
            numbers(&length(texts).ok()?)
        }
        _ => None,
    }
}

/// How many bytes the values of an argument have together.
fn size(values: &ArrayRef) -> u64 {
    match lengths(values) {
        Some(lengths) => total(&lengths),
        None => values.to_data().get_slice_memory_size().unwrap_or(0) as u64,
    }
}

/// Numbers that say how many; less than none, and unknown, is none.
fn numbers(values: &ArrayRef) -> Option<Vec<u64>> {
    let values = integers(values)?.into_iter();
    Some(values.map(|value| u64::try_from(value).unwrap_or(0)).collect())
}

fn integers(values: &ArrayRef) -> Option<Vec<i64>> {
    let values = converted(values, &DataType::Int64)?;
    let values = values.as_primitive_opt::<Int64Type>()?.iter();
    Some(values.map(Option::unwrap_or_default).collect())
}

/// None if it is of a type that the function will not take.
fn converted(values: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    if values.data_type() == to {
        return Some(Arc::clone(values));
    }
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    if *to == DataType::Int64 && *values.data_type() == DataType::Date32 {
        let days = converted(values, &DataType::Int32)?;
        return converted(&days, to);
    }
    cast_with_options(values, to, &options).ok()
}

fn total(values: &[u64]) -> u64 {
    values.iter().copied().fold(0, u64::saturating_add)
}

fn sum(one: &[u64], other: &[u64], both: impl Fn(u64, u64) -> u64) -> Option<u64> {
    let pairs = one.iter().zip(other);
    Some(
        pairs
            .map(|(one, other)| both(*one, *other))
            .fold(0, u64::saturating_add),
    )
}
