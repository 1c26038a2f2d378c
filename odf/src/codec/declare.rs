//! How the lists of fields in `event.rs` and its like become tables: each list is the order of the slots, as in the fbs.

/// Encodes the named variables, in this order, as the slots of a table: first all that lies outside of it.
macro_rules! encode_table {
    ($builder:ident, $($field:ident)*) => {{
        $(let $field = ($field, crate::codec::field::Field::build($field, $builder));)*
        let table = crate::codec::field::SlotWriter::new($builder);
        $(let table = table.write($field.0, $field.1);)*
        table.finish()
    }};
}

/// Declares how structs become tables: the fields, in the order of the slots.
macro_rules! records {
    ($($type:ident { $($field:ident),* })*) => {$(
        impl crate::codec::field::Record for $type {
            fn encode(&self, builder: &mut crate::codec::flatbuffer::Builder) -> crate::codec::flatbuffer::Offset {
                let Self { $($field),* } = self;
                crate::codec::declare::encode_table!(builder, $($field)*)
            }

            fn decode(table: crate::codec::flatbuffer::Table<'_>) -> crate::error::Result<Self> {
                let _slots = crate::codec::field::SlotReader::new(table, stringify!($type));
                Ok(Self { $($field: _slots.read(stringify!($field))?),* })
            }
        }

        crate::codec::declare::record_field!($type);
    )*};
}

/// Lets a record stand in a slot or in a vector.
macro_rules! record_field {
    ($type:ty) => {
        impl crate::codec::field::Field for $type {
            type Child = crate::codec::flatbuffer::Offset;

            fn build(&self, builder: &mut crate::codec::flatbuffer::Builder) -> Self::Child {
                crate::codec::field::Record::encode(self, builder)
            }

            fn put(&self, child: Self::Child, table: &mut crate::codec::flatbuffer::TableBuilder<'_>, slot: usize) {
                table.offset(slot, child);
            }

            fn get(table: crate::codec::flatbuffer::Table<'_>, slot: usize) -> crate::error::Result<Option<Self>> {
                table
                    .table(slot)?
                    .map(crate::codec::field::Record::decode)
                    .transpose()
            }
        }
    };
}

/// Declares how an enum becomes a union: the variants in the order of the tags, from 1. A variant is either a record, or
/// lists the fields of its table.
macro_rules! unions {
    ($($type:ident { $($tag:literal $variant:ident $(($record:ident))? $({ $($field:ident),* })?,)* })*) => {$(
        impl crate::codec::field::Union for $type {
            fn encode(&self, builder: &mut crate::codec::flatbuffer::Builder) -> (u8, crate::codec::flatbuffer::Offset) {
                match self {$(
                    Self::$variant $(($record))? $({ $($field),* })? => {
                        ($tag, crate::codec::declare::union_payload!(encode builder $($record)? $({ $($field)* })?))
                    }
                )*}
            }

            fn decode(tag: u8, table: crate::codec::flatbuffer::Table<'_>) -> crate::error::Result<Self> {
                match tag {
                    $($tag => {
                        let _slots = crate::codec::field::SlotReader::new(table, stringify!($variant));
                        Ok(Self::$variant
                            $((crate::codec::declare::union_payload!(decode table $record)))?
                            $({ $($field: _slots.read(stringify!($field))?),* })?)
                    })*
                    _ => Err(crate::error::Error::unsupported(concat!("not a known variant of ", stringify!($type))).with_context("tag", tag)),
                }
            }
        }

        impl crate::codec::field::Field for $type {
            const SLOTS: usize = 2;

            type Child = (u8, crate::codec::flatbuffer::Offset);

            fn build(&self, builder: &mut crate::codec::flatbuffer::Builder) -> Self::Child {
                crate::codec::field::Union::encode(self, builder)
            }

            fn put(&self, (tag, child): Self::Child, table: &mut crate::codec::flatbuffer::TableBuilder<'_>, slot: usize) {
                table.scalar(slot, tag);
                table.offset(slot + 1, child);
            }

            fn get(table: crate::codec::flatbuffer::Table<'_>, slot: usize) -> crate::error::Result<Option<Self>> {
                match (table.scalar(slot)?.unwrap_or(0), table.table(slot + 1)?) {
                    (0, None) => Ok(None),
                    (0, Some(_)) | (_, None) => Err(crate::error::Error::malformed("a union has a tag or a value but not both")),
                    (tag, Some(payload)) => crate::codec::field::Union::decode(tag, payload).map(Some),
                }
            }
        }
    )*};
}

/// The table of a union's variant: that of the record it holds, or one of its own.
macro_rules! union_payload {
    (encode $builder:ident $record:ident) => { crate::codec::field::Record::encode($record, $builder) };
    (encode $builder:ident $({ $($field:ident)* })?) => { crate::codec::declare::encode_table!($builder, $($($field)*)?) };
    (decode $table:ident $record:ident) => { crate::codec::field::Record::decode($table)? };
}

/// Declares the numbers of an enum: its variants from 0, in a slot of the given width.
macro_rules! numbered {
    ($($type:ident: $scalar:ty { 0 $first:ident $(, $number:literal $variant:ident)* })*) => {$(
        impl crate::codec::field::Field for $type {
            type Child = ();

            fn build(&self, _: &mut crate::codec::flatbuffer::Builder) {}

            fn put(&self, (): (), table: &mut crate::codec::flatbuffer::TableBuilder<'_>, slot: usize) {
                let number: $scalar = match self { Self::$first => 0, $(Self::$variant => $number),* };
                table.scalar(slot, number);
            }

            fn get(table: crate::codec::flatbuffer::Table<'_>, slot: usize) -> crate::error::Result<Option<Self>> {
                match table.scalar::<$scalar>(slot)? {
                    None => Ok(None),
                    Some(0) => Ok(Some(Self::$first)),
                    $(Some($number) => Ok(Some(Self::$variant)),)*
                    Some(other) => Err(crate::error::Error::unsupported(concat!("not a known ", stringify!($type))).with_context("number", other)),
                }
            }

            fn is_absent(&self) -> bool {
                matches!(self, Self::$first)
            }

            fn absent() -> crate::error::Result<Self> {
                Ok(Self::$first)
            }
        }
    )*};
}

pub(super) use {encode_table, numbered, record_field, records, union_payload, unions};
