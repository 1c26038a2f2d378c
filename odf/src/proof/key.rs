//! Who signs: Ed25519 keys, and their names as `did:key`.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result};
use crate::identity::{DatasetId, serde_as_text};

/// A public key: `did:key:z6Mk...`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DidKey([u8; DidKey::LEN]);

impl DidKey {
    /// Length of the key, in bytes.
    pub const LEN: usize = 32;

    /// Whether this key signed a message.
    ///
    /// Weak keys, under which a signature can fit several messages, sign nothing.
    #[must_use]
    pub fn has_signed(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for DidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&DatasetId::from_public_key(self.0).to_did_key())
    }
}

impl fmt::Debug for DidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DidKey({self})")
    }
}

impl FromStr for DidKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if !text.starts_with("did:key:") {
            return Err(Error::invalid_identity(
                "a signer is named by its key, as did:key:z6Mk... with an Ed25519 key",
            ));
        }
        Ok(Self(*text.parse::<DatasetId>()?.public_key()))
    }
}

serde_as_text!(DidKey);

/// A signature: multibase `u`, which is URL-safe base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; ed25519_dalek::SIGNATURE_LENGTH]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "u{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bytes = text
            .strip_prefix('u')
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            Error::malformed("a signature is 64 bytes in multibase u: a u, then URL-safe base64 without padding")
        })
    }
}

serde_as_text!(Signature);

/// The key that a node signs its answers with.
pub struct NodeIdentity(SigningKey);

impl NodeIdentity {
    /// The identity of a private key.
    #[must_use]
    pub fn from_private_key(key: &[u8; DidKey::LEN]) -> Self {
        Self(SigningKey::from_bytes(key))
    }

    /// Reads a private key from its text: 32 bytes in URL-safe base64 without padding, with or without multibase's `u`.
    ///
    /// # Errors
    /// `Malformed` when it is something else. The text is not repeated.
    pub fn parse(text: &SecretString) -> Result<Self> {
        let text = text.expose_secret().trim();
        // 32 bytes are 43 digits.
        let digits = if text.len() == 44 {
            text.strip_prefix('u')
        } else {
            Some(text)
        };
        let bytes = digits.and_then(|digits| URL_SAFE_NO_PAD.decode(digits).ok());
        let key: Option<[u8; DidKey::LEN]> = bytes.and_then(|bytes| bytes.try_into().ok());
        key.map(|key| Self::from_private_key(&key)).ok_or_else(|| {
            Error::malformed(
                "a signing key must be 32 random bytes in URL-safe base64 without padding (43 characters), \
                 as `head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d =` makes them",
            )
        })
    }

    /// The public name of the key.
    #[must_use]
    pub fn did(&self) -> DidKey {
        DidKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message. The same message always gets the same signature (RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeIdentity({})", self.did())
    }
}
