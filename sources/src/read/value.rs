//! Texts as typed columns. No value changes on the way: what does not fit its column exactly is an error.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, FixedSizeBinaryBuilder, FixedSizeListArray,
    GenericListArray, LargeBinaryBuilder, LargeStringArray, MapArray, NullArray, OffsetSizeTrait, PrimitiveArray,
    RecordBatch, StringArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::kernels::cast_utils::{Parser, parse_decimal, string_to_time_nanoseconds};
use arrow::datatypes::{
    ArrowPrimitiveType, ArrowTimestampType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, DecimalType, Field, FieldRef, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, SchemaRef, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use chrono::NaiveDate;

use super::moment::{self, Format, Formats};
use crate::{Error, ErrorKind, Result};

/// Most characters of a text that are shown in an error.
const SHOWN: usize = 60;

/// A text that is not a value of its column.
#[derive(Debug)]
pub(super) struct BadValue {
    /// Its row in the batch.
    pub(super) row: usize,
    column: String,
    message: String,
}

impl BadValue {
    /// The error, still without a position.
    pub(super) fn into_error(self) -> Error {
        Error::new(ErrorKind::BadData, self.message).with_context("column", self.column)
    }
}

/// A text of a length that can be shown.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Fails for columns that texts cannot fill. Lists, maps and structs are for formats that can nest.
pub(super) fn check_readable(schema: &SchemaRef, nested: bool) -> Result<()> {
    for field in schema.fields() {
        readable(field.data_type(), nested).map_err(|message| {
            Error::new(ErrorKind::InvalidSource, message)
                .with_context("column", field.name())
                .with_context("type", field.data_type())
        })?;
    }
    Ok(())
}

fn readable(data_type: &DataType, nested: bool) -> Result<(), &'static str> {
    match data_type {
        DataType::Timestamp(_, Some(zone)) if moment::zone(zone).is_none() => {
            Err("the time zone is not known; use UTC or an offset such as +02:00")
        }
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale)
            if *scale < 0 =>
        {
            Err("decimals with a negative scale cannot be read from text; use a scale of 0")
        }
        data_type if data_type.is_integer() || data_type.is_floating() || data_type.is_decimal() => Ok(()),
        DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::FixedSizeBinary(_)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..) => Ok(()),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) if nested => {
            readable(item.data_type(), nested)
        }
        DataType::Map(entries, _) if nested => readable(entries.data_type(), nested),
        DataType::Struct(fields) if nested => fields.iter().try_for_each(|field| readable(field.data_type(), nested)),
        _ => {
            Err("columns of this type cannot be read from this format; read text and convert it in a preprocess query")
        }
    }
}

/// The field with text in place of every value.
pub(super) fn lexical(field: &Field) -> FieldRef {
    let item = |item: &FieldRef| lexical(item);
    let data_type = match field.data_type() {
        DataType::List(inner) => DataType::List(item(inner)),
        DataType::LargeList(inner) => DataType::LargeList(item(inner)),
        DataType::FixedSizeList(inner, size) => DataType::FixedSizeList(item(inner), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(item).collect()),
        DataType::Map(entries, sorted) => {
            // The shape of a map is fixed: entries and keys cannot be null.
            let DataType::Struct(fields) = entries.data_type() else {
                return Arc::new(field.clone());
            };
            let fields = fields
                .iter()
                .map(|field| Arc::new(lexical(field).as_ref().clone().with_nullable(field.is_nullable())));
            let entries = Field::new(entries.name(), DataType::Struct(fields.collect()), false);
            DataType::Map(Arc::new(entries), *sorted)
        }
        _ => DataType::Utf8,
    };
    Arc::new(Field::new(field.name(), data_type, true))
}

/// A batch of columns of texts. If several values are bad, the first row's is told.
pub(super) fn typed(
    schema: &SchemaRef,
    texts: &[ArrayRef],
    formats: &Formats,
) -> Result<Result<RecordBatch, BadValue>> {
    let mut columns = Vec::with_capacity(texts.len());
    let mut first_bad: Option<BadValue> = None;
    for (field, texts) in schema.fields().iter().zip(texts) {
        match column(texts, field, formats) {
            Ok(column) => columns.push(column),
            Err(bad) if first_bad.as_ref().is_none_or(|first| bad.row < first.row) => first_bad = Some(bad),
            Err(_) => {}
        }
    }
    if let Some(bad) = first_bad {
        return Ok(Err(bad));
    }
    RecordBatch::try_new(SchemaRef::clone(schema), columns)
        .map(Ok)
        .map_err(|error| Error::new(ErrorKind::Internal, "a batch was put together wrongly").with_source(error))
}

