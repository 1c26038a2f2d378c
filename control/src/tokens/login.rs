//! Login tokens: what a login gives, so that a password is sent once. They are signed and not stored, and any replica
//! with the same node key takes them.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jetway_odf::identity::AccountName;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::node_key::NodeKey;

/// How every login token starts.
const PREFIX: &str = "jwl_";

/// Longest text that is looked at, in bytes.
const MAX_LEN: usize = 1024;

/// Makes and checks login tokens.
#[derive(Debug, Clone)]
pub struct LoginTokens {
    key: hmac::Key,
    lifetime: TimeDelta,
    clock: Clock,
}

/// The signed part. Field names are short because every request carries them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    #[serde(rename = "sub")]
    account: AccountName,
    /// Milliseconds since 1970.
    #[serde(rename = "iat")]
    issued_at: i64,
    #[serde(rename = "exp")]
    expires_at: i64,
}

/// A login token that was checked: whose it is and when it was given.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) account: AccountName,
    pub(crate) issued_at: DateTime<Utc>,
}

impl LoginTokens {
    /// Tokens that are signed with a key of the node's and count for `lifetime`.
    #[must_use]
    pub fn new(key: &NodeKey, lifetime: TimeDelta, clock: Clock) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key.derive("login token, version 1")),
            lifetime,
            clock,
        }
    }

    /// A new token of an account, and when it ends.
    ///
    /// # Errors
    /// `InvalidArgument` when the configured lifetime goes beyond the calendar.
    pub fn issue(&self, account: &AccountName) -> Result<(SecretString, DateTime<Utc>)> {
        let now = self.clock.now();
        let expires_at = now
            .checked_add_signed(self.lifetime)
            .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "the lifetime of login tokens is too long"))?;
        let claims = Claims {
            account: account.clone(),
            issued_at: now.timestamp_millis(),
            expires_at: expires_at.timestamp_millis(),
        };
        let claims = serde_json::to_vec(&claims)
            .map_err(|error| Error::new(ErrorKind::Internal, "a login token cannot be encoded").with_source(error))?;
        let signed = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        let text = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        Ok((SecretString::from(text), expires_at))
    }

    /// Checks signature and time; whether the account still exists is for the caller to see.
    pub(crate) fn verify(&self, text: &SecretString) -> Result<Verified> {
        self.open(text.expose_secret()).ok_or_else(Error::unauthenticated)
    }

    fn open(&self, text: &str) -> Option<Verified> {
        if text.len() > MAX_LEN {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.key, signed.as_bytes(), &signature).ok()?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.strip_prefix(PREFIX)?).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        if claims.expires_at <= self.clock.now().timestamp_millis() {
            return None;
        }
        Some(Verified {
            account: claims.account,
            issued_at: DateTime::from_timestamp_millis(claims.issued_at)?,
        })
    }
}
