//! On whose behalf something is done.

use jetway_odf::identity::AccountName;
use serde::{Deserialize, Serialize};

/// The account on whose behalf a statement runs or data is written. Made by whoever authenticated it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    account: AccountName,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Role {
    Account,
    Admin,
    Anonymous,
}

impl Subject {
    /// An account that may do what its own permissions allow.
    pub fn account(name: AccountName) -> Self {
        Self {
            account: name,
            role: Role::Account,
        }
    }

    /// An account that may do anything.
    pub fn admin(name: AccountName) -> Self {
        Self {
            account: name,
            role: Role::Admin,
        }
    }

    /// Nobody in particular: may read what is public, and change nothing. The name is that of no account.
    pub fn anonymous(name: AccountName) -> Self {
        Self {
            account: name,
            role: Role::Anonymous,
        }
    }

    /// Name of the account; also the schema that unqualified table names are looked up in.
    pub fn name(&self) -> &AccountName {
        &self.account
    }

    /// Whether the account may do anything.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Whether it is nobody in particular.
    pub fn is_anonymous(&self) -> bool {
        self.role == Role::Anonymous
    }
}
