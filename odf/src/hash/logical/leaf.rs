//! The values of one leaf column, as the bytes that are hashed.

use std::ops::Range;

use super::types::describe;
use crate::error::{Error, Result};
use crate::hash::sponge::Sponge;
use arrow::array::types::ByteArrayType;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, GenericByteArray, OffsetSizeTrait};
use arrow::array::{BinaryViewArray, StringViewArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{BinaryType, DataType, LargeBinaryType, LargeUtf8Type, Utf8Type};

/// What stands for a null of any type.
const NULL: u8 = 0;

/// Collects the values of one leaf column for its hash.
#[derive(Debug, Clone)]
pub(super) struct LeafHasher {
    description: Vec<u8>,
    sponge: Sponge,
}

impl LeafHasher {
    /// Starts with what is hashed of the type.
    pub(super) fn new(description: Vec<u8>) -> Self {
        let mut sponge = Sponge::new();
        sponge.push(&description);
        Self { description, sponge }
    }

    /// Adds an array, with `nulls` in place of its own.
    pub(super) fn push(&mut self, array: &ArrayRef, nulls: Option<NullBuffer>) -> Result<()> {
        let data_type = array.data_type();
        if describe(data_type)? != self.description {
            return Err(
                Error::unsupported("a batch does not have the types of the schema").with_context("actual", data_type)
            );
        }
        let values = Values::of(array)?;
        Elements { values, nulls }.push(0..array.len(), &mut self.sponge);
        Ok(())
    }

    /// Where the values are hashed.
    pub(super) fn sponge(&mut self) -> &mut Sponge {
        &mut self.sponge
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.sponge.finish()
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

    /// Adds values that are not null.
    fn push(&self, range: Range<usize>, sponge: &mut Sponge) {
        match self {
            Self::Fixed { bytes, width } => {
                sponge.push(
                    bytes
                        .as_slice()
                        .get(range.start * width..range.end * width)
                        .unwrap_or_default(),
                );
            }
            Self::Bool(array) => range.for_each(|index| sponge.push(&[u8::from(array.value(index)) + 1])),
            Self::FixedBinary(array) => range.for_each(|index| sponge.push_with_length(array.value(index))),
            Self::Utf8(array) => push_bytes(array, range, sponge),
            Self::LargeUtf8(array) => push_bytes(array, range, sponge),
            Self::Utf8View(array) => range.for_each(|index| sponge.push_with_length(array.value(index).as_bytes())),
            Self::Binary(array) => push_bytes(array, range, sponge),
            Self::LargeBinary(array) => push_bytes(array, range, sponge),
            Self::BinaryView(array) => range.for_each(|index| sponge.push_with_length(array.value(index))),
            Self::List { offsets, items } => push_lists(offsets, items, range, sponge),
            Self::LargeList { offsets, items } => push_lists(offsets, items, range, sponge),
            Self::FixedList { length, items } => range.for_each(|index| {
                sponge.push(&(*length as u64).to_le_bytes());
                items.push(index * length..(index + 1) * length, sponge);
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

    fn push(&self, range: Range<usize>, sponge: &mut Sponge) {
        let Some(nulls) = &self.nulls else {
            return self.values.push(range, sponge);
        };
        let start = range.start;
        let mut next = 0;
        for (valid_start, valid_end) in nulls.inner().slice(start, range.len()).set_slices() {
            sponge.push_repeated(NULL, valid_start - next);
            self.values.push(start + valid_start..start + valid_end, sponge);
            next = valid_end;
        }
        sponge.push_repeated(NULL, range.len() - next);
    }
}

fn push_bytes<T: ByteArrayType>(array: &GenericByteArray<T>, range: Range<usize>, sponge: &mut Sponge) {
    let bytes = array.value_data();
    each_range(array.offsets(), range, |value| {
        sponge.push_with_length(bytes.get(value).unwrap_or_default())
    });
}

fn push_lists<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    items: &Elements<'_>,
    range: Range<usize>,
    sponge: &mut Sponge,
) {
    each_range(offsets, range, |list| {
        sponge.push(&(list.len() as u64).to_le_bytes());
        items.push(list, sponge);
    });
}

/// Calls `each` with the range of each value between two offsets.
fn each_range<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, range: Range<usize>, mut each: impl FnMut(Range<usize>)) {
    let offsets = offsets.get(range.start..=range.end).unwrap_or_default();
    for pair in offsets.windows(2) {
        if let [start, end] = pair {
            each(start.as_usize()..end.as_usize());
        }
    }
}
