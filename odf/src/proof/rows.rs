//! Rows as canonical JSON, piece by piece.

use std::collections::HashSet;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, RecordBatch, StructArray,
};
use arrow::datatypes::{self as arrow_types, ArrowPrimitiveType, DataType, Fields, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::DataFormat;
use super::canonical::{sort_names, write_f32, write_f64, write_text};
use crate::error::{Error, Result};

/// Writes the rows of an answer as the value of `data`, in canonical JSON.
///
/// Whole numbers and floats are numbers, but NaN and infinities are texts; decimals, dates, times and intervals are texts, times
/// as RFC 3339 has them; binary is hexadecimal digits; lists are arrays; structs and maps are objects.
#[derive(Debug)]
pub struct RowWriter {
    format: DataFormat,
    schema: SchemaRef,
    /// Positions of the columns in the order in which they are written.
    order: Vec<usize>,
    /// Texts of the columns, for a format that needs all rows of one before the next.
    columns: Vec<Vec<u8>>,
    /// Most bytes of those together.
    max_columns: usize,
    rows: u64,
}

impl RowWriter {
    /// A writer of rows of a schema. Rows go out as they come, except those of [`DataFormat::JsonSoA`], of which at most
    /// `max_columns` bytes are held.
    ///
    /// # Errors
    /// `Unsupported` if two columns have the same name and rows are objects, or a type has no JSON form.
    pub fn new(format: DataFormat, schema: SchemaRef, max_columns: usize) -> Result<Self> {
        let mut order: Vec<usize> = (0..schema.fields().len()).collect();
        if format != DataFormat::JsonAoA {
            order = sorted(schema.fields())?;
        }
        for field in schema.fields() {
            check_type(field.data_type()).map_err(|error| error.with_context("column", field.name()))?;
        }
        let columns = match format {
            DataFormat::JsonSoA => vec![Vec::new(); order.len()],
            DataFormat::JsonAoS | DataFormat::JsonAoA => Vec::new(),
        };
        Ok(Self {
            format,
            schema,
            order,
            columns,
            max_columns,
            rows: 0,
        })
    }

    /// Writes the next rows.
    ///
    /// # Errors
    /// `Unsupported` if a value has no JSON form, or more is to be held than is allowed.
    pub fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let schema = SchemaRef::clone(&self.schema);
        let mut cells = Vec::with_capacity(self.order.len());
        for index in &self.order {
            let column = batch.columns().get(*index);
            let column = column.ok_or_else(|| Error::malformed("the rows lack a column of their schema"))?;
            cells.push((column_name(&schema, *index), cell(column)?));
        }
        if self.format == DataFormat::JsonSoA {
            return self.hold(batch.num_rows(), &cells);
        }
        let (open, close) = match self.format {
            DataFormat::JsonAoA => (b'[', b']'),
            DataFormat::JsonAoS | DataFormat::JsonSoA => (b'{', b'}'),
        };
        for row in 0..batch.num_rows() {
            out.push(if self.rows == 0 { b'[' } else { b',' });
            self.rows += 1;
            out.push(open);
            for (index, (name, cell)) in cells.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if self.format == DataFormat::JsonAoS {
                    write_text(name, out);
                    out.push(b':');
                }
                cell(row, out)?;
            }
            out.push(close);
        }
        Ok(())
    }

    fn hold(&mut self, rows: usize, cells: &[(&str, Cell<'_>)]) -> Result<()> {
        for ((_, cell), column) in cells.iter().zip(&mut self.columns) {
            for row in 0..rows {
                if !column.is_empty() {
                    column.push(b',');
                }
                cell(row, column)?;
            }
        }
        let held: usize = self.columns.iter().map(Vec::len).sum();
        if held > self.max_columns {
            return Err(Error::unsupported(format!(
                "the columns have more than {} bytes of text, which cannot be held: ask for JsonAoA or JsonAoS, or for fewer rows",
                self.max_columns
            )));
        }
        Ok(())
    }

    /// Writes what comes after the last row.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.format != DataFormat::JsonSoA {
            out.extend_from_slice(if self.rows == 0 { b"[]" } else { b"]" });
            return;
        }
        out.push(b'{');
        for (index, (column, text)) in self.order.iter().zip(&self.columns).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(column_name(&self.schema, *column), out);
            out.extend_from_slice(b":[");
            out.extend_from_slice(text);
            out.push(b']');
        }
        out.push(b'}');
    }
}

fn column_name(schema: &SchemaRef, index: usize) -> &str {
    schema.fields().get(index).map_or("", |field| field.name())
}

