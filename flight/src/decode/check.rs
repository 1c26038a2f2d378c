//! What must hold in an uploaded message before `arrow-ipc` may read it: counts, bounds and sizes.

use arrow::datatypes::{DataType, Field, Schema, UnionMode};
use arrow_ipc::{DictionaryBatch, FieldNode, MetadataVersion, RecordBatch};

use super::malformed;
use crate::{Error, ErrorKind, Result};

/// Rows that one message may announce. Columns of nulls take no bytes, so the size of a message does not bound them.
const MAX_ROWS: i64 = 1 << 24;
/// The depth of types, which also bounds the depth of recursion.
const MAX_DEPTH: usize = 32;

/// Refuses schemas that cannot be taken in whatever the rows are.
pub(super) fn schema(schema: &Schema) -> Result<()> {
    schema
        .fields()
        .iter()
        .try_for_each(|field| check_type(field.name(), field.data_type(), MAX_DEPTH))
}

fn check_type(column: &str, data_type: &DataType, depth: usize) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(malformed(format!(
            "the type of column \"{column}\" is nested deeper than {MAX_DEPTH} levels"
        )));
    };
    match data_type {
        DataType::Union(_, _) => Err(Error::invalid_argument(format!(
            "column \"{column}\" is a union, which datasets do not hold: send a column per alternative"
        ))),
        DataType::FixedSizeBinary(size) | DataType::FixedSizeList(_, size) if *size < 0 => {
            Err(malformed(format!("column \"{column}\" has a negative width")))
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => check_type(column, item.data_type(), depth),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => check_type(column, entries.data_type(), depth),
            _ => Err(malformed(format!(
                "the entries of map column \"{column}\" are no pairs"
            ))),
        },
        DataType::Struct(fields) => fields
            .iter()
            .try_for_each(|field| check_type(column, field.data_type(), depth)),
        DataType::Dictionary(keys, values) => {
            if !keys.is_dictionary_key_type() {
                return Err(malformed(format!(
                    "the keys of dictionary column \"{column}\" are no integers"
                )));
            }
            check_type(column, values, depth)
        }
        DataType::RunEndEncoded(ends, values) => {
            if !ends.data_type().is_run_ends_type() {
                return Err(malformed(format!(
                    "the run ends of column \"{column}\" are no integers"
                )));
            }
            check_type(column, values.data_type(), depth)
        }
        _ => Ok(()),
    }
}

/// Checks a message with rows against the schema and its own body.
pub(super) fn rows(
    batch: RecordBatch<'_>,
    schema: &Schema,
    version: MetadataVersion,
    body: &[u8],
    max_bytes: usize,
) -> Result<()> {
    let mut walk = Walk::new(batch, version, body, max_bytes)?;
    for field in schema.fields() {
        walk.field(field, Some(batch.length()))?;
    }
    walk.finish()
}

/// Checks a message with values of a dictionary.
pub(super) fn dictionary(
    dictionary: DictionaryBatch<'_>,
    schema: &Schema,
    version: MetadataVersion,
    body: &[u8],
    max_bytes: usize,
) -> Result<()> {
    let batch = dictionary
        .data()
        .ok_or_else(|| malformed("a dictionary has no values"))?;
    #[expect(
        deprecated,
        reason = "the IPC reader finds dictionaries by these ids, and there is no other way to see them"
    )]
    let fields = schema.fields_with_dict_id(dictionary.id());
    let Some(DataType::Dictionary(_, values)) = fields.first().map(|field| field.data_type()) else {
        return Err(malformed("a dictionary belongs to no column"));
    };
    let mut walk = Walk::new(batch, version, body, max_bytes)?;
    walk.field(&Field::new("", values.as_ref().clone(), true), Some(batch.length()))?;
    walk.finish()
}

/// Goes through the nodes and buffers of a message in the order in which the reader takes them.
struct Walk<'a> {
    nodes: Box<dyn Iterator<Item = &'a FieldNode> + 'a>,
    buffers: Box<dyn Iterator<Item = &'a arrow_ipc::Buffer> + 'a>,
    variadic: std::vec::IntoIter<i64>,
    version: MetadataVersion,
    body: &'a [u8],
    compressed: bool,
    /// Bytes that compressed buffers may still unfold into.
    budget: usize,
}

impl<'a> Walk<'a> {
    fn new(batch: RecordBatch<'a>, version: MetadataVersion, body: &'a [u8], max_bytes: usize) -> Result<Self> {
        if !(0..=MAX_ROWS).contains(&batch.length()) {
            return Err(malformed(format!(
                "a message announces {} rows; send at most {MAX_ROWS}",
                batch.length()
            )));
        }
        let nodes = batch
            .nodes()
            .ok_or_else(|| malformed("a message has no list of nodes"))?;
        let buffers = batch
            .buffers()
            .ok_or_else(|| malformed("a message has no list of buffers"))?;
        Ok(Self {
            nodes: Box::new(nodes.iter()),
            buffers: Box::new(buffers.iter()),
            variadic: batch
                .variadicBufferCounts()
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .into_iter(),
            version,
            body,
            compressed: batch.compression().is_some(),
            budget: max_bytes.saturating_mul(4),
        })
    }

