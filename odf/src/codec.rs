//! Blocks as bytes, and back.
//!
//! A block file is a flatbuffer within a flatbuffer: the manifest says what is inside and in which version, its content
//! is the block.
//!
//! ```text
//! Manifest { kind: 0x400000, version: 2 | 3, content: [ubyte] }
//!                                                     |
//!                            MetadataBlock { system_time, prev_block_hash, sequence_number, event }
//! ```
//!
//! A block's hash is that of the whole file. Bytes that came from elsewhere are kept as they are, in [`EncodedBlock`];
//! bytes that are made here are canonical: equal blocks always have equal bytes, and they are those that other ODF
//! implementations make.
//!
//! The tables of the format are listed in `event.rs`, `source.rs`, `transform.rs` and `schema.rs`; what stands in a slot of
//! a table is in `field.rs`, how a list becomes a table in `declare.rs`; `flatbuffer/` knows the wire format and nothing of ODF.

mod arrow;
mod block;
mod declare;
mod event;
mod field;
mod flatbuffer;
mod schema;
mod source;
mod transform;

pub use arrow::decode_arrow_schema;
pub use block::{EncodedBlock, MAX_BLOCK_SIZE, ManifestVersion, decode_block, decode_manifest_version, encode_block};

#[cfg(test)]
mod tests;
