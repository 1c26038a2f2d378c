//! On whose behalf something is done.

use jetway_odf::identity::AccountName;
use serde::{Deserialize, Serialize};

/// The account on whose behalf a statement runs or data is written. Made by whoever authenticated it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    account: AccountName,
    admin: bool,
}

impl Subject {
    /// An account that may do what its own permissions allow.
    pub fn account(name: AccountName) -> Self {
        Self {
            account: name,
            admin: false,
        }
    }

    /// An account that may do anything.
    pub fn admin(name: AccountName) -> Self {
        Self {
            account: name,
            admin: true,
        }
    }

    /// Name of the account; also the schema that unqualified table names are looked up in.
    pub fn name(&self) -> &AccountName {
        &self.account
    }

    /// Whether the account may do anything.
    pub fn is_admin(&self) -> bool {
        self.admin
    }
}
