//! Patterns over names, with `%` for any run of characters, as in SQL's `ILIKE`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::identity::alias::DatasetAlias;
use crate::identity::name::{AccountName, DatasetName, check_name};

/// A dataset name in which `%` stands for any run of characters, such as `net.example.%`. Case does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DatasetNamePattern(String);

impl DatasetNamePattern {
    /// Whether the name fits.
    #[must_use]
    pub fn matches(&self, name: &DatasetName) -> bool {
        matches_ignoring_case(self.0.as_bytes(), name.as_str().as_bytes())
    }

    /// Whether there is a `%` in it; without one it fits one name only.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.0.contains('%')
    }
}

impl fmt::Display for DatasetNamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DatasetNamePattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        check_name("dataset pattern", text, |byte| {
            byte == b'%' || byte.is_ascii_alphanumeric()
        })?;
        Ok(Self(text.to_owned()))
    }
}

/// A pattern with an optional account: `alice/net.%`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DatasetAliasPattern {
    /// The owner; any when absent.
    pub account: Option<AccountName>,
    /// The pattern of the name.
    pub name: DatasetNamePattern,
}

impl DatasetAliasPattern {
    /// Whether the alias fits. A pattern with an account does not fit an alias without one.
    #[must_use]
    pub fn matches(&self, alias: &DatasetAlias) -> bool {
        let account_fits = self.account.is_none() || self.account == alias.account;
        account_fits && self.name.matches(&alias.name)
    }
}

impl fmt::Display for DatasetAliasPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(f, "{account}/{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

impl FromStr for DatasetAliasPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (account, name) = match text.split_once('/') {
            Some((account, name)) => (Some(account.parse()?), name),
            None => (None, text),
        };
        Ok(Self {
            account,
            name: name.parse()?,
        })
    }
}

/// Matches from left to right and, on a mismatch, lets the last `%` swallow one more byte.
fn matches_ignoring_case(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut in_text) = (0, 0);
    let mut last_wildcard: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(in_text) {
        match pattern.get(at) {
            Some(b'%') => {
                at += 1;
                last_wildcard = Some((at, in_text));
            }
            Some(expected) if expected.eq_ignore_ascii_case(byte) => {
                at += 1;
                in_text += 1;
            }
            _ => match last_wildcard {
                Some((after_wildcard, swallowed_to)) => {
                    at = after_wildcard;
                    in_text = swallowed_to + 1;
                    last_wildcard = Some((after_wildcard, in_text));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'%')
}
