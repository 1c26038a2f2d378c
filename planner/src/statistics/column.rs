//! The smallest and the largest value of one column, in a few bytes.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Int32Array, Int64Array, StringArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

/// Texts and binary values are kept up to this length, in bytes.
const MAX_TEXT: usize = 32;

/// What values are, as far as it matters for comparing them. Floating-point numbers are not among them: footers leave NaN out,
/// which SQL orders before or behind all other numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    Bool,
    Int,
    UInt,
    Date,
    Millis,
    Micros,
    Nanos,
    /// With its scale.
    Decimal(i8),
    Text,
    Binary,
}

impl Kind {
    /// The kind of a column whose values compare as those of this kind do.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Self::Int,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Self::UInt,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::Millis,
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Micros,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Self::Nanos,
            DataType::Decimal128(_, scale) => Self::Decimal(*scale),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Binary,
            _ => return None,
        })
    }
}

/// A value that no other is beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Also of booleans, dates and times.
    Int(i64),
    UInt(u64),
    Decimal(i128),
    /// Also of texts.
    Bytes(Vec<u8>),
}

impl Bound {
    /// Only bounds of the same kind are compared.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(right)),
            (Self::UInt(left), Self::UInt(right)) => Some(left.cmp(right)),
            (Self::Decimal(left), Self::Decimal(right)) => Some(left.cmp(right)),
            (Self::Bytes(left), Self::Bytes(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

/// What is known about the values of a column. Values that are absent are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnStatistics {
    pub(crate) kind: Kind,
    /// No value is smaller.
    pub(crate) min: Option<Bound>,
    /// No value is larger.
    pub(crate) max: Option<Bound>,
    pub(crate) nulls: Option<u64>,
    /// Whether there are only nulls; then there are no bounds, and none are missing.
    pub(crate) only_nulls: bool,
    /// Whether the bounds are values that the column has.
    pub(crate) is_exact: bool,
}

const HAS_MIN: u8 = 1;
const HAS_MAX: u8 = 2;
const HAS_NULLS: u8 = 4;
const ONLY_NULLS: u8 = 8;
const IS_EXACT: u8 = 16;

impl ColumnStatistics {
    /// Long texts and binary values are cut to bounds.
    pub(crate) fn new(kind: Kind, min: Option<Bound>, max: Option<Bound>, nulls: Option<u64>, is_exact: bool) -> Self {
        let is_long = |bound: &Option<Bound>| matches!(bound, Some(Bound::Bytes(bytes)) if bytes.len() > MAX_TEXT);
        let is_exact = is_exact && !is_long(&min) && !is_long(&max);
        let cut = |bound: Bound, cut: fn(&[u8], bool) -> Option<Vec<u8>>| match bound {
            Bound::Bytes(bytes) if bytes.len() > MAX_TEXT => cut(&bytes, kind == Kind::Text).map(Bound::Bytes),
            bound => Some(bound),
        };
        Self {
            kind,
            min: min.and_then(|min| cut(min, |bytes, is_text| Some(prefix(bytes, is_text).to_vec()))),
            max: max.and_then(|max| cut(max, |bytes, is_text| next(prefix(bytes, is_text), is_text))),
            nulls,
            only_nulls: false,
            is_exact,
        }
    }

    pub(crate) fn only_nulls(kind: Kind, nulls: u64) -> Self {
        Self {
            kind,
            min: None,
            max: None,
            nulls: Some(nulls),
            only_nulls: true,
            is_exact: true,
        }
    }

    /// Takes in what is known about more values of the column.
    pub(crate) fn merge(&mut self, other: Self) {
        let nulls = self
            .nulls
            .zip(other.nulls)
            .map(|(ours, theirs)| ours.saturating_add(theirs));
        let mut merged = match (self.only_nulls, other.only_nulls) {
            _ if self.kind != other.kind => Self::new(self.kind, None, None, None, false),
            (true, _) => other,
            (false, true) => self.clone(),
            (false, false) => Self {
                kind: self.kind,
                min: extreme(self.min.take(), other.min, Ordering::Less),
                max: extreme(self.max.take(), other.max, Ordering::Greater),
                nulls: None,
                only_nulls: false,
                is_exact: self.is_exact && other.is_exact,
            },
        };
        merged.nulls = nulls;
        *self = merged;
    }

    /// Flags, then what they say is there: nulls, smallest, largest.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        bytes.push(
            flag(self.min.is_some(), HAS_MIN)
                | flag(self.max.is_some(), HAS_MAX)
                | flag(self.nulls.is_some(), HAS_NULLS)
                | flag(self.only_nulls, ONLY_NULLS)
                | flag(self.is_exact, IS_EXACT),
        );
        if let Some(nulls) = self.nulls {
            push_number(nulls, bytes);
        }
        for bound in [&self.min, &self.max].into_iter().flatten() {
            match bound {
                Bound::Int(value) => push_number(zigzag(*value), bytes),
                Bound::UInt(value) => push_number(*value, bytes),
                Bound::Decimal(value) => bytes.extend_from_slice(&value.to_le_bytes()),
                Bound::Bytes(value) => {
                    push_number(value.len() as u64, bytes);
                    bytes.extend_from_slice(value);
                }
            }
        }
    }

