//! Reads a buffer that may have been made by anybody: every access is checked, nothing is trusted.

use std::cell::Cell;

use super::Scalar;
use crate::error::{Error, Result};

/// How deep tables may nest.
const MAX_DEPTH: usize = 128;

/// What visiting a table costs of the budget, in bytes: about what the decoded value takes.
const TABLE_COST: usize = 64;

/// Foreign bytes, with a budget for reading them.
///
/// Several offsets may point to one place, so a small buffer can describe a huge value. The budget bounds what is read
/// through all offsets together: eight times what honest bytes of that length can need.
#[derive(Debug)]
pub(in crate::codec) struct Buffer<'a> {
    bytes: &'a [u8],
    budget: Cell<usize>,
}

impl<'a> Buffer<'a> {
    pub(in crate::codec) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            budget: Cell::new(bytes.len().saturating_mul(8)),
        }
    }

    /// The root table.
    pub(in crate::codec) fn root(&self) -> Result<Table<'_>> {
        self.table_at(self.follow(0)?, 0)
    }

    fn table_at(&self, position: usize, depth: usize) -> Result<Table<'_>> {
        if depth > MAX_DEPTH {
            return Err(Error::unsupported("tables nest too deeply").with_context("limit", MAX_DEPTH));
        }
        self.spend(TABLE_COST)?;
        let to_vtable = i64::from(self.scalar_at::<i32>(position)?);
        let vtable_start = usize::try_from(position as i64 - to_vtable).map_err(|_| out_of_bounds())?;
        let vtable_length = usize::from(self.scalar_at::<u16>(vtable_start)?);
        let vtable = self.range(vtable_start, vtable_length)?;
        let length = usize::from(self.scalar_at::<u16>(add(vtable_start, 2)?)?);
        if vtable_length < 4 || length < 4 {
            return Err(Error::malformed("a table is shorter than its header"));
        }
        self.range(position, length)?;
        Ok(Table {
            buffer: self,
            position,
            length,
            entries: vtable.get(4..).unwrap_or_default(),
            depth,
        })
    }

    /// The bytes of a string or vector of bytes.
    fn bytes_at(&self, position: usize) -> Result<&'a [u8]> {
        let length = self.scalar_at::<u32>(position)? as usize;
        self.spend(length)?;
        self.range(add(position, 4)?, length)
    }

    fn string_at(&self, position: usize) -> Result<&'a str> {
        std::str::from_utf8(self.bytes_at(position)?)
            .map_err(|error| Error::malformed("a text is not UTF-8").with_source(error))
    }

    /// Follows the unsigned offset that stands at `position`.
    fn follow(&self, position: usize) -> Result<usize> {
        add(position, self.scalar_at::<u32>(position)? as usize)
    }

    fn scalar_at<T: Scalar>(&self, position: usize) -> Result<T> {
        let mut bytes = T::Bytes::default();
        bytes.as_mut().copy_from_slice(self.range(position, size_of::<T>())?);
        Ok(T::from_bytes(bytes))
    }

    fn range(&self, position: usize, length: usize) -> Result<&'a [u8]> {
        self.bytes
            .get(position..add(position, length)?)
            .ok_or_else(out_of_bounds)
    }

    fn spend(&self, cost: usize) -> Result<()> {
        let left = self.budget.get().checked_sub(cost);
        self.budget
            .set(left.ok_or_else(|| Error::unsupported("the same bytes are referred to too often"))?);
        Ok(())
    }
}

/// A table of the buffer. A getter gives `None` if the slot is absent.
#[derive(Debug, Clone, Copy)]
pub(in crate::codec) struct Table<'a> {
    buffer: &'a Buffer<'a>,
    position: usize,
    length: usize,
    entries: &'a [u8],
    depth: usize,
}

impl<'a> Table<'a> {
    pub(in crate::codec) fn scalar<T: Scalar>(&self, slot: usize) -> Result<Option<T>> {
        self.inline(slot, size_of::<T>())?
            .map(|position| self.buffer.scalar_at(position))
            .transpose()
    }

    /// The bytes of an inline struct.
    pub(in crate::codec) fn structure<const LEN: usize>(&self, slot: usize) -> Result<Option<[u8; LEN]>> {
        let Some(position) = self.inline(slot, LEN)? else {
            return Ok(None);
        };
        let bytes = self.buffer.range(position, LEN)?;
        Ok(Some(bytes.try_into().map_err(|_| out_of_bounds())?))
    }

    pub(in crate::codec) fn bytes(&self, slot: usize) -> Result<Option<&'a [u8]>> {
        self.child(slot)?
            .map(|position| self.buffer.bytes_at(position))
            .transpose()
    }

    pub(in crate::codec) fn string(&self, slot: usize) -> Result<Option<&'a str>> {
        self.child(slot)?
            .map(|position| self.buffer.string_at(position))
            .transpose()
    }

    pub(in crate::codec) fn table(&self, slot: usize) -> Result<Option<Self>> {
        self.child(slot)?
            .map(|position| self.buffer.table_at(position, self.depth + 1))
            .transpose()
    }

    pub(in crate::codec) fn strings(&self, slot: usize) -> Result<Option<Vec<String>>> {
        self.vector(slot, |position| self.buffer.string_at(position).map(str::to_owned))
    }

    pub(in crate::codec) fn tables<T>(
        &self,
        slot: usize,
        decode: impl Fn(Self) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        self.vector(slot, |position| decode(self.buffer.table_at(position, self.depth + 1)?))
    }

    /// Reads a vector of references. Nothing is reserved for it, because its length is not to be trusted.
    fn vector<T>(&self, slot: usize, read: impl Fn(usize) -> Result<T>) -> Result<Option<Vec<T>>> {
        let Some(position) = self.child(slot)? else {
            return Ok(None);
        };
        let count = self.buffer.scalar_at::<u32>(position)? as usize;
        let start = add(position, 4)?;
        let offsets = self
            .buffer
            .range(start, count.checked_mul(4).ok_or_else(out_of_bounds)?)?;
        self.buffer.spend(offsets.len())?;
        let item = |index| read(self.buffer.follow(start + 4 * index)?);
        (0..count).map(item).collect::<Result<_>>().map(Some)
    }

    fn child(&self, slot: usize) -> Result<Option<usize>> {
        self.inline(slot, 4)?
            .map(|position| self.buffer.follow(position))
            .transpose()
    }

    /// Where the slot's value of `length` bytes begins.
    fn inline(&self, slot: usize, length: usize) -> Result<Option<usize>> {
        let entry = self
            .entries
            .as_chunks::<2>()
            .0
            .get(slot)
            .copied()
            .map_or(0, u16::from_le_bytes);
        match usize::from(entry) {
            0 => Ok(None),
            start if start < 4 || start + length > self.length => Err(out_of_bounds()),
            start => add(self.position, start).map(Some),
        }
    }
}

fn add(position: usize, length: usize) -> Result<usize> {
    position.checked_add(length).ok_or_else(out_of_bounds)
}

fn out_of_bounds() -> Error {
    Error::malformed("an offset points outside of the bytes")
}
