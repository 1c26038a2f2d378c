//! Access tokens: long-lived secrets with a name, made and revoked by their owners, stored as hashes.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jetway_odf::identity::AccountName;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::state_file::{StateFile, create_private_dir};

/// How every access token starts, so that people and scanners for leaked secrets recognise it.
const PREFIX: &str = "jw_";

/// What is kept about an access token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessToken {
    /// The name that its owner gave it, unique within the account.
    pub name: String,
    /// On whose behalf it acts.
    pub account: AccountName,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it no longer counts; never when absent.
    pub expires_at: Option<DateTime<Utc>>,
    /// SHA-256 of its text in hex. The text is random enough for a plain hash.
    sha256: String,
}

impl AccessToken {
    /// Whether it no longer counts.
    #[must_use]
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

/// The node's access tokens, in a file of the data folder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessTokens {
    file: Arc<StateFile<TokenList>>,
    clock: Clock,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenList {
    tokens: Vec<AccessToken>,
}

impl AccessTokens {
    /// The tokens of a data folder, which is made when it is not there.
    ///
    /// # Errors
    /// `Io` when the folder cannot be made.
    pub fn open(data_dir: &Path, clock: Clock) -> Result<Self> {
        create_private_dir(data_dir)?;
        Ok(Self {
            file: Arc::new(StateFile::new(data_dir.join("tokens.json"))),
            clock,
        })
    }

    /// Whether a text has the form of an access token.
    #[must_use]
    pub fn recognizes(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Makes a token. Its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// `AlreadyExists` when the account has a token of that name, `InvalidArgument` when the name is empty or the
    /// lifetime is not positive.
    pub fn create(
        &self,
        account: AccountName,
        name: &str,
        lifetime: Option<TimeDelta>,
    ) -> Result<(SecretString, AccessToken)> {
        if name.trim().is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a token needs a name of at most 100 printable characters",
            ));
        }
        if lifetime.is_some_and(|lifetime| lifetime <= TimeDelta::zero()) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a token must expire in the future",
            ));
        }
        let mut random = [0; 32];
        SystemRandom::new().fill(&mut random).map_err(Error::no_randomness)?;
        let text = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random));
        let created_at = self.clock.now();
        let expires_at = lifetime
            .map(|lifetime| {
                created_at.checked_add_signed(lifetime).ok_or_else(|| {
                    Error::new(
                        ErrorKind::InvalidArgument,
                        "the token would expire beyond the end of the calendar",
                    )
                })
            })
            .transpose()?;
        let token = AccessToken {
            name: name.to_owned(),
            account,
            created_at,
            expires_at,
            sha256: sha256(&text),
        };
        self.file.update(|list| {
            if list
                .tokens
                .iter()
                .any(|other| other.account == token.account && other.name == token.name)
            {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    "the account has a token of that name already; choose another name or revoke the old token",
                )
                .with_context("account", &token.account)
                .with_context("name", name));
            }
            list.tokens.push(token.clone());
            Ok(())
        })?;
        Ok((SecretString::from(text), token))
    }

    /// All tokens, also expired ones, oldest first; those of one account if one is given.
    ///
    /// # Errors
    /// `Io` and `Corrupt` about the file.
    pub fn list(&self, account: Option<&AccountName>) -> Result<Vec<AccessToken>> {
        let list = self.file.read()?;
        Ok(list
            .tokens
            .iter()
            .filter(|token| account.is_none_or(|account| token.account == *account))
            .cloned()
            .collect())
    }

    /// Ends a token at once, also in nodes that are running.
    ///
    /// # Errors
    /// `NotFound` when the account has no token of that name.
    pub fn revoke(&self, account: &AccountName, name: &str) -> Result<()> {
        self.file.update(|list| {
            let before = list.tokens.len();
            list.tokens
                .retain(|token| token.account != *account || token.name != name);
            if list.tokens.len() < before {
                return Ok(());
            }
            Err(Error::new(ErrorKind::NotFound, "the account has no token of that name")
                .with_context("account", account)
                .with_context("name", name))
        })
    }

    /// The account that a token stands for.
    ///
    /// # Errors
    /// `Unauthenticated` when there is no such token or it has expired.
    pub fn verify(&self, text: &SecretString) -> Result<AccountName> {
        let sha256 = sha256(text.expose_secret());
        let list = self.file.read()?;
        // Comparing hashes of a random text tells an attacker nothing by its timing.
        let found = list
            .tokens
            .iter()
            .find(|token| token.sha256 == sha256)
            .ok_or_else(Error::unauthenticated)?;
        if found.is_expired(self.clock.now()) {
            Err(Error::unauthenticated())
        } else {
            Ok(found.account.clone())
        }
    }
}

fn sha256(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}
