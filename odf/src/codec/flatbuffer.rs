//! The flatbuffers wire format, as far as ODF needs it.
//!
//! A buffer starts with the offset of its root table. A table starts with the (signed, backward) offset of its vtable,
//! which tells where each slot's value lies within the table, or 0 if the slot is absent. Strings, vectors and nested
//! tables lie outside of the table, at an unsigned forward offset from the place that refers to them.

mod builder;
mod reader;

pub(super) use builder::{Builder, Offset, TableBuilder};
pub(super) use reader::{Buffer, Table};

/// A number as it stands in a table.
pub(super) trait Scalar: Copy {
    /// Its little-endian bytes.
    type Bytes: AsRef<[u8]> + Default + AsMut<[u8]>;

    fn to_bytes(self) -> Self::Bytes;
    fn from_bytes(bytes: Self::Bytes) -> Self;
}

macro_rules! scalars {
    ($($type:ty)*) => {$(
        impl Scalar for $type {
            type Bytes = [u8; size_of::<$type>()];

            fn to_bytes(self) -> Self::Bytes {
                self.to_le_bytes()
            }

            fn from_bytes(bytes: Self::Bytes) -> Self {
                Self::from_le_bytes(bytes)
            }
        }
    )*};
}

scalars!(u8 u16 i16 u32 i32 u64 i64);

#[cfg(test)]
mod tests;
