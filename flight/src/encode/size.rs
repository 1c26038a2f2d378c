//! How many bytes rows take in an IPC body, seen through slices.

use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;

/// Buffers start at multiples of this.
const ALIGNMENT: usize = 64;
/// Bytes of a view, which may be kept.
const VIEW: usize = 16;
/// What the header of a message says about one buffer and one node, with room for the tables around them.
const HEADER_PER_BUFFER: usize = 16;
const HEADER_FIXED: usize = 512;

/// Sizes of the rows of a batch on the wire, for any range of rows, in a time that does not depend on the range (other than for
/// views, whose lengths are added up).
///
/// Columns that are sent in another encoding count as what they become: a dictionary as its values, in the worst case the
/// longest for each row, and a view as its bytes. The result is never less than what is sent. Without such columns and
/// without nulls it is exact.
#[derive(Debug)]
pub(crate) struct RowSizes {
    columns: Vec<ArrayData>,
    header: usize,
    dictionaries: Dictionaries,
}

/// How dictionaries are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dictionaries {
    /// Each row as its value.
    Hydrated,
    /// Each row as its key. The values go in messages of their own and count nothing here.
    Kept,
}

impl RowSizes {
    pub(crate) fn new(batch: &RecordBatch, dictionaries: Dictionaries) -> Self {
        let columns: Vec<ArrayData> = batch.columns().iter().map(|column| column.to_data()).collect();
        let header = HEADER_FIXED + columns.iter().map(header_size).sum::<usize>();
        Self {
            columns,
            header,
            dictionaries,
        }
    }

    /// Size of a message with the rows from `start` on.
    pub(crate) fn message(&self, start: usize, rows: usize) -> usize {
        self.columns.iter().fold(self.header, |sum, column| {
            sum.saturating_add(array_size(column, start, rows, self.dictionaries))
        })
    }
}

/// Size of a whole array on the wire.
pub(crate) fn array_bytes(array: &dyn Array) -> usize {
    array_size(&array.to_data(), 0, array.len(), Dictionaries::Hydrated)
}

fn header_size(data: &ArrayData) -> usize {
    // The node and the validity buffer come on top of what the array holds.
    (data.buffers().len() + 2) * HEADER_PER_BUFFER + data.child_data().iter().map(header_size).sum::<usize>()
}

fn padded(bytes: usize) -> usize {
    bytes.saturating_add(ALIGNMENT - 1) & !(ALIGNMENT - 1)
}

/// Bytes of the rows `start..start + rows` of an array with all its children.
fn array_size(data: &ArrayData, start: usize, rows: usize, dictionaries: Dictionaries) -> usize {
    let nulls = if data.nulls().is_some() && data.null_count() > 0 {
        padded(rows.div_ceil(8))
    } else {
        0
    };
    let from = data.offset() + start;
    let child = |index: usize, start: usize, rows: usize| {
        data.child_data()
            .get(index)
            .map_or(0, |child| array_size(child, start, rows, dictionaries))
    };
    let values = match data.data_type() {
        DataType::Null => return 0,
        DataType::Boolean => padded(rows.div_ceil(8)),
        DataType::FixedSizeBinary(width) => padded(rows.saturating_mul(usize::try_from(*width).unwrap_or(0))),
        DataType::Utf8 | DataType::Binary => {
            let (first, last) = offsets::<4>(data, from, rows);
            padded((rows + 1) * 4).saturating_add(padded(last - first))
        }
        DataType::LargeUtf8 | DataType::LargeBinary => {
            let (first, last) = offsets::<8>(data, from, rows);
            padded((rows + 1) * 8).saturating_add(padded(last - first))
        }
        DataType::Utf8View | DataType::BinaryView => {
            padded((rows + 1) * VIEW).saturating_add(padded(view_bytes(data, from, rows)))
        }
        DataType::List(_) | DataType::Map(_, _) => {
            let (first, last) = offsets::<4>(data, from, rows);
            padded((rows + 1) * 4).saturating_add(child(0, first, last - first))
        }
        DataType::LargeList(_) => {
            let (first, last) = offsets::<8>(data, from, rows);
            padded((rows + 1) * 8).saturating_add(child(0, first, last - first))
        }
        DataType::ListView(_) => list_view_size::<4>(data, from, rows, dictionaries),
        DataType::LargeListView(_) => list_view_size::<8>(data, from, rows, dictionaries),
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            child(0, from * size, rows * size)
        }
        DataType::Struct(_) => {
            (0..data.child_data().len()).fold(0, |sum: usize, index| sum.saturating_add(child(index, from, rows)))
        }
        DataType::Union(_, mode) => {
            let dense = *mode == arrow::datatypes::UnionMode::Dense;
            let own = padded(rows) + if dense { padded(rows * 4) } else { 0 };
            data.child_data().iter().fold(own, |sum, child| {
                // The children of a dense union are sent whole.
                let (start, rows) = if dense { (0, child.len()) } else { (from, rows) };
                sum.saturating_add(array_size(child, start, rows, dictionaries))
            })
        }
        DataType::Dictionary(keys, _) if dictionaries == Dictionaries::Kept => {
            padded(rows.saturating_mul(keys.primitive_width().unwrap_or(8)))
        }
        DataType::Dictionary(_, _) => {
            return nulls.saturating_add(repeated_size(data.child_data().first(), rows));
        }
        DataType::RunEndEncoded(_, _) => return repeated_size(data.child_data().get(1), rows),
        other => padded(rows.saturating_mul(other.primitive_width().unwrap_or(16))),
    };
    nulls.saturating_add(values)
}

