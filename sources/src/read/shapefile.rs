//! ESRI shapefiles: a row is a record of the attributes, and `geometry` with its shape as GeoJSON text.
//!
//! The input is a zip archive or a folder with the parts, or the `.shp` file beside its other parts. With several shapefiles
//! the sub path says which. Deleted records are left out, blank attributes are null, and measures (M) of points are left out.

use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind as IoErrorKind, Read};
use std::sync::Arc;

use ::shapefile::header::Header;
use ::shapefile::{ReadableShape, Shape};
use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::bytes::Source;
use super::moment::Formats;
use super::thread::Opened;
use super::value::{check_readable, typed};
use super::{BATCH_BYTES, ReadOptions};
use crate::{Error, ErrorKind, Result};

mod attributes;
mod geometry;
mod parts;

use attributes::Attributes;
use parts::Parts;

/// The column of the shape.
const GEOMETRY: &str = "geometry";

/// Bytes in front of a shape: its number and its size.
const SHAPE_HEADER: usize = 8;

/// How a shapefile is to be read.
pub(super) struct Shapefile {
    pub(super) sub_path: Option<String>,
    pub(super) schema: Option<SchemaRef>,
}

impl Shapefile {
    pub(super) fn open(self, source: Source, options: &ReadOptions) -> Result<Opened> {
        let parts = Parts::find(&source.into_local(options)?, self.sub_path.as_deref(), options)?;
        let attributes = Attributes::open(parts.attributes, parts.code_page.as_deref())?;
        let shapes = Shapes::open(parts.shapes, options.max_record_bytes)?;
        let schema = match self.schema {
            Some(schema) => schema,
            None => {
                let mut fields = attributes.fields()?;
                if fields.iter().any(|field| field.name() == GEOMETRY) {
                    return Err(bad("an attribute is called geometry, which is the column of the shape"));
                }
                fields.push(Field::new(GEOMETRY, DataType::Utf8, true));
                Arc::new(Schema::new(fields))
            }
        };
        check_readable(&schema, false)?;
        let columns = schema.fields().iter().map(|field| column(field, &attributes));
        let mut rows = Rows {
            columns: columns.collect::<Result<_>>()?,
            shapes,
            attributes,
            schema: SchemaRef::clone(&schema),
            batch_rows: options.batch_rows.max(1),
        };
        Ok((schema, Box::new(std::iter::from_fn(move || rows.batch().transpose()))))
    }
}

/// Where a column comes from.
enum Column {
    Attribute(usize),
    Geometry,
    /// The file does not have it.
    Missing,
}

fn column(field: &Field, attributes: &Attributes) -> Result<Column> {
    match attributes.position(field.name())? {
        Some(position) => Ok(Column::Attribute(position)),
        None if field.name() == GEOMETRY => Ok(Column::Geometry),
        None if field.is_nullable() => Ok(Column::Missing),
        None => {
            let error = bad("the shapefile does not have a column that must have values");
            Err(error.with_context("column", field.name()))
        }
    }
}

struct Rows {
    shapes: Shapes,
    attributes: Attributes,
    columns: Vec<Column>,
    schema: SchemaRef,
    batch_rows: usize,
}

impl Rows {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut builders: Vec<StringBuilder> = self.columns.iter().map(|_| StringBuilder::new()).collect();
        let mut records = Vec::new();
        let mut bytes = 0;
        while records.len() < self.batch_rows && bytes < BATCH_BYTES {
            let (shape, more) = (self.shapes.next()?, self.attributes.next()?);
            let record = self.shapes.record;
            let Some(shape) = shape.filter(|_| more) else {
                if more || record != self.attributes.record() {
                    return Err(bad("shapes and attributes are not equally many; a part may be cut off")
                        .with_context("record", record));
                }
                break;
            };
            if self.attributes.is_deleted() {
                continue;
            }
            for (column, builder) in self.columns.iter().zip(&mut builders) {
                let text = match column {
                    Column::Attribute(position) => self.attributes.text(*position)?,
                    Column::Geometry => geometry::text(&shape).map_err(|error| error.with_context("record", record))?,
                    Column::Missing => None,
                };
                bytes += text.as_ref().map_or(0, String::len);
                builder.append_option(text);
            }
            records.push(record);
        }
        if records.is_empty() {
            return Ok(None);
        }
        let texts = builders
            .iter_mut()
            .map(|builder| Arc::new(builder.finish()) as ArrayRef);
        typed(&self.schema, &texts.collect::<Vec<_>>(), &Formats::default())?
            .map(Some)
            .map_err(|bad| {
                let record = records.get(bad.row).copied().unwrap_or_default();
                bad.into_error().with_context("record", record)
            })
    }
}

/// The shapes of a `.shp` file, one after the other.
struct Shapes {
    input: BufReader<File>,
    /// Number of the last record, from 1.
    record: u64,
    limit: usize,
}

impl Shapes {
    fn open(file: File, limit: usize) -> Result<Self> {
        let mut input = BufReader::new(file);
        Header::read_from(&mut input).map_err(|error| damaged(error, 0))?;
        Ok(Self {
            input,
            record: 0,
            limit,
        })
    }

    fn next(&mut self) -> Result<Option<Shape>> {
        let mut header = Vec::new();
        let mut next = (&mut self.input).take(SHAPE_HEADER as u64);
        next.read_to_end(&mut header)
            .map_err(|error| damaged(error.into(), self.record))?;
        if header.is_empty() {
            return Ok(None);
        }
        self.record += 1;
        let damaged = |error| damaged(error, self.record);
        let cut_off = || damaged(std::io::Error::from(IoErrorKind::UnexpectedEof).into());
        let [_, _, _, _, words @ ..] = <[u8; SHAPE_HEADER]>::try_from(header).map_err(|_| cut_off())?;
        // The size counts words of 16 bits.
        let size = i32::from_be_bytes(words).checked_mul(2);
        let (size, length) = size
            .and_then(|size| Some((size, usize::try_from(size).ok()?)))
            .ok_or_else(|| damaged(::shapefile::Error::InvalidShapeRecordSize))?;
        if length > self.limit {
            return Err(bad("a shape is larger than records may be")
                .with_context("record", self.record)
                .with_context("limit in bytes", self.limit));
        }
        let mut content = Vec::new();
        let read = (&mut self.input).take(length as u64).read_to_end(&mut content);
        if read.map_err(|error| damaged(error.into()))? < length {
            return Err(cut_off());
        }
        Shape::read_from(&mut Cursor::new(content), size)
            .map(Some)
            .map_err(damaged)
    }
}

fn damaged(error: ::shapefile::Error, record: u64) -> Error {
    bad("the shapes are damaged or cut off")
        .with_context("record", record)
        .with_source(error)
}

fn bad(message: &str) -> Error {
    Error::new(ErrorKind::BadData, message)
}
