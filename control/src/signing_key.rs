//! The key that a node signs its answers with.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jetway_odf::proof::NodeIdentity;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;

use crate::error::{Error, ErrorKind, Result};
use crate::state_file::{create_private, create_private_dir};

#[cfg(test)]
mod tests;

/// Where the key is.
#[must_use]
pub fn signing_key_path(data_dir: &Path) -> PathBuf {
    data_dir.join("signing.key")
}

/// The key in the file `signing.key` of the data folder; a new random one is put there at the first start, which its owner
/// alone can read.
///
/// # Errors
/// `Corrupt` when the file holds no key, `Io` when it cannot be read or written.
pub fn open_signing_key(data_dir: &Path) -> Result<NodeIdentity> {
    let path = signing_key_path(data_dir);
    if !path.exists() {
        create_private_dir(data_dir)?;
        let mut key = [0; 32];
        SystemRandom::new().fill(&mut key).map_err(Error::no_randomness)?;
        create_private(&path, BASE64_URL_SAFE_NO_PAD.encode(key).as_bytes())?;
    }
    // Read what is there, also after making it: another process may have started at the same moment.
    let cannot_read = |error| Error::io("cannot read the signing key", &path, error);
    let text = std::fs::read_to_string(&path).map_err(cannot_read)?;
    let mode = std::fs::metadata(&path).map_err(cannot_read)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others than its owner can read the signing key; `chmod 600` it");
    }
    parse_signing_key(&SecretString::from(text)).map_err(|error| {
        Error::new(
            ErrorKind::Corrupt,
            "the signing key is damaged; restore it from a backup, or delete it to get a new one, which nobody knows yet",
        )
        .with_context("path", path.display())
        .with_source(error)
    })
}

/// Reads a key from its text.
///
/// # Errors
/// `InvalidArgument` when it is something else.
pub fn parse_signing_key(text: &SecretString) -> Result<NodeIdentity> {
    NodeIdentity::parse(text)
        .map_err(|error| Error::new(ErrorKind::InvalidArgument, error.message()).with_source(error))
}