/// The largest that `rows` picks from an array of values can be.
fn repeated_size(values: Option<&ArrayData>, rows: usize) -> usize {
    let Some(values) = values else { return 0 };
    let nulls = padded(rows.div_ceil(8));
    let largest = |width: usize, bytes: &dyn Fn(usize) -> usize| {
        let longest = (0..values.len()).map(bytes).max().unwrap_or(0);
        padded((rows + 1) * width).saturating_add(padded(rows.saturating_mul(longest)))
    };
    let bytes = match values.data_type() {
        DataType::Utf8 | DataType::Binary => largest(4, &|index| {
            let (first, last) = offsets::<4>(values, values.offset() + index, 1);
            last - first
        }),
        DataType::LargeUtf8 | DataType::LargeBinary => largest(8, &|index| {
            let (first, last) = offsets::<8>(values, values.offset() + index, 1);
            last - first
        }),
        DataType::Utf8View | DataType::BinaryView => {
            largest(4, &|index| view_bytes(values, values.offset() + index, 1))
        }
        other => match other.primitive_width() {
            Some(width) => padded(rows.saturating_mul(width)),
            None => largest(0, &|index| array_size(values, index, 1, Dictionaries::Hydrated)),
        },
    };
    nulls.saturating_add(bytes)
}

/// A list view may point anywhere: as a list it is as long as its items together.
fn list_view_size<const WIDTH: usize>(data: &ArrayData, from: usize, rows: usize, dictionaries: Dictionaries) -> usize {
    let own = padded((rows + 1) * WIDTH);
    let (Some(starts), Some(sizes), Some(child)) =
        (data.buffers().first(), data.buffers().get(1), data.child_data().first())
    else {
        return own;
    };
    (from..from + rows).fold(own, |sum, row| {
        let size = read_uint::<WIDTH>(sizes, row);
        sum.saturating_add(array_size(child, read_uint::<WIDTH>(starts, row), size, dictionaries))
    })
}

/// Where the values of the rows begin and end.
fn offsets<const WIDTH: usize>(data: &ArrayData, from: usize, rows: usize) -> (usize, usize) {
    let Some(buffer) = data.buffers().first() else {
        return (0, 0);
    };
    let first = read_uint::<WIDTH>(buffer, from);
    (first, read_uint::<WIDTH>(buffer, from + rows).max(first))
}

/// Bytes that the views of the rows stand for.
fn view_bytes(data: &ArrayData, from: usize, rows: usize) -> usize {
    let Some(views) = data.buffers().first() else { return 0 };
    // The length is in the low four bytes of each view of sixteen.
    let views = views.as_slice().get(from * 16..(from + rows) * 16).unwrap_or_default();
    let (views, _) = views.as_chunks::<16>();
    views
        .iter()
        .map(|&[a, b, c, d, ..]| u32::from_le_bytes([a, b, c, d]) as usize)
        .sum()
}

/// An offset, size or length, which are never negative. Zero where an empty array has no buffer.
fn read_uint<const WIDTH: usize>(buffer: &Buffer, index: usize) -> usize {
    let start = index * WIDTH;
    let Some(bytes) = buffer.as_slice().get(start..start + WIDTH) else {
        return 0;
    };
    let mut wide = [0u8; 8];
    for (to, from) in wide.iter_mut().zip(bytes) {
        *to = *from;
    }
    usize::try_from(u64::from_le_bytes(wide)).unwrap_or(usize::MAX)
}