/// The positions of fields in the order of their names.
fn sorted(fields: &Fields) -> Result<Vec<usize>> {
    let mut names = HashSet::new();
    if let Some(twice) = fields.iter().find(|field| !names.insert(field.name())) {
        return Err(Error::unsupported(
            "two columns have the same name: rename one with AS, or ask for the data format JsonAoA",
        )
        .with_context("column", twice.name()));
    }
    let mut order: Vec<(usize, &str)> = fields.iter().map(|field| field.name().as_str()).enumerate().collect();
    sort_names(&mut order, |(_, name)| name);
    Ok(order.into_iter().map(|(index, _)| index).collect())
}

fn check_type(data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            check_type(item.data_type())
        }
        DataType::Dictionary(_, values) => check_type(values),
        DataType::Struct(fields) => {
            sorted(fields)?;
            fields.iter().try_for_each(|field| check_type(field.data_type()))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => match fields.as_ref() {
                [key, value]
                    if matches!(
                        key.data_type(),
                        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
                    ) =>
                {
                    check_type(value.data_type())
                }
                _ => Err(Error::unsupported(
                    "the keys of a map must be texts to become JSON; cast it",
                )),
            },
            _ => Err(Error::malformed("a map without keys and values")),
        },
        DataType::Union(..) | DataType::RunEndEncoded(..) | DataType::ListView(_) | DataType::LargeListView(_) => Err(
            Error::unsupported("a column of this type cannot become JSON: cast it to text or leave it out")
                .with_context("type", data_type),
        ),
        _ => Ok(()),
    }
}

/// Writes the value of a row.
type Cell<'a> = Box<dyn Fn(usize, &mut Vec<u8>) -> Result<()> + 'a>;

fn cell(array: &ArrayRef) -> Result<Cell<'_>> {
    let write = values(array)?;
    // Also the nulls of dictionaries' values.
    let nulls = array.logical_nulls();
    Ok(Box::new(move |row, out| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        write(row, out)
    }))
}

/// Writes the value of a row that is not null.
fn values(array: &ArrayRef) -> Result<Cell<'_>> {
    use arrow_types::{
        Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
        UInt32Type, UInt64Type,
    };
    Ok(match array.data_type() {
        DataType::Null => Box::new(|_, out| {
            out.extend_from_slice(b"null");
            Ok(())
        }),
        DataType::Boolean => {
            let array = array.as_boolean();
            Box::new(|row, out| {
                out.extend_from_slice(if array.value(row) { b"true" } else { b"false" });
                Ok(())
            })
        }
        DataType::Int8 => whole::<Int8Type>(array),
        DataType::Int16 => whole::<Int16Type>(array),
        DataType::Int32 => whole::<Int32Type>(array),
        DataType::Int64 => whole::<Int64Type>(array),
        DataType::UInt8 => whole::<UInt8Type>(array),
        DataType::UInt16 => whole::<UInt16Type>(array),
        DataType::UInt32 => whole::<UInt32Type>(array),
        DataType::UInt64 => whole::<UInt64Type>(array),
        DataType::Float16 => {
            let array = array.as_primitive::<Float16Type>();
            Box::new(|row, out| {
                single(array.value(row).to_f32(), out);
                Ok(())
            })
        }
        DataType::Float32 => {
            let array = array.as_primitive::<Float32Type>();
            Box::new(|row, out| {
                single(array.value(row), out);
                Ok(())
            })
        }
        DataType::Float64 => {
            let array = array.as_primitive::<Float64Type>();
            Box::new(|row, out| {
                let value = array.value(row);
                if value.is_finite() {
                    write_f64(value, out);
                } else {
                    not_finite(value, out);
                }
                Ok(())
            })
        }
        DataType::Utf8 => text(array.as_string::<i32>()),
        DataType::LargeUtf8 => text(array.as_string::<i64>()),
        DataType::Utf8View => text(array.as_string_view()),
        DataType::Binary => binary(array.as_binary::<i32>()),
        DataType::LargeBinary => binary(array.as_binary::<i64>()),
        DataType::BinaryView => binary(array.as_binary_view()),
        DataType::FixedSizeBinary(_) => binary(array.as_fixed_size_binary()),
        DataType::List(_) => list(array.as_list::<i32>())?,
        DataType::LargeList(_) => list(array.as_list::<i64>())?,
        DataType::FixedSizeList(..) => fixed_list(array.as_fixed_size_list())?,
        DataType::Struct(_) => object(array.as_struct())?,
        DataType::Map(..) => map(array.as_map())?,
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let (keys, write) = (dictionary.normalized_keys(), cell(dictionary.values())?);
            Box::new(move |row, out| keys.get(row).map_or(Ok(()), |key| write(*key, out)))
        }
        _ => formatted(array)?,
    })
}

