//! Identities of accounts: a key of their own, or a wallet on a blockchain.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::identity::dataset_id::DatasetId;
use crate::identity::text::serde_as_text;

/// An account's identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccountId {
    /// `did:odf:...`, an ed25519 key like that of a dataset.
    Odf(DatasetId),
    /// `did:pkh:...`, an address on a blockchain.
    Pkh(DidPkh),
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Odf(id) => id.fmt(f),
            Self::Pkh(id) => id.fmt(f),
        }
    }
}

impl FromStr for AccountId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("did:pkh:") {
            return Ok(Self::Pkh(text.parse()?));
        }
        let id = text
            .starts_with("did:odf:")
            .then(|| text.parse())
            .ok_or_else(|| Error::invalid_identity("an account id must start with did:odf: or did:pkh:"))?;
        Ok(Self::Odf(id?))
    }
}

serde_as_text!(AccountId);

/// An address on a blockchain, `did:pkh:` followed by a CAIP-10 account id such as `eip155:1:0xab...`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DidPkh {
    caip10: String,
}

impl DidPkh {
    /// Which family of chains, such as `eip155`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.part(0)
    }

    /// Which chain of the family, such as `1`.
    #[must_use]
    pub fn chain(&self) -> &str {
        self.part(1)
    }

    /// Address of the wallet, in the chain's own form.
    #[must_use]
    pub fn address(&self) -> &str {
        self.part(2)
    }

    fn part(&self, index: usize) -> &str {
        self.caip10.split(':').nth(index).unwrap_or_default()
    }
}

impl fmt::Display for DidPkh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "did:pkh:{}", self.caip10)
    }
}

impl FromStr for DidPkh {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::invalid_identity("the id must be did:pkh:<namespace>:<chain>:<address> (CAIP-10)");
        let caip10 = text.strip_prefix("did:pkh:").ok_or_else(invalid)?;
        let mut parts = caip10.split(':');
        let (Some(namespace), Some(chain), Some(address), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(invalid());
        };
        let valid = is_made_of(namespace, 3..=8, |c| {
            c == b'-' || c.is_ascii_lowercase() || c.is_ascii_digit()
        }) && is_made_of(chain, 1..=32, |c| c == b'-' || c == b'_' || c.is_ascii_alphanumeric())
            && is_made_of(address, 1..=64, |c| {
                c == b'-' || c == b'.' || c == b'%' || c.is_ascii_alphanumeric()
            });
        if valid {
            Ok(Self {
                caip10: caip10.to_owned(),
            })
        } else {
            Err(invalid())
        }
    }
}

fn is_made_of(text: &str, length: std::ops::RangeInclusive<usize>, allowed: impl Fn(u8) -> bool) -> bool {
    length.contains(&text.len()) && text.bytes().all(allowed)
}