fn column(texts: &ArrayRef, field: &Field, formats: &Formats) -> Result<ArrayRef, BadValue> {
    let bad = |(row, message)| BadValue {
        row,
        column: field.name().clone(),
        message,
    };
    let values = values(texts, field.data_type(), formats).map_err(bad)?;
    if !field.is_nullable()
        && let Some(nulls) = values.logical_nulls()
        && let Some(row) = nulls.iter().position(|valid| !valid)
    {
        return Err(bad((
            row,
            "a value is missing in a column that must have one".to_owned(),
        )));
    }
    Ok(values)
}

/// Row and message of the first text that is bad.
type Bad = (usize, String);

fn values(texts: &ArrayRef, data_type: &DataType, formats: &Formats) -> Result<ArrayRef, Bad> {
    macro_rules! parsed {
        ($type:ty) => {
            primitive::<$type>(texts, data_type, |text| <$type as Parser>::parse(text).ok_or(""))
        };
    }
    macro_rules! whole {
        ($type:ty) => {
            primitive::<$type>(texts, data_type, |text| {
                <$type as Parser>::parse(without_zero_fraction(text)).ok_or("")
            })
        };
    }
    macro_rules! decimal {
        ($type:ty, $precision:expr, $scale:expr) => {
            primitive::<$type>(texts, data_type, |text| {
                decimal::<$type>(text, *$precision, *$scale)
            })
        };
    }
    macro_rules! time {
        ($type:ty, $nanoseconds:expr) => {
            primitive::<$type>(texts, data_type, |text| {
                let time = string_to_time_nanoseconds(text).map_err(|_| "")?;
                let whole: i64 = time / $nanoseconds;
                if whole * $nanoseconds != time {
                    return Err("it is finer than the column");
                }
                whole.try_into().map_err(|_| "")
            })
        };
    }
    match data_type {
        DataType::Utf8 => Ok(Arc::clone(texts)),
        DataType::LargeUtf8 => Ok(Arc::new(LargeStringArray::from_iter(strings(texts)?))),
        DataType::Null => match strings(texts)?.iter().position(|text| text.is_some()) {
            Some(row) => Err((row, "a value is in a column that has none".to_owned())),
            None => Ok(Arc::new(NullArray::new(texts.len()))),
        },
        DataType::Boolean => boolean(strings(texts)?),
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => whole!(UInt64Type),
        DataType::Float16 => parsed!(Float16Type),
        DataType::Float32 => parsed!(Float32Type),
        DataType::Float64 => parsed!(Float64Type),
        DataType::Decimal32(precision, scale) => decimal!(Decimal32Type, precision, scale),
        DataType::Decimal64(precision, scale) => decimal!(Decimal64Type, precision, scale),
        DataType::Decimal128(precision, scale) => decimal!(Decimal128Type, precision, scale),
        DataType::Decimal256(precision, scale) => decimal!(Decimal256Type, precision, scale),
        DataType::Date32 => primitive::<Date32Type>(texts, data_type, |text| date(text, &formats.date)),
        DataType::Date64 => primitive::<Date64Type>(texts, data_type, |text| {
            Ok(i64::from(date(text, &formats.date)?) * 86_400_000)
        }),
        DataType::Time32(TimeUnit::Second) => time!(Time32SecondType, 1_000_000_000),
        DataType::Time32(_) => time!(Time32MillisecondType, 1_000_000),
        DataType::Time64(TimeUnit::Microsecond) => time!(Time64MicrosecondType, 1_000),
        DataType::Time64(_) => time!(Time64NanosecondType, 1),
        DataType::Timestamp(unit, zone) => {
            let name = zone.as_deref().unwrap_or("UTC");
            let zone = moment::zone(name).ok_or_else(|| (0, format!("{name} is not a known time zone")))?;
            let format = &formats.timestamp;
            match unit {
                TimeUnit::Second => timestamp::<TimestampSecondType>(texts, data_type, zone, format),
                TimeUnit::Millisecond => timestamp::<TimestampMillisecondType>(texts, data_type, zone, format),
                TimeUnit::Microsecond => timestamp::<TimestampMicrosecondType>(texts, data_type, zone, format),
                TimeUnit::Nanosecond => timestamp::<TimestampNanosecondType>(texts, data_type, zone, format),
            }
        }
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => binary(strings(texts)?, data_type),
        DataType::List(item) => list::<i32>(texts, item, formats),
        DataType::LargeList(item) => list::<i64>(texts, item, formats),
        DataType::FixedSizeList(item, size) => {
            let array = texts.as_fixed_size_list_opt().ok_or_else(unlike)?;
            let rows_of = |index: usize| index / usize::try_from((*size).max(1)).unwrap_or(1);
            let items = nested(array.values(), item, formats).map_err(|(index, message)| (rows_of(index), message))?;
            FixedSizeListArray::try_new(Arc::clone(item), *size, items, array.nulls().cloned())
                .map(|array| Arc::new(array) as ArrayRef)
                .map_err(|error| missing_inside(&error))
        }
        DataType::Struct(fields) => {
            let array = texts.as_struct_opt().ok_or_else(unlike)?;
            let columns = fields.iter().zip(array.columns());
            let columns = columns.map(|(field, texts)| nested(texts, field, formats));
            StructArray::try_new(
                fields.clone(),
                columns.collect::<Result<_, _>>()?,
                array.nulls().cloned(),
            )
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(|error| missing_inside(&error))
        }
        DataType::Map(entries, sorted) => {
            let array = texts.as_map_opt().ok_or_else(unlike)?;
            let inner: ArrayRef = Arc::new(array.entries().clone());
            let items = values(&inner, entries.data_type(), formats)
                .map_err(|(index, message)| (row_of(array.offsets(), index), message))?;
            let items = items.as_struct_opt().ok_or_else(unlike)?.clone();
            MapArray::try_new(
                Arc::clone(entries),
                array.offsets().clone(),
                items,
                array.nulls().cloned(),
                *sorted,
            )
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(|error| missing_inside(&error))
        }
        _ => Err(unlike()),
    }
}

