//! Names of datasets, accounts and repositories: like host names, compared without case but kept as written.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::identity::text::serde_as_text;

/// Longest name, in characters.
const MAX_NAME: usize = 100;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// ASCII letters and digits in groups, joined by `-` or `.`, at most 100 characters. Two names are equal when they
        /// differ in case alone; the case of the first writer is kept.
        #[derive(Clone)]
        pub struct $type(Box<str>);

        impl $type {
            /// Checks and wraps a name.
            ///
            /// # Errors
            /// `InvalidIdentity` if the text is not a name.
            pub fn new(text: &str) -> Result<Self> {
                check_name($what, text, |byte| byte.is_ascii_alphanumeric())?;
                Ok(Self(text.into()))
            }

            /// The name as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.0.eq_ignore_ascii_case(&other.0)
            }
        }

        impl Eq for $type {}

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                let lower = |name: &Self| name.0.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>();
                lower(self).cmp(&lower(other))
            }
        }

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.to_ascii_lowercase().hash(state);
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.0)
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        serde_as_text!($type);
    };
}

name!(
    /// Name of a dataset within an account, such as `net.example.trades`.
    DatasetName,
    "dataset"
);

name!(
    /// Name of an account within a node, such as `alice`.
    AccountName,
    "account"
);

name!(
    /// Name that a workspace gives to a remote repository or node.
    RepositoryName,
    "repository"
);

/// Checks the grammar that all names share: `G(-G)*` joined by `.`, where `G` is one or more of the `allowed` bytes.
pub(super) fn check_name(what: &'static str, text: &str, allowed: impl Fn(u8) -> bool) -> Result<()> {
    let is_group = |group: &str| !group.is_empty() && group.bytes().all(&allowed);
    if text.len() <= MAX_NAME && text.split(['.', '-']).all(is_group) {
        return Ok(());
    }
    let rule = "a name is made of ASCII letters and digits in groups joined by '-' or '.', at most 100 characters";
    let shown: String = text.chars().take(MAX_NAME).collect();
    Err(Error::invalid_identity(format!("not a valid {what} name: {rule}")).with_context("name", shown.escape_debug()))
}
