//! A dataset's address for people.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::identity::name::{AccountName, DatasetName};
use crate::identity::text::serde_as_text;

/// A dataset's address for people: `account/name`, or only the name where the account is clear.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatasetAlias {
    /// The owner; absent where there is only one.
    pub account: Option<AccountName>,
    /// The dataset's name within the account.
    pub name: DatasetName,
}

impl DatasetAlias {
    /// Puts an alias together.
    #[must_use]
    pub const fn new(account: Option<AccountName>, name: DatasetName) -> Self {
        Self { account, name }
    }
}

impl From<DatasetName> for DatasetAlias {
    fn from(name: DatasetName) -> Self {
        Self::new(None, name)
    }
}

impl fmt::Display for DatasetAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(f, "{account}/{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

impl FromStr for DatasetAlias {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('/') {
            Some((account, name)) => Ok(Self::new(Some(account.parse()?), name.parse()?)),
            None => Ok(Self::new(None, text.parse()?)),
        }
    }
}

serde_as_text!(DatasetAlias);
