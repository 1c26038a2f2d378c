//! Names of tables as SQL and Flight SQL spell them.

use std::fmt;

use jetway_odf::identity::{AccountName, DatasetAlias, DatasetId, DatasetName};
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// The one catalog that this node offers in SQL.
pub const CATALOG: &str = "jetway";

/// What a table name means: an alias, or a dataset's DID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableName {
    /// `account.dataset`, or `dataset` in the subject's own account.
    Alias(DatasetAlias),
    /// `did:odf:...`
    Id(DatasetId),
}

impl TableName {
    /// Reads the parts of an SQL name. `_` stands for `-`, since ODF names know no underscore; a single part may be
    /// `account/dataset` or a DID. The schema, when given, is the account.
    ///
    /// # Errors
    /// `InvalidArgument` when the parts are no legal ODF names, `NotFound` when the catalog is not ours.
    pub fn parse(catalog: Option<&str>, schema: Option<&str>, table: &str) -> Result<Self> {
        if let Some(catalog) = catalog.filter(|catalog| !catalog.is_empty() && !catalog.eq_ignore_ascii_case(CATALOG)) {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no catalog \"{catalog}\"; the only one is \"{CATALOG}\""),
            ));
        }
        if let Ok(id) = table.parse::<DatasetId>() {
            return Ok(Self::Id(id));
        }
        let (account, name) = match (schema.filter(|schema| !schema.is_empty()), table.split_once('/')) {
            (Some(account), _) => (Some(account), table),
            (None, Some((account, name))) => (Some(account), name),
            (None, None) => (None, table),
        };
        let account = account
            .map(|account| odf_spelling(account).parse::<AccountName>())
            .transpose()
            .map_err(|error| bad_name(&error))?;
        let name = odf_spelling(name)
            .parse::<DatasetName>()
            .map_err(|error| bad_name(&error))?;
        Ok(Self::Alias(DatasetAlias::new(account, name)))
    }

    /// The same name, in an account if it names none itself.
    ///
    /// # Errors
    /// `InvalidArgument` when the account's name is no legal one.
    pub fn within(self, account: Option<&str>) -> Result<Self> {
        match (self, account) {
            (Self::Alias(alias), Some(account)) if alias.account.is_none() => {
                let account = odf_spelling(account)
                    .parse::<AccountName>()
                    .map_err(|error| bad_name(&error))?;
                Ok(Self::Alias(DatasetAlias::new(Some(account), alias.name)))
            }
            (name, _) => Ok(name),
        }
    }
}

/// ODF names know no underscore, SQL names know no unquoted hyphen: one stands for the other.
fn odf_spelling(name: &str) -> String {
    name.replace('_', "-")
}

fn bad_name(error: &jetway_odf::Error) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        "that is no name for a dataset: use letters, digits and single hyphens or underscores, with dots between parts, \
         such as \"net.example.my_table\"",
    )
    .with_context("reason", error.to_string())
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alias(alias) => alias.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}
