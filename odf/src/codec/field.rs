//! What stands in the slots of a table.

use std::cell::Cell;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike, Utc};

use super::flatbuffer::{Builder, Offset, Table, TableBuilder};
use crate::error::{Error, Result};
use crate::identity::{DatasetId, Multihash};

/// A value that stands in one slot of a table, or in two if it is a union (tag, then reference).
pub(super) trait Field: Sized {
    /// How many slots it takes.
    const SLOTS: usize = 1;

    /// What was built outside of the table before the table itself: nothing for numbers.
    type Child;

    /// Builds what lies outside of the table.
    fn build(&self, builder: &mut Builder) -> Self::Child;

    /// Writes the slot.
    fn put(&self, child: Self::Child, table: &mut TableBuilder<'_>, slot: usize);

    /// Reads the slot; `None` if it is absent.
    fn get(table: Table<'_>, slot: usize) -> Result<Option<Self>>;

    /// Whether the value is written by leaving the slot out.
    fn is_absent(&self) -> bool {
        false
    }

    /// The value of an absent slot.
    fn absent() -> Result<Self> {
        Err(Error::malformed("a required field is missing"))
    }
}

/// A value with a table of its own.
pub(super) trait Record: Sized {
    /// Adds the table.
    fn encode(&self, builder: &mut Builder) -> Offset;

    /// Reads the table.
    fn decode(table: Table<'_>) -> Result<Self>;
}

/// One of several tables, told apart by a tag.
pub(super) trait Union: Sized {
    /// Adds the table and tells the tag.
    fn encode(&self, builder: &mut Builder) -> (u8, Offset);

    /// Reads the table of a tag.
    fn decode(tag: u8, table: Table<'_>) -> Result<Self>;
}

/// Reads the slots of a table in their order.
#[derive(Debug)]
pub(super) struct SlotReader<'a> {
    table: Table<'a>,
    type_name: &'static str,
    next: Cell<usize>,
}

impl<'a> SlotReader<'a> {
    pub(super) fn new(table: Table<'a>, type_name: &'static str) -> Self {
        Self {
            table,
            type_name,
            next: Cell::new(0),
        }
    }

    /// Reads the next field.
    pub(super) fn read<F: Field>(&self, name: &'static str) -> Result<F> {
        let slot = self.next.get();
        self.next.set(slot + F::SLOTS);
        let value = F::get(self.table, slot).and_then(|value| value.map_or_else(F::absent, Ok));
        value.map_err(|error| {
            if error.context().iter().any(|(key, _)| *key == "field") {
                return error;
            }
            error.with_context(
                "field",
                format_args!("{}.{}", self.type_name, name.trim_start_matches("r#")),
            )
        })
    }
}

/// Writes the slots of a table in their order.
#[derive(Debug)]
pub(super) struct SlotWriter<'a> {
    table: TableBuilder<'a>,
    next: usize,
}

impl<'a> SlotWriter<'a> {
    pub(super) fn new(builder: &'a mut Builder) -> Self {
        Self {
            table: builder.table(),
            next: 0,
        }
    }

    /// Writes the next field.
    pub(super) fn write<F: Field>(mut self, value: &F, child: F::Child) -> Self {
        if !value.is_absent() {
            value.put(child, &mut self.table, self.next);
        }
        self.next += F::SLOTS;
        self
    }

    pub(super) fn finish(self) -> Offset {
        self.table.finish()
    }
}

impl<F: Field> Field for Option<F> {
    const SLOTS: usize = F::SLOTS;

    type Child = Option<F::Child>;

    fn build(&self, builder: &mut Builder) -> Self::Child {
        self.as_ref().map(|value| value.build(builder))
    }

    fn put(&self, child: Self::Child, table: &mut TableBuilder<'_>, slot: usize) {
        if let (Some(value), Some(child)) = (self, child) {
            value.put(child, table, slot);
        }
    }

    fn get(table: Table<'_>, slot: usize) -> Result<Option<Self>> {
        F::get(table, slot).map(Some)
    }
}

impl<F: Field> Field for Box<F> {
    const SLOTS: usize = F::SLOTS;

    type Child = F::Child;

    fn build(&self, builder: &mut Builder) -> Self::Child {
        self.as_ref().build(builder)
    }

    fn put(&self, child: Self::Child, table: &mut TableBuilder<'_>, slot: usize) {
        self.as_ref().put(child, table, slot);
    }

    fn get(table: Table<'_>, slot: usize) -> Result<Option<Self>> {
        Ok(F::get(table, slot)?.map(Self::new))
    }
}

macro_rules! number_fields {
    ($($type:ty)*) => {$(
        impl Field for $type {
            type Child = ();

            fn build(&self, _: &mut Builder) {}

            fn put(&self, (): (), table: &mut TableBuilder<'_>, slot: usize) {
                table.scalar(slot, *self);
            }

            fn get(table: Table<'_>, slot: usize) -> Result<Option<Self>> {
                table.scalar(slot)
            }

            fn is_absent(&self) -> bool {
                *self == 0
            }

            fn absent() -> Result<Self> {
                Ok(0)
            }
        }
    )*};
}

number_fields!(i32 i64 u32 u64);

impl Field for bool {
    type Child = ();

    fn build(&self, _: &mut Builder) {}

    fn put(&self, (): (), table: &mut TableBuilder<'_>, slot: usize) {
        table.scalar(slot, u8::from(*self));
    }

    fn get(table: Table<'_>, slot: usize) -> Result<Option<Self>> {
        Ok(table.scalar::<u8>(slot)?.map(|byte| byte != 0))
    }

    fn is_absent(&self) -> bool {
        !self
    }

    fn absent() -> Result<Self> {
        Ok(false)
    }
}

impl Field for String {
    type Child = Offset;

    fn build(&self, builder: &mut Builder) -> Offset {
        builder.string(self)
    }

    fn put(&self, child: Offset, table: &mut TableBuilder<'_>, slot: usize) {
        table.offset(slot, child);
    }

    fn get(table: Table<'_>, slot: usize) -> Result<Option<Self>> {
        Ok(table.string(slot)?.map(Self::from))
    }
}

impl Field for Vec<String> {
    type Child = Offset;

    fn build(&self, builder: &mut Builder) -> Offset {
        let strings: Vec<Offset> = self.iter().map(|text| builder.string(text)).collect();
        builder.offsets(&strings)
    }

    fn put(&self, child: Offset, table: &mut TableBuilder<'_>, slot: usize) {
        table.offset(slot, child);
    }

    fn get(table: Table<'_>, slot: usize) -> Result<Option<Self>> {
        table.strings(slot)
    }
}

impl<R: Record> Field for Vec<R> {
    type Child = Offset;

    fn build(&self, builder: &mut Builder) -> Offset {
        let records: Vec<Offset> = self.iter().map(|record| record.encode(builder)).collect();
        builder.offsets(&records)
    }

    fn put(&self, child: Offset, table: &mut TableBuilder<'_>, slot: usize) {
        table.offset(slot, child);
    }

    fn get(table: Table<'_>, slot: usize) -> Result<Option<Self>> {
        table.tables(slot, R::decode)
    }
}

/// Declares types that stand in a slot as a vector of bytes.
macro_rules! byte_fields {
    ($($type:ty: $to_bytes:expr, $from_bytes:expr;)*) => {$(
        impl Field for $type {
            type Child = Offset;

            fn build(&self, builder: &mut Builder) -> Offset {
                let to_bytes: fn(&Self) -> Vec<u8> = $to_bytes;
                builder.bytes(&to_bytes(self))
            }

            fn put(&self, child: Offset, table: &mut TableBuilder<'_>, slot: usize) {
                table.offset(slot, child);
            }

            fn get(table: Table<'_>, slot: usize) -> Result<Option<Self>> {
                let from_bytes: fn(&[u8]) -> Result<Self> = $from_bytes;
                table.bytes(slot)?.map(from_bytes).transpose()
            }
        }
    )*};
}

byte_fields! {
    Vec<u8>: Self::clone, |bytes| Ok(bytes.to_vec());
    Multihash: Self::to_bytes, |bytes| Self::from_bytes(bytes).map_err(foreign);
    DatasetId: Self::to_bytes, |bytes| Self::from_bytes(bytes).map_err(foreign);
}

/// An identity that is broken within a block means that the block is broken.
fn foreign(error: Error) -> Error {
    Error::malformed("a block holds a broken identity").with_source(error)
}

/// `struct Timestamp { year: i32, ordinal: u16, (2 bytes), seconds_from_midnight: u32, nanoseconds: u32 }`, in UTC; the
/// ordinal is the day of the year from 1.
impl Field for DateTime<Utc> {
    type Child = ();

    fn build(&self, _: &mut Builder) {}

    fn put(&self, (): (), table: &mut TableBuilder<'_>, slot: usize) {
        let time = self.time();
        let [y0, y1, y2, y3] = self.year().to_le_bytes();
        let [o0, o1, ..] = self.ordinal().to_le_bytes();
        let [s0, s1, s2, s3] = time.num_seconds_from_midnight().to_le_bytes();
        let [n0, n1, n2, n3] = time.nanosecond().to_le_bytes();
        table.structure(slot, &[y0, y1, y2, y3, o0, o1, 0, 0, s0, s1, s2, s3, n0, n1, n2, n3]);
    }

    fn get(table: Table<'_>, slot: usize) -> Result<Option<Self>> {
        let Some(bytes) = table.structure::<16>(slot)? else {
            return Ok(None);
        };
        let [y0, y1, y2, y3, o0, o1, _, _, s0, s1, s2, s3, n0, n1, n2, n3] = bytes;
        let year = i32::from_le_bytes([y0, y1, y2, y3]);
        let ordinal = u32::from(u16::from_le_bytes([o0, o1]));
        let seconds = u32::from_le_bytes([s0, s1, s2, s3]);
        let nanoseconds = u32::from_le_bytes([n0, n1, n2, n3]);
        let date = NaiveDate::from_yo_opt(year, ordinal);
        let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanoseconds);
        let (Some(date), Some(time)) = (date, time) else {
            return Err(Error::malformed("not a valid time")
                .with_context("year", year)
                .with_context("day_of_year", ordinal)
                .with_context("second", seconds)
                .with_context("nanosecond", nanoseconds));
        };
        Ok(Some(date.and_time(time).and_utc()))
    }
}