    /// Gives the bytes behind it as well.
    pub(super) fn decode(kind: Kind, bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (flags, mut rest) = bytes.split_first()?;
        let has = |flag: u8| flags & flag != 0;
        let mut nulls = None;
        if has(HAS_NULLS) {
            let (count, left) = take_number(rest)?;
            (nulls, rest) = (Some(count), left);
        }
        let mut bounds = [None, None];
        for (bound, flag) in bounds.iter_mut().zip([HAS_MIN, HAS_MAX]) {
            if has(flag) {
                let (value, left) = take_bound(kind, rest)?;
                (*bound, rest) = (Some(value), left);
            }
        }
        let [min, max] = bounds;
        let column = Self {
            kind,
            min,
            max,
            nulls,
            only_nulls: has(ONLY_NULLS),
            is_exact: has(IS_EXACT),
        };
        Some((column, rest))
    }

    /// Bounds of several files as values of a column; none where there is none, or one of another kind.
    pub(crate) fn array(bounds: &[Option<Bound>], data_type: &DataType) -> Option<ArrayRef> {
        let ints = || bounds.iter().map(|bound| bound.as_ref().and_then(Bound::int));
        let bytes = || bounds.iter().map(|bound| bound.as_ref().and_then(Bound::bytes));
        let values: ArrayRef = match Kind::of(data_type)? {
            Kind::Bool => Arc::new(BooleanArray::from_iter(
                ints().map(|value| value.map(|value| value != 0)),
            )),
            Kind::Date => {
                let days = ints().map(|value| value.and_then(|value| i32::try_from(value).ok()));
                Arc::new(Int32Array::from_iter(days))
            }
            Kind::Int | Kind::Millis | Kind::Micros | Kind::Nanos => Arc::new(Int64Array::from_iter(ints())),
            Kind::UInt => Arc::new(UInt64Array::from_iter(bounds.iter().map(|bound| match bound {
                Some(Bound::UInt(value)) => Some(*value),
                _ => None,
            }))),
            Kind::Decimal(_) => {
                let DataType::Decimal128(precision, scale) = data_type else {
                    return None;
                };
                let values = Decimal128Array::from_iter(bounds.iter().map(|bound| match bound {
                    Some(Bound::Decimal(value)) => Some(*value),
                    _ => None,
                }));
                Arc::new(values.with_precision_and_scale(*precision, *scale).ok()?)
            }
            Kind::Text => Arc::new(StringArray::from_iter(
                bytes().map(|value| value.and_then(|value| std::str::from_utf8(value).ok())),
            )),
            Kind::Binary => Arc::new(BinaryArray::from_iter(bytes())),
        };
        cast(&values, data_type).ok()
    }
}

impl Bound {
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(value) => Some(value),
            _ => None,
        }
    }
}

/// The one that is more extreme; none if one of them is not known.
fn extreme(left: Option<Bound>, right: Option<Bound>, wanted: Ordering) -> Option<Bound> {
    let (left, right) = (left?, right?);
    match left.compare(&right)? {
        order if order == wanted => Some(left),
        _ => Some(right),
    }
}

/// The start of a long value; of a text, whole characters.
fn prefix(bytes: &[u8], is_text: bool) -> &[u8] {
    let mut end = MAX_TEXT.min(bytes.len());
    while is_text && end > 0 && bytes.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    bytes.get(..end).unwrap_or_default()
}

/// A short value that is larger than all that start like this, if there is one.
fn next(prefix: &[u8], is_text: bool) -> Option<Vec<u8>> {
    if !is_text {
        let at = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
        let mut bytes = prefix.get(..=at)?.to_vec();
        let last = bytes.last_mut()?;
        *last += 1;
        return Some(bytes);
    }
    let mut text: Vec<char> = std::str::from_utf8(prefix).ok()?.chars().collect();
    while let Some(last) = text.pop() {
        if let Some(larger) = successor(last) {
            text.push(larger);
            return Some(text.into_iter().collect::<String>().into_bytes());
        }
    }
    None
}

/// The next character; there are none between U+D7FF and U+E000.
fn successor(character: char) -> Option<char> {
    match character {
        '\u{d7ff}' => Some('\u{e000}'),
        other => char::from_u32(u32::from(other).checked_add(1)?),
    }
}

fn take_bound(kind: Kind, bytes: &[u8]) -> Option<(Bound, &[u8])> {
    Some(match kind {
        Kind::UInt => {
            let (value, rest) = take_number(bytes)?;
            (Bound::UInt(value), rest)
        }
        Kind::Decimal(_) => {
            let (value, rest) = bytes.split_first_chunk()?;
            (Bound::Decimal(i128::from_le_bytes(*value)), rest)
        }
        Kind::Text | Kind::Binary => {
            let (length, rest) = take_number(bytes)?;
            let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            (Bound::Bytes(value.to_vec()), rest)
        }
        Kind::Bool | Kind::Int | Kind::Date | Kind::Millis | Kind::Micros | Kind::Nanos => {
            let (value, rest) = take_number(bytes)?;
            (Bound::Int(unzigzag(value)), rest)
        }
    })
}

/// Small numbers of either sign become small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Seven bits a byte, the lowest first.
fn push_number(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}
