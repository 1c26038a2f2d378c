//! Self-describing hashes: names of blocks and files, and fingerprints of data.

use std::fmt;
use std::str::FromStr;

use sha3::{Digest, Sha3_256};

use crate::error::{Error, Result};
use crate::identity::text::serde_as_text;
use crate::identity::{multibase, varint};

/// The multicodec numbers that occur in ODF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u64)]
pub enum Multicodec {
    /// Version 1 of IPFS content ids.
    Cidv1 = 0x01,
    /// SHA2-256, known so that foreign hashes can be read.
    Sha2_256 = 0x12,
    /// SHA3-256, the hash of blocks and files.
    Sha3_256 = 0x16,
    /// An ed25519 public key, the body of every `did:odf`.
    Ed25519Pub = 0xed,
    /// A DID in binary form.
    Multidid = 0x0d1d,
    /// Logical hash of records, independent of their encoding.
    Arrow0Sha3_256 = 0x30_0016,
    /// The kind of a manifest that holds a metadata block.
    OdfMetadataBlock = 0x40_0000,
    /// The kind of a manifest that holds a dataset snapshot.
    OdfDatasetSnapshot = 0x40_0001,
}

impl Multicodec {
    const ALL: [Self; 8] = [
        Self::Cidv1,
        Self::Sha2_256,
        Self::Sha3_256,
        Self::Ed25519Pub,
        Self::Multidid,
        Self::Arrow0Sha3_256,
        Self::OdfMetadataBlock,
        Self::OdfDatasetSnapshot,
    ];

    /// The codec's number.
    #[must_use]
    pub const fn code(self) -> u64 {
        self as u64
    }

    /// The codec of a number, if ODF knows it.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.code() == code)
    }

    /// The codec's name in the multicodec table and its ODF extension.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cidv1 => "cidv1",
            Self::Sha2_256 => "sha2-256",
            Self::Sha3_256 => "sha3-256",
            Self::Ed25519Pub => "ed25519-pub",
            Self::Multidid => "multidid",
            Self::Arrow0Sha3_256 => "arrow0-sha3-256",
            Self::OdfMetadataBlock => "odf-metadata-block",
            Self::OdfDatasetSnapshot => "odf-dataset-snapshot",
        }
    }

    const fn is_hash(self) -> bool {
        matches!(self, Self::Sha2_256 | Self::Sha3_256 | Self::Arrow0Sha3_256)
    }
}

/// A hash with the name of its function. Its text is multibase, written as lower-case base16 (`f1620...`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Multihash {
    codec: Multicodec,
    digest: [u8; Multihash::DIGEST_LEN],
}

impl Multihash {
    /// Length of every digest in ODF, in bytes.
    pub const DIGEST_LEN: usize = 32;

    /// Hashes `bytes` with SHA3-256.
    #[must_use]
    pub fn sha3_256(bytes: &[u8]) -> Self {
        Self::from_sha3_256_digest(Sha3_256::digest(bytes).into())
    }

    /// A SHA3-256 digest that was computed elsewhere.
    #[must_use]
    pub const fn from_sha3_256_digest(digest: [u8; Self::DIGEST_LEN]) -> Self {
        Self {
            codec: Multicodec::Sha3_256,
            digest,
        }
    }

    /// A logical hash of records, see [`crate::hash::LogicalHasher`].
    #[must_use]
    pub const fn arrow0_sha3_256(digest: [u8; Self::DIGEST_LEN]) -> Self {
        Self {
            codec: Multicodec::Arrow0Sha3_256,
            digest,
        }
    }

    /// The hash function.
    #[must_use]
    pub const fn codec(&self) -> Multicodec {
        self.codec
    }

    /// The hash itself.
    #[must_use]
    pub const fn digest(&self) -> &[u8; Self::DIGEST_LEN] {
        &self.digest
    }

    /// Reads the binary form: varint code, varint length, digest.
    ///
    /// # Errors
    /// `InvalidIdentity` if the code is not that of a known hash function, the digest is not 32 bytes long, or bytes are left.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let cut_off = || Error::invalid_identity("the multihash is cut off");
        let (code, rest) = varint::take_varint(bytes).ok_or_else(cut_off)?;
        let (length, digest) = varint::take_varint(rest).ok_or_else(cut_off)?;
        let codec = Multicodec::from_code(code)
            .filter(|codec| codec.is_hash())
            .ok_or_else(|| {
                Error::invalid_identity("the multihash names an unknown hash function")
                    .with_context("code", format_args!("{code:#x}"))
            })?;
        let digest: [u8; Self::DIGEST_LEN] = digest
            .try_into()
            .ok()
            .filter(|_| length == Self::DIGEST_LEN as u64)
            .ok_or_else(|| {
                Error::invalid_identity("the digest of a multihash must be 32 bytes long")
                    .with_context("length", length)
            })?;
        Ok(Self { codec, digest })
    }

    /// The binary form, as it stands in blocks.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::DIGEST_LEN + 5);
        varint::push_varint(self.codec.code(), &mut bytes);
        varint::push_varint(Self::DIGEST_LEN as u64, &mut bytes);
        bytes.extend_from_slice(&self.digest);
        bytes
    }

    /// The last eight characters of the text, for people to tell hashes apart.
    #[must_use]
    pub fn short(&self) -> String {
        let [.., a, b, c, d] = self.digest;
        hex::encode([a, b, c, d])
    }
}

impl fmt::Display for Multihash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&multibase::encode_base16(&self.to_bytes()))
    }
}

impl fmt::Debug for Multihash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Multihash({self})")
    }
}

impl FromStr for Multihash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_bytes(&multibase::decode(text)?)
    }
}

serde_as_text!(Multihash);