/// Values of a member; the message says which member.
fn nested(texts: &ArrayRef, field: &Field, formats: &Formats) -> Result<ArrayRef, Bad> {
    values(texts, field.data_type(), formats)
        .map_err(|(index, message)| (index, format!("{} in {}", message, field.name())))
}

fn list<Offset: OffsetSizeTrait>(texts: &ArrayRef, item: &FieldRef, formats: &Formats) -> Result<ArrayRef, Bad> {
    let array = texts.as_list_opt::<Offset>().ok_or_else(unlike)?;
    let items = values(array.values(), item.data_type(), formats)
        .map_err(|(index, message)| (row_of(array.offsets(), index), message))?;
    GenericListArray::try_new(Arc::clone(item), array.offsets().clone(), items, array.nulls().cloned())
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|error| missing_inside(&error))
}

fn row_of<Offset: OffsetSizeTrait>(offsets: &OffsetBuffer<Offset>, index: usize) -> usize {
    offsets
        .partition_point(|offset| offset.as_usize() <= index)
        .saturating_sub(1)
}

/// The arrays' own checks do not say in which row.
fn missing_inside(error: &arrow::error::ArrowError) -> Bad {
    (
        0,
        format!("a value is missing inside of a list, map or struct that must have one: {error}"),
    )
}

fn unlike() -> Bad {
    (0, "the values do not have the shape of the column".to_owned())
}

fn strings(texts: &ArrayRef) -> Result<&StringArray, Bad> {
    texts.as_string_opt::<i32>().ok_or_else(unlike)
}

fn not_a(data_type: &DataType, row: usize, text: &str, hint: &str) -> Bad {
    let colon = if hint.is_empty() { "" } else { ": " };
    (
        row,
        format!("'{}' cannot be read as {data_type}{colon}{hint}", shorten(text)),
    )
}

