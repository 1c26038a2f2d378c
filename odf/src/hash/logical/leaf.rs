//! The values of one leaf column, fed into its hash in large pieces.

use std::ops::Range;

use arrow::array::types::ByteArrayType;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, GenericByteArray, OffsetSizeTrait};
use arrow::array::{BinaryViewArray, StringViewArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{BinaryType, DataType, LargeBinaryType, LargeUtf8Type, Utf8Type};
use sha3::{Digest, Sha3_256};

use super::types::describe;
use crate::error::{Error, Result};

/// Small values are collected up to this size before they are hashed.
const PIECE: usize = 16 * 1024;

/// What stands for a null of any type.
const NULL: u8 = 0;

/// Hashes the values of one leaf column.
#[derive(Debug, Clone)]
pub(super) struct LeafHasher {
    description: Vec<u8>,
    sink: Sink,
}

impl LeafHasher {
    /// Starts with what is hashed of the type.
    pub(super) fn new(description: Vec<u8>) -> Self {
        let mut sink = Sink {
            hasher: Sha3_256::new(),
            piece: Vec::new(),
        };
        sink.push(&description);
        Self { description, sink }
    }

    /// Feeds an array, with `nulls` in place of its own.
    pub(super) fn update(&mut self, array: &ArrayRef, nulls: Option<NullBuffer>) -> Result<()> {
        let data_type = array.data_type();
        if describe(data_type)? != self.description {
            return Err(
                Error::unsupported("a batch does not have the types of the schema").with_context("actual", data_type)
            );
        }
        let values = Values::of(array)?;
        Elements { values, nulls }.hash(0..array.len(), &mut self.sink);
        Ok(())
    }

    pub(super) fn finish(mut self) -> [u8; 32] {
        self.sink.flush();
        self.sink.hasher.finalize().into()
    }
}

/// A hasher with room before it, because many small updates are slow.
#[derive(Debug, Clone)]
struct Sink {
    hasher: Sha3_256,
    piece: Vec<u8>,
}

impl Sink {
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        if bytes.len() >= PIECE {
            self.flush();
            self.hasher.update(bytes);
            return;
        }
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush();
        }
    }

    #[inline]
    fn push_with_length(&mut self, bytes: &[u8]) {
        self.push(&(bytes.len() as u64).to_le_bytes());
        self.push(bytes);
    }

    fn push_nulls(&mut self, count: usize) {
        self.piece.resize(self.piece.len() + count, NULL);
        if self.piece.len() >= PIECE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.hasher.update(&self.piece);
        self.piece.clear();
    }
}

/// Values with the nulls among them.
struct Elements<'a> {
    values: Values<'a>,
    nulls: Option<NullBuffer>,
}

