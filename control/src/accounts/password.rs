//! Passwords and their hashes.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, password_hash};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind, Result};

/// Shortest password that is taken, in characters.
pub const MIN_PASSWORD: usize = 8;

/// Longest password that is taken, in bytes.
const MAX_PASSWORD: usize = 1024;

/// Letters of random passwords: 32 that do not look like each other, so that each one stands for 5 random bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Length of random passwords: 24 letters of 5 bits.
const GENERATED_LENGTH: usize = 24;

/// A hash that no password has, with the parameters of real ones, to be checked when there is no account.
pub(super) const DECOY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$amV0d2F5IGRlY295IHNhbA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A random password of 24 letters and digits.
///
/// # Errors
/// `Internal` when the operating system gives no random bytes.
pub fn generate_password() -> Result<SecretString> {
    let mut random = [0; GENERATED_LENGTH];
    SystemRandom::new().fill(&mut random).map_err(Error::no_randomness)?;
    let letters = random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
    Ok(SecretString::from(
        letters.map(|letter| char::from(*letter)).collect::<String>(),
    ))
}

/// The argon2id hash of a password with a new salt.
pub(super) fn hash(password: &SecretString) -> Result<String> {
    let password = password.expose_secret();
    if password.chars().count() < MIN_PASSWORD || password.len() > MAX_PASSWORD {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("a password must have {MIN_PASSWORD} characters or more, and at most {MAX_PASSWORD} bytes"),
        ));
    }
    let mut salt = [0; 16];
    SystemRandom::new().fill(&mut salt).map_err(Error::no_randomness)?;
    let salt = SaltString::encode_b64(&salt).map_err(hashing_failed)?;
    let hash = Argon2::default()
        .hash_password(password.as_bytes(), &salt)
        .map_err(hashing_failed)?;
    Ok(hash.to_string())
}

/// Whether a hash was made of this password. Takes tens of milliseconds by design.
pub(super) fn verify(password: &str, hash: &str) -> Result<bool> {
    // No hash was ever made of a longer one; refusing it here keeps hashing time bounded.
    if password.len() > MAX_PASSWORD {
        return Ok(false);
    }
    let hash = PasswordHash::new(hash).map_err(damaged)?;
    match Argon2::default().verify_password(password.as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::Password) => Ok(false),
        Err(error) => Err(damaged(error)),
    }
}

fn hashing_failed(error: password_hash::Error) -> Error {
    Error::new(ErrorKind::Internal, "a password could not be hashed").with_context("reason", error)
}

fn damaged(error: password_hash::Error) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "the stored password hash of an account is damaged; set its password again",
    )
    .with_context("reason", error)
}
