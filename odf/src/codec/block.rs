//! The envelope around a block, and blocks together with their bytes.

use bytes::Bytes;

use super::declare::encode_table;
use super::field::{Record, SlotReader};
use super::flatbuffer::{Buffer, Builder};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{Multicodec, Multihash};
use crate::metadata::{MetadataBlock, MetadataEvent, SetDataSchema};

/// Largest block file that is read or written, in bytes. Nearly all have less than a thousand bytes; the room is for
/// attachments.
pub const MAX_BLOCK_SIZE: usize = 8 * 1024 * 1024;

/// The version of a block file. Both have the same content; only the position of timestamps differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManifestVersion {
    /// Timestamps are not aligned. The only version that older nodes accept.
    V2,
    /// Timestamps are aligned to four bytes, as stock flatbuffers tools expect.
    #[default]
    V3,
}

impl ManifestVersion {
    /// The number that stands in the file.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    const fn timestamp_alignment(self) -> usize {
        match self {
            Self::V2 => 1,
            Self::V3 => 4,
        }
    }

    /// The version of a number.
    ///
    /// # Errors
    /// `Unsupported` if it is obsolete or not known yet.
    pub fn from_number(number: i32) -> Result<Self> {
        match number {
            2 => Ok(Self::V2),
            3 => Ok(Self::V3),
            ..2 => Err(Error::unsupported(
                "the block has an obsolete version; write the dataset anew with a current tool",
            )
            .with_context("version", number)),
            4.. => Err(
                Error::unsupported("the block has a newer version than this program knows; update the program")
                    .with_context("version", number),
            ),
        }
    }
}

/// A block with its bytes as they were received or made, and the hash of those bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedBlock {
    /// SHA3-256 of `bytes`, the block's name.
    pub hash: Multihash,
    /// The block file.
    pub bytes: Bytes,
    /// What it says.
    pub block: MetadataBlock,
}

impl EncodedBlock {
    /// Reads a block file and keeps its bytes.
    ///
    /// # Errors
    /// Those of [`decode_block`].
    pub fn from_bytes(bytes: Bytes) -> Result<Self> {
        let block = decode_block(&bytes)?;
        Ok(Self {
            hash: Multihash::sha3_256(&bytes),
            bytes,
            block,
        })
    }

    /// Reads a block file that should have the given hash.
    ///
    /// # Errors
    /// `Corrupt` if it has another one; those of [`decode_block`].
    pub fn from_bytes_with_hash(bytes: Bytes, expected: &Multihash) -> Result<Self> {
        let hash = Multihash::sha3_256(&bytes);
        if hash != *expected {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "the block's bytes do not have the hash that it is stored under",
            )
            .with_context("expected", expected)
            .with_context("actual", hash));
        }
        let block = decode_block(&bytes).map_err(|error| error.with_context("block", hash))?;
        Ok(Self { hash, bytes, block })
    }

    /// Makes the bytes of a block.
    ///
    /// # Errors
    /// Those of [`encode_block`].
    pub fn encode(block: MetadataBlock, version: ManifestVersion) -> Result<Self> {
        let bytes = Bytes::from(encode_block(&block, version)?);
        Ok(Self {
            hash: Multihash::sha3_256(&bytes),
            bytes,
            block,
        })
    }
}

/// Makes the canonical bytes of a block.
///
/// # Errors
/// `InvalidEvent` (rule `S1`) if a schema event has both forms of schema or none, `Unsupported` if the block is too big.
pub fn encode_block(block: &MetadataBlock, version: ManifestVersion) -> Result<Vec<u8>> {
    check(block)?;
    let mut builder = Builder::new(version.timestamp_alignment());
    let root = block.encode(&mut builder);
    let content = builder.finish(root);

    let mut manifest = Builder::new(1);
    let builder = &mut manifest;
    let (kind, version, content) = (
        &(Multicodec::OdfMetadataBlock.code() as i64),
        &version.number(),
        &content,
    );
    let root = encode_table!(builder, kind version content);
    let bytes = manifest.finish(root);
    check_size(bytes.len())?;
    Ok(bytes)
}

/// Reads a block file that may come from anywhere.
///
/// # Errors
/// `Malformed` if the bytes are not a block, `Unsupported` if they are one of an unknown version, with unknown parts, or
/// beyond the limits of size and depth.
pub fn decode_block(bytes: &[u8]) -> Result<MetadataBlock> {
    let (_, content) = decode_manifest(bytes)?;
    let block = MetadataBlock::decode(Buffer::new(&content).root()?)?;
    check(&block).map_err(|error| Error::malformed("the block contradicts itself").with_source(error))?;
    Ok(block)
}

/// Tells the version of a block file without reading the block.
///
/// # Errors
/// As [`decode_block`].
pub fn decode_manifest_version(bytes: &[u8]) -> Result<ManifestVersion> {
    decode_manifest(bytes).map(|(version, _)| version)
}

fn decode_manifest(bytes: &[u8]) -> Result<(ManifestVersion, Vec<u8>)> {
    check_size(bytes.len())?;
    let buffer = Buffer::new(bytes);
    let slots = SlotReader::new(buffer.root()?, "Manifest");
    let kind: i64 = slots.read("kind")?;
    if kind != Multicodec::OdfMetadataBlock.code() as i64 {
        return Err(
            Error::malformed("the file is not a metadata block").with_context("kind", format_args!("{kind:#x}"))
        );
    }
    let version = ManifestVersion::from_number(slots.read("version")?)?;
    Ok((version, slots.read("content")?))
}

/// What the tables alone do not say.
fn check(block: &MetadataBlock) -> Result<()> {
    let MetadataEvent::SetDataSchema(SetDataSchema {
        raw_arrow_schema,
        schema,
    }) = &block.event
    else {
        return Ok(());
    };
    if raw_arrow_schema.is_some() == schema.is_some() {
        return Err(Error::invalid_event(
            "S1",
            "a schema event must have exactly one schema, in ODF's form or as raw Arrow",
        ));
    }
    Ok(())
}

fn check_size(size: usize) -> Result<()> {
    if size > MAX_BLOCK_SIZE {
        return Err(Error::unsupported("the block is too big")
            .with_context("size", size)
            .with_context("limit", MAX_BLOCK_SIZE));
    }
    Ok(())
}
