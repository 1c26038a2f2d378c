//! Identities of datasets: an ed25519 public key as a DID.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::SigningKey;

use crate::error::{Error, Result};
use crate::identity::multihash::Multicodec;
use crate::identity::text::serde_as_text;
use crate::identity::{multibase, varint};

/// A dataset's identity, the same wherever the dataset is: `did:odf:fed01...`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatasetId {
    public_key: [u8; DatasetId::KEY_LEN],
}

impl DatasetId {
    /// Length of the public key, in bytes.
    pub const KEY_LEN: usize = 32;

    /// A new identity with its key pair. Whoever holds the key can prove to be the creator of the dataset.
    #[must_use]
    pub fn generate() -> (Self, SigningKey) {
        let key = SigningKey::from_bytes(&rand::random());
        (Self::from_public_key(key.verifying_key().to_bytes()), key)
    }

    /// The identity of a public key.
    #[must_use]
    pub const fn from_public_key(public_key: [u8; Self::KEY_LEN]) -> Self {
        Self { public_key }
    }

    /// An identity that depends on `seed` alone, for examples and tests: there is no private key to it. Bytes of the
    /// seed after the 32nd are ignored.
    #[must_use]
    pub fn seeded(seed: &[u8]) -> Self {
        let mut padded = [0; Self::KEY_LEN];
        for (to, from) in padded.iter_mut().zip(seed) {
            *to = *from;
        }
        Self {
            public_key: xoshiro256_plus_plus(&padded),
        }
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; Self::KEY_LEN] {
        &self.public_key
    }

    /// The binary form, as it stands in blocks: the varint of `ed25519-pub`, then the key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::KEY_LEN + 2);
        varint::push_varint(Multicodec::Ed25519Pub.code(), &mut bytes);
        bytes.extend_from_slice(&self.public_key);
        bytes
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// `InvalidIdentity` if it is not an ed25519 key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let invalid = || Error::invalid_identity("the id must be an ed25519 public key of 32 bytes");
        let (code, key) = varint::take_varint(bytes).ok_or_else(invalid)?;
        if code != Multicodec::Ed25519Pub.code() {
            return Err(invalid().with_context("codec", format_args!("{code:#x}")));
        }
        let public_key = key
            .try_into()
            .map_err(|_| invalid().with_context("length", key.len()))?;
        Ok(Self { public_key })
    }

    /// The part after `did:odf:`, which names the dataset's folder in a workspace.
    #[must_use]
    pub fn to_multibase(&self) -> String {
        multibase::encode_base16(&self.to_bytes())
    }

    /// Reads the part after `did:odf:`.
    ///
    /// # Errors
    /// `InvalidIdentity` if it is not the multibase text of an ed25519 key.
    pub fn from_multibase(text: &str) -> Result<Self> {
        Self::from_bytes(&multibase::decode(text)?)
    }

    /// The same key as a `did:key`.
    #[must_use]
    pub fn to_did_key(&self) -> String {
        format!("did:key:{}", multibase::encode_base58(&self.to_bytes()))
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "did:odf:{}", self.to_multibase())
    }
}

impl fmt::Debug for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatasetId({self})")
    }
}

impl FromStr for DatasetId {
    type Err = Error;

    /// Reads `did:odf:` and `did:key:` in any supported base.
    fn from_str(text: &str) -> Result<Self> {
        let key = text
            .strip_prefix("did:odf:")
            .or_else(|| text.strip_prefix("did:key:"))
            .ok_or_else(|| Error::invalid_identity("a dataset id must start with did:odf: or did:key:"))?;
        Self::from_multibase(key)
    }
}

serde_as_text!(DatasetId);

/// The first 32 bytes of the xoshiro256++ generator in the state `seed`.
fn xoshiro256_plus_plus(seed: &[u8; 32]) -> [u8; 32] {
    let mut state = [0; 4];
    for (word, bytes) in state.iter_mut().zip(seed.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d] = state;
    let mut output = [0; 32];
    for bytes in output.as_chunks_mut::<8>().0 {
        *bytes = a.wrapping_add(d).rotate_left(23).wrapping_add(a).to_le_bytes();
        let shifted = b << 17;
        c ^= a;
        d ^= b;
        b ^= c;
        a ^= d;
        c ^= shifted;
        d = d.rotate_left(45);
    }
    output
}
