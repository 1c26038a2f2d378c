//! Builds a buffer from back to front, in the layout of the stock builders.

use super::Scalar;

/// A buffer under construction. Children are added before the tables that refer to them.
#[derive(Debug)]
pub(in crate::codec) struct Builder {
    /// The bytes so far, last byte of the buffer first.
    reversed: Vec<u8>,
    /// The largest alignment that anything has asked for.
    alignment: usize,
    /// Distinct vtables and where they end, counted from the end of the buffer.
    vtables: Vec<(Vec<u8>, usize)>,
    /// Alignment of inline structs.
    struct_alignment: usize,
}

/// Where a child begins, counted from the end of the buffer.
#[derive(Debug, Clone, Copy)]
pub(in crate::codec) struct Offset(usize);

impl Builder {
    /// An empty buffer whose inline structs are aligned to `struct_alignment` bytes.
    pub(in crate::codec) fn new(struct_alignment: usize) -> Self {
        Self {
            reversed: Vec::with_capacity(1024),
            alignment: 1,
            vtables: Vec::new(),
            struct_alignment,
        }
    }

    /// Adds a vector of bytes.
    pub(in crate::codec) fn bytes(&mut self, bytes: &[u8]) -> Offset {
        self.align(bytes.len(), 4);
        self.prepend(bytes);
        self.prepend_length(bytes.len())
    }

    /// Adds a string, with the zero byte that flatbuffers puts behind it.
    pub(in crate::codec) fn string(&mut self, text: &str) -> Offset {
        self.align(text.len() + 1, 4);
        self.prepend(&[0]);
        self.prepend(text.as_bytes());
        self.prepend_length(text.len())
    }

    /// Adds a vector of references.
    pub(in crate::codec) fn offsets(&mut self, offsets: &[Offset]) -> Offset {
        self.align(4 * offsets.len(), 4);
        for offset in offsets.iter().rev() {
            self.prepend_offset(*offset);
        }
        self.prepend_length(offsets.len())
    }

    /// Starts a table. All that it refers to must have been added.
    pub(in crate::codec) fn table(&mut self) -> TableBuilder<'_> {
        let end = self.reversed.len();
        TableBuilder {
            builder: self,
            end,
            slots: Vec::new(),
        }
    }

    /// Closes the buffer.
    pub(in crate::codec) fn finish(mut self, root: Offset) -> Vec<u8> {
        self.align(4, self.alignment);
        self.prepend_offset(root);
        self.reversed.reverse();
        self.reversed
    }

    /// Pads so that after `length` more bytes the buffer is a multiple of `alignment`.
    fn align(&mut self, length: usize, alignment: usize) {
        self.alignment = self.alignment.max(alignment);
        let aligned = (self.reversed.len() + length).next_multiple_of(alignment);
        self.reversed.resize(aligned - length, 0);
    }

    fn prepend(&mut self, bytes: &[u8]) {
        self.reversed.extend(bytes.iter().rev());
    }

    /// Offsets are relative to the place where they stand. They fit 32 bits because the caller limits the block's size;
    /// beyond that limit the bytes are thrown away.
    fn prepend_offset(&mut self, offset: Offset) {
        let distance = self.reversed.len() + 4 - offset.0;
        self.prepend(&(distance as u32).to_le_bytes());
    }

    fn prepend_length(&mut self, length: usize) -> Offset {
        self.align(4, 4);
        self.prepend(&(length as u32).to_le_bytes());
        Offset(self.reversed.len())
    }
}

/// A table under construction; values are laid out in the order in which they are added.
#[derive(Debug)]
pub(in crate::codec) struct TableBuilder<'a> {
    builder: &'a mut Builder,
    /// Where the table ends, counted from the end of the buffer.
    end: usize,
    /// Present slots and where their values begin.
    slots: Vec<(usize, usize)>,
}

impl TableBuilder<'_> {
    /// Adds a number.
    pub(in crate::codec) fn scalar<T: Scalar>(&mut self, slot: usize, value: T) {
        let bytes = value.to_bytes();
        self.inline(slot, bytes.as_ref(), size_of::<T>());
    }

    /// Adds an inline struct.
    pub(in crate::codec) fn structure(&mut self, slot: usize, bytes: &[u8]) {
        self.inline(slot, bytes, self.builder.struct_alignment);
    }

    /// Adds a reference.
    pub(in crate::codec) fn offset(&mut self, slot: usize, offset: Offset) {
        self.builder.align(4, 4);
        self.builder.prepend_offset(offset);
        self.slots.push((slot, self.builder.reversed.len()));
    }

    /// Closes the table: writes its vtable, unless an equal one is there already.
    pub(in crate::codec) fn finish(self) -> Offset {
        let Self { builder, end, slots } = self;
        builder.align(4, 4);
        builder.prepend(&[0; 4]);
        let start = builder.reversed.len();

        let slot_count = slots.iter().map(|(slot, _)| slot + 1).max().unwrap_or(0);
        let mut entries = vec![0_u16; slot_count];
        for (slot, position) in slots {
            if let Some(entry) = entries.get_mut(slot) {
                *entry = (start - position) as u16;
            }
        }
        let header = [4 + 2 * slot_count as u16, (start - end) as u16];
        let vtable: Vec<u8> = header.into_iter().chain(entries).flat_map(u16::to_le_bytes).collect();

        let known = builder.vtables.iter().find(|(known, _)| *known == vtable);
        let vtable_start = match known {
            Some((_, position)) => *position,
            None => {
                builder.prepend(&vtable);
                let position = builder.reversed.len();
                builder.vtables.push((vtable, position));
                position
            }
        };
        let distance = vtable_start as i64 - start as i64;
        let soffset = builder.reversed.iter_mut().take(start).rev().take(4);
        for (to, from) in soffset.zip((distance as i32).to_le_bytes()) {
            *to = from;
        }
        Offset(start)
    }

    fn inline(&mut self, slot: usize, bytes: &[u8], alignment: usize) {
        self.builder.align(bytes.len(), alignment);
        self.builder.prepend(bytes);
        self.slots.push((slot, self.builder.reversed.len()));
    }
}
