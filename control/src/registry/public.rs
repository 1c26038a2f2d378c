//! Whose datasets may be read by those who have no account.

use std::collections::BTreeSet;
use std::str::FromStr;

use jetway_odf::identity::AccountName;

use crate::error::{Error, ErrorKind, Result};

/// Accounts whose datasets are public. None by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicAccounts {
    /// Those of every account.
    All,
    /// Those of these accounts.
    Only(BTreeSet<AccountName>),
}

impl Default for PublicAccounts {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl PublicAccounts {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Only(accounts) if accounts.is_empty())
    }

    pub(super) fn includes(&self, account: &AccountName) -> bool {
        match self {
            Self::All => true,
            Self::Only(accounts) => accounts.contains(account),
        }
    }
}

/// Names with commas between them, or `*` for all.
impl FromStr for PublicAccounts {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "*" {
            return Ok(Self::All);
        }
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let accounts = names.map(|name| {
            name.parse().map_err(|error: jetway_odf::Error| {
                let message =
                    format!("\"{name}\" is no name of an account: write names with commas between them, or * for all");
                Error::new(ErrorKind::InvalidArgument, message).with_source(error)
            })
        });
        accounts.collect::<Result<_>>().map(Self::Only)
    }
}