/// An array by the way its values are hashed.
enum Values<'a> {
    /// Values of a fixed width in bytes, one after the other.
    Fixed {
        bytes: Buffer,
        width: usize,
    },
    Bool(&'a BooleanArray),
    FixedBinary(&'a FixedSizeBinaryArray),
    Utf8(&'a GenericByteArray<Utf8Type>),
    LargeUtf8(&'a GenericByteArray<LargeUtf8Type>),
    Utf8View(&'a StringViewArray),
    Binary(&'a GenericByteArray<BinaryType>),
    LargeBinary(&'a GenericByteArray<LargeBinaryType>),
    BinaryView(&'a BinaryViewArray),
    List {
        offsets: &'a OffsetBuffer<i32>,
        items: Box<Elements<'a>>,
    },
    LargeList {
        offsets: &'a OffsetBuffer<i64>,
        items: Box<Elements<'a>>,
    },
    FixedList {
        length: usize,
        items: Box<Elements<'a>>,
    },
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean()),
            DataType::FixedSizeBinary(_) => Self::FixedBinary(array.as_fixed_size_binary()),
            DataType::Utf8 => Self::Utf8(array.as_string()),
            DataType::LargeUtf8 => Self::LargeUtf8(array.as_string()),
            DataType::Utf8View => Self::Utf8View(array.as_string_view()),
            DataType::Binary => Self::Binary(array.as_binary()),
            DataType::LargeBinary => Self::LargeBinary(array.as_binary()),
            DataType::BinaryView => Self::BinaryView(array.as_binary_view()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Self::List {
                    offsets: list.offsets(),
                    items: Elements::of(list.values())?,
                }
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                Self::LargeList {
                    offsets: list.offsets(),
                    items: Elements::of(list.values())?,
                }
            }
            DataType::FixedSizeList(_, _) => {
                let list = array.as_fixed_size_list();
                Self::FixedList {
                    length: list.value_length() as usize,
                    items: Elements::of(list.values())?,
                }
            }
            primitive => {
                let unknown =
                    || Error::unsupported("values of this type cannot be hashed").with_context("type", primitive);
                let width = primitive.primitive_width().ok_or_else(unknown)?;
                let data = array.to_data();
                let bytes = data.buffers().first().ok_or_else(unknown)?;
                Self::Fixed {
                    bytes: bytes.slice_with_length(data.offset() * width, data.len() * width),
                    width,
                }
            }
        })
    }

    /// Feeds values that are not null.
    fn hash(&self, range: Range<usize>, sink: &mut Sink) {
        match self {
            Self::Fixed { bytes, width } => {
                sink.push(
                    bytes
                        .as_slice()
                        .get(range.start * width..range.end * width)
                        .unwrap_or_default(),
                );
            }
            Self::Bool(array) => range.for_each(|index| sink.push(&[u8::from(array.value(index)) + 1])),
            Self::FixedBinary(array) => range.for_each(|index| sink.push_with_length(array.value(index))),
            Self::Utf8(array) => hash_bytes(array, range, sink),
            Self::LargeUtf8(array) => hash_bytes(array, range, sink),
            Self::Utf8View(array) => range.for_each(|index| sink.push_with_length(array.value(index).as_bytes())),
            Self::Binary(array) => hash_bytes(array, range, sink),
            Self::LargeBinary(array) => hash_bytes(array, range, sink),
            Self::BinaryView(array) => range.for_each(|index| sink.push_with_length(array.value(index))),
            Self::List { offsets, items } => hash_lists(offsets, items, range, sink),
            Self::LargeList { offsets, items } => hash_lists(offsets, items, range, sink),
            Self::FixedList { length, items } => range.for_each(|index| {
                sink.push(&(*length as u64).to_le_bytes());
                items.hash(index * length..(index + 1) * length, sink);
            }),
        }
    }
}

impl<'a> Elements<'a> {
    /// The items of a list, with their own nulls.
    fn of(array: &'a ArrayRef) -> Result<Box<Self>> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        Ok(Box::new(Self {
            values: Values::of(array)?,
            nulls,
        }))
    }

    fn hash(&self, range: Range<usize>, sink: &mut Sink) {
        let Some(nulls) = &self.nulls else {
            return self.values.hash(range, sink);
        };
        let start = range.start;
        let mut next = 0;
        for (valid_start, valid_end) in nulls.inner().slice(start, range.len()).set_slices() {
            sink.push_nulls(valid_start - next);
            self.values.hash(start + valid_start..start + valid_end, sink);
            next = valid_end;
        }
        sink.push_nulls(range.len() - next);
    }
}

fn hash_bytes<T: ByteArrayType>(array: &GenericByteArray<T>, range: Range<usize>, sink: &mut Sink) {
    let bytes = array.value_data();
    hash_ranges(array.offsets(), range, |value| {
        sink.push_with_length(bytes.get(value).unwrap_or_default())
    });
}

fn hash_lists<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    items: &Elements<'_>,
    range: Range<usize>,
    sink: &mut Sink,
) {
    hash_ranges(offsets, range, |list| {
        sink.push(&(list.len() as u64).to_le_bytes());
        items.hash(list, sink);
    });
}

/// Calls `hash` with the range of each value between two offsets.
fn hash_ranges<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, range: Range<usize>, mut hash: impl FnMut(Range<usize>)) {
    let offsets = offsets.get(range.start..=range.end).unwrap_or_default();
    for pair in offsets.windows(2) {
        if let [start, end] = pair {
            hash(start.as_usize()..end.as_usize());
        }
    }
}
