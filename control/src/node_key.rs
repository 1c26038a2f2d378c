//! The secret that all replicas of a node share.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretBox, SecretString};

use crate::error::{Error, ErrorKind, Result};
use crate::state_file::{create_private, create_private_dir};

#[cfg(test)]
mod tests;

/// Length of the key, in bytes.
const KEY_LEN: usize = 32;

/// The key that login tokens and tickets are signed with. Each use has a key of its own, derived from this one.
pub struct NodeKey(SecretBox<[u8; KEY_LEN]>);

impl NodeKey {
    /// The key in the file `node.key` of the data folder; a new random one is put there at the first start.
    ///
    /// # Errors
    /// `Corrupt` when the file holds no key, `Io` when it cannot be read or written.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join("node.key");
        if !path.exists() {
            create_private_dir(data_dir)?;
            let mut key = [0; KEY_LEN];
            SystemRandom::new().fill(&mut key).map_err(Error::no_randomness)?;
            create_private(&path, BASE64_URL_SAFE_NO_PAD.encode(key).as_bytes())?;
        }
        // Read what is there, also after making it: another process may have started at the same moment.
        let text =
            std::fs::read_to_string(&path).map_err(|error| Error::io("cannot read the node key", &path, error))?;
        Self::parse(&SecretString::from(text)).map_err(|error| {
            Error::new(
                ErrorKind::Corrupt,
                "the node key is damaged; restore it from a backup, or delete it to get a new one",
            )
            .with_context("path", path.display())
            .with_source(error)
        })
    }

    /// Reads a key from its text: 32 bytes in URL-safe base64 without padding.
    ///
    /// # Errors
    /// `InvalidArgument` when it is something else.
    pub fn parse(text: &SecretString) -> Result<Self> {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidArgument,
                "a node key must be 32 random bytes in URL-safe base64 without padding (43 characters), \
                 as `head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d =` makes them",
            )
        };
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text.expose_secret().trim())
            .map_err(|_| invalid())?;
        let key: [u8; KEY_LEN] = bytes.try_into().map_err(|_| invalid())?;
        Ok(Self(SecretBox::new(Box::new(key))))
    }

    /// The key for one purpose. Who learns it learns nothing about the keys for other purposes.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; KEY_LEN] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let tag = hmac::sign(&key, purpose.as_bytes());
        let mut derived = [0; KEY_LEN];
        for (to, from) in derived.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        derived
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey")
    }
}