fn whole<T>(array: &ArrayRef) -> Cell<'_>
where
    T: ArrowPrimitiveType,
    T::Native: std::fmt::Display,
{
    let array = array.as_primitive::<T>();
    Box::new(|row, out| {
        out.extend_from_slice(array.value(row).to_string().as_bytes());
        Ok(())
    })
}

fn single(value: f32, out: &mut Vec<u8>) {
    if value.is_finite() {
        write_f32(value, out);
    } else {
        not_finite(f64::from(value), out);
    }
}

/// JSON has no such numbers, and null would say that there is none.
fn not_finite(value: f64, out: &mut Vec<u8>) {
    let text = match value {
        value if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        _ => "-Infinity",
    };
    write_text(text, out);
}

fn text<'a>(array: impl arrow::array::StringArrayType<'a> + 'a) -> Cell<'a> {
    Box::new(move |row, out| {
        write_text(array.value(row), out);
        Ok(())
    })
}

fn binary<'a>(array: impl arrow::array::ArrayAccessor<Item = &'a [u8]> + 'a) -> Cell<'a> {
    Box::new(move |row, out| {
        write_text(&hex::encode(array.value(row)), out);
        Ok(())
    })
}

fn list<O: OffsetSizeTrait>(array: &GenericListArray<O>) -> Result<Cell<'_>> {
    let write = cell(array.values())?;
    let offsets = array.value_offsets();
    Ok(Box::new(move |row, out| {
        let bound = |index: usize| offsets.get(index).map_or(0, |offset| offset.as_usize());
        items(bound(row)..bound(row + 1), &write, out)
    }))
}

fn fixed_list(array: &FixedSizeListArray) -> Result<Cell<'_>> {
    let write = cell(array.values())?;
    let length = usize::try_from(array.value_length()).unwrap_or(0);
    Ok(Box::new(move |row, out| {
        let first = array.value_offset(row);
        let first = usize::try_from(first).unwrap_or(0);
        items(first..first + length, &write, out)
    }))
}

fn items(rows: std::ops::Range<usize>, write: &Cell<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'[');
    let first = rows.start;
    for row in rows {
        if row > first {
            out.push(b',');
        }
        write(row, out)?;
    }
    out.push(b']');
    Ok(())
}

fn object(array: &StructArray) -> Result<Cell<'_>> {
    let mut members = Vec::new();
    for index in sorted(array.fields())? {
        if let (Some(field), Some(column)) = (array.fields().get(index), array.columns().get(index)) {
            members.push((field.name().as_str(), cell(column)?));
        }
    }
    Ok(Box::new(move |row, out| {
        out.push(b'{');
        for (index, (name, write)) in members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(name, out);
            out.push(b':');
            write(row, out)?;
        }
        out.push(b'}');
        Ok(())
    }))
}

fn map(array: &MapArray) -> Result<Cell<'_>> {
    let keys = arrow::compute::cast(array.keys(), &DataType::Utf8)
        .map_err(|error| Error::unsupported("the keys of a map cannot become texts").with_source(error))?;
    let (write, offsets) = (cell(array.values())?, array.value_offsets());
    Ok(Box::new(move |row, out| {
        let bound = |index: usize| offsets.get(index).and_then(|offset| usize::try_from(*offset).ok());
        let entries = bound(row).unwrap_or(0)..bound(row + 1).unwrap_or(0);
        let names = keys.as_string::<i32>();
        let mut entries: Vec<_> = entries.map(|entry| (entry, names.value(entry))).collect();
        sort_names(&mut entries, |(_, name)| name);
        if let Some((_, twice)) = entries.windows(2).find_map(|pair| match pair {
            [one, other] if one.1 == other.1 => Some(*one),
            _ => None,
        }) {
            return Err(Error::unsupported("a map has a key twice, which JSON cannot say").with_context("key", twice));
        }
        out.push(b'{');
        for (index, (entry, name)) in entries.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(name, out);
            out.push(b':');
            write(entry, out)?;
        }
        out.push(b'}');
        Ok(())
    }))
}

/// What becomes a text as people write it.
fn formatted(array: &ArrayRef) -> Result<Cell<'_>> {
    let options = FormatOptions::new().with_display_error(false);
    let no_text = |error| Error::unsupported("a value cannot be written as text").with_source(error);
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).map_err(no_text)?;
    Ok(Box::new(move |row, out| {
        let text = formatter.value(row).try_to_string().map_err(no_text)?;
        write_text(&text, out);
        Ok(())
    }))
}