fn primitive<T: ArrowPrimitiveType>(
    texts: &ArrayRef,
    data_type: &DataType,
    parse: impl Fn(&str) -> Result<T::Native, &'static str>,
) -> Result<ArrayRef, Bad> {
    let mut builder = PrimitiveArray::<T>::builder(texts.len()).with_data_type(data_type.clone());
    for (row, text) in strings(texts)?.iter().enumerate() {
        match text {
            None => builder.append_null(),
            Some(text) => builder.append_value(parse(text).map_err(|hint| not_a(data_type, row, text, hint))?),
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn timestamp<T: ArrowTimestampType>(
    texts: &ArrayRef,
    data_type: &DataType,
    zone: Tz,
    format: &Format,
) -> Result<ArrayRef, Bad> {
    primitive::<T>(texts, data_type, |text| format.timestamp(text, zone, T::UNIT))
}

fn boolean(texts: &StringArray) -> Result<ArrayRef, Bad> {
    let values = texts.iter().enumerate().map(|(row, text)| match text {
        None => Ok(None),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(text) => Err(not_a(&DataType::Boolean, row, text, "it must be true or false")),
    });
    Ok(Arc::new(values.collect::<Result<BooleanArray, _>>()?))
}

/// `2.0` is a whole number; some writers know no other ones.
fn without_zero_fraction(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

fn date(text: &str, format: &Format) -> Result<i32, &'static str> {
    let date = format.date(text).ok_or("")?;
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).map_err(|_| "it is outside of what the column can hold")
}

/// All digits of a decimal, or an error if they do not fit.
pub(super) fn decimal<T: DecimalType>(text: &str, precision: u8, scale: i8) -> Result<T::Native, &'static str> {
    let text = text.trim_ascii();
    let (sign, unsigned) = match text.as_bytes().first() {
        Some(b'-') => ("-", text.get(1..).unwrap_or_default()),
        Some(b'+') => ("", text.get(1..).unwrap_or_default()),
        _ => ("", text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().map_err(|_| "")?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|digit| digit.is_ascii_digit()) {
        return Err("");
    }
    // The unscaled number is the digits with so many zeros behind them, or with so many fewer of them.
    let shift = i64::from(exponent) + i64::from(scale) - fraction.len() as i64;
    let mut unscaled: Vec<u8> = digits().skip_while(|digit| *digit == b'0').collect();
    if unscaled.is_empty() {
        return Ok(T::Native::default());
    }
    for _ in shift..0 {
        if unscaled.pop_if(|digit| *digit == b'0').is_none() {
            return Err("it has more digits behind the point than the column");
        }
    }
    let length = unscaled.len() as i64 + shift.max(0);
    if length > i64::from(precision) {
        return Err("it has more digits than the column");
    }
    unscaled.resize(usize::try_from(length).unwrap_or_default(), b'0');
    let unscaled = String::from_utf8(unscaled).map_err(|_| "")?;
    parse_decimal::<T>(&format!("{sign}{unscaled}"), precision, 0).map_err(|_| "")
}

/// Bytes are written as hexadecimal digits.
fn binary(texts: &StringArray, data_type: &DataType) -> Result<ArrayRef, Bad> {
    let decode = |row: usize, text: &str| {
        hex::decode(text).map_err(|_| not_a(data_type, row, text, "bytes must be pairs of hexadecimal digits"))
    };
    macro_rules! filled {
        ($builder:expr) => {{
            let mut builder = $builder;
            for (row, text) in texts.iter().enumerate() {
                match text {
                    None => builder.append_null(),
                    Some(text) => builder.append_value(decode(row, text)?),
                }
            }
            Ok(Arc::new(builder.finish()))
        }};
    }
    match data_type {
        DataType::Binary => filled!(BinaryBuilder::new()),
        DataType::LargeBinary => filled!(LargeBinaryBuilder::new()),
        DataType::FixedSizeBinary(size) => {
            let mut builder = FixedSizeBinaryBuilder::new(*size);
            for (row, text) in texts.iter().enumerate() {
                let Some(text) = text else {
                    builder.append_null();
                    continue;
                };
                builder
                    .append_value(decode(row, text)?)
                    .map_err(|_| not_a(data_type, row, text, "it has another length"))?;
            }
            Ok(Arc::new(builder.finish()))
        }
        _ => Err(unlike()),
    }
}