    /// One field with all below it. The top level has as many values as the message has rows.
    fn field(&mut self, field: &Field, expected: Option<i64>) -> Result<()> {
        let data_type = field.data_type();
        let node = self
            .nodes
            .next()
            .ok_or_else(|| malformed("a message has fewer columns than the schema"))?;
        let (length, nulls) = (node.length(), node.null_count());
        if length < 0 || nulls < 0 || nulls > length || expected.is_some_and(|expected| expected != length) {
            return Err(malformed(format!("the length of column \"{}\" is wrong", field.name())));
        }
        let length = usize::try_from(length).map_err(|_| malformed("a column is too long"))?;
        let bits = length.div_ceil(8);
        let times = |width: usize| {
            length
                .checked_mul(width)
                .ok_or_else(|| malformed("a column is too long"))
        };
        // An empty column may leave out even its one offset.
        let offsets = |width: usize| match length {
            0 => Ok(0),
            _ => times(width).map(|bytes| bytes.saturating_add(width)),
        };
        let has_validity = match data_type {
            DataType::Null | DataType::RunEndEncoded(_, _) => false,
            DataType::Union(_, _) => self.version < MetadataVersion::V5,
            _ => true,
        };
        if has_validity {
            self.buffer(if nulls > 0 { bits } else { 0 })?;
        }
        match data_type {
            DataType::Null => {
                if length as i64 > MAX_ROWS {
                    return Err(malformed("a column of nulls is too long"));
                }
                Ok(())
            }
            DataType::Boolean => self.buffer(bits),
            DataType::Utf8 | DataType::Binary => {
                self.buffer(offsets(4)?)?;
                self.buffer(0)
            }
            DataType::LargeUtf8 | DataType::LargeBinary => {
                self.buffer(offsets(8)?)?;
                self.buffer(0)
            }
            DataType::Utf8View | DataType::BinaryView => {
                let count = self.variadic.next().filter(|count| *count >= 0);
                let count = count.ok_or_else(|| malformed("a view column has no buffer count"))?;
                self.buffer(times(16)?)?;
                (0..count).try_for_each(|_| self.buffer(0))
            }
            DataType::FixedSizeBinary(width) => self.buffer(times(usize::try_from(*width).unwrap_or(0))?),
            DataType::List(item) | DataType::Map(item, _) => {
                self.buffer(offsets(4)?)?;
                self.field(item, None)
            }
            DataType::LargeList(item) => {
                self.buffer(offsets(8)?)?;
                self.field(item, None)
            }
            DataType::ListView(item) => {
                self.buffer(times(4)?)?;
                self.buffer(times(4)?)?;
                self.field(item, None)
            }
            DataType::LargeListView(item) => {
                self.buffer(times(8)?)?;
                self.buffer(times(8)?)?;
                self.field(item, None)
            }
            DataType::FixedSizeList(item, size) => {
                times(usize::try_from(*size).unwrap_or(0))?;
                self.field(item, None)
            }
            DataType::Struct(fields) => fields
                .iter()
                .try_for_each(|child| self.field(child, Some(length as i64))),
            DataType::Dictionary(keys, _) => self.buffer(times(keys.primitive_width().unwrap_or(8))?),
            DataType::RunEndEncoded(ends, values) => {
                self.field(ends, None)?;
                self.field(values, None)
            }
            DataType::Union(fields, mode) => {
                self.buffer(length)?;
                if *mode == UnionMode::Dense {
                    self.buffer(times(4)?)?;
                }
                fields.iter().try_for_each(|(_, child)| self.field(child, None))
            }
            other => self.buffer(times(other.primitive_width().unwrap_or(16))?),
        }
    }

    /// The next buffer, which must lie in the body and hold at least `needed` bytes.
    fn buffer(&mut self, needed: usize) -> Result<()> {
        let buffer = self
            .buffers
            .next()
            .ok_or_else(|| malformed("a message has fewer buffers than the schema needs"))?;
        let outside = || malformed("a buffer lies outside of its message");
        let start = usize::try_from(buffer.offset()).map_err(|_| outside())?;
        let length = usize::try_from(buffer.length()).map_err(|_| outside())?;
        let bytes = self
            .body
            .get(start..)
            .and_then(|rest| rest.get(..length))
            .ok_or_else(outside)?;
        let holds = if self.compressed && !bytes.is_empty() {
            self.unfolded(bytes)?
        } else {
            length
        };
        if holds < needed {
            return Err(malformed("a buffer is shorter than its column"));
        }
        Ok(())
    }

    /// How long a compressed buffer says it is. The sum is bounded, since a few bytes may claim any size.
    fn unfolded(&mut self, bytes: &[u8]) -> Result<usize> {
        let claim = bytes
            .first_chunk::<8>()
            .ok_or_else(|| malformed("a compressed buffer has no length"))?;
        let claim = match i64::from_le_bytes(*claim) {
            -1 => bytes.len() - claim.len(),
            claim => usize::try_from(claim).map_err(|_| malformed("a compressed buffer has a negative length"))?,
        };
        self.budget = self.budget.checked_sub(claim).ok_or_else(|| {
            Error::new(
                ErrorKind::ResourceExhausted,
                "a compressed message of the upload unfolds into too many bytes: send record batches with fewer rows",
            )
        })?;
        Ok(claim)
    }

    fn finish(mut self) -> Result<()> {
        if self.nodes.next().is_some() || self.buffers.next().is_some() || self.variadic.next().is_some() {
            return Err(malformed("a message has more columns than the schema"));
        }
        Ok(())
    }
}
