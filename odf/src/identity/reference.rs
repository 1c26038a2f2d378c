//! The ways in which people point at a dataset.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::identity::alias::DatasetAlias;
use crate::identity::dataset_id::DatasetId;
use crate::identity::name::RepositoryName;
use crate::identity::text::serde_as_text;

/// A dataset on this node, by identity or by alias.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DatasetRef {
    /// `did:odf:...`
    Id(DatasetId),
    /// `account/name` or `name`
    Alias(DatasetAlias),
}

impl fmt::Display for DatasetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Alias(alias) => alias.fmt(f),
        }
    }
}

impl FromStr for DatasetRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("did:") {
            text.parse().map(Self::Id)
        } else {
            text.parse().map(Self::Alias)
        }
    }
}

serde_as_text!(DatasetRef);

/// A dataset elsewhere. `a/b` always means dataset `b` of repository `a` here, although the same text is an account and
/// a dataset in [`DatasetRef`]: where both are possible, the caller must ask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RemoteDatasetRef {
    /// `did:odf:...` or `repository/did:odf:...`
    Id(Option<RepositoryName>, DatasetId),
    /// `repository/account/name` or `repository/name`
    Alias(RepositoryName, DatasetAlias),
    /// Address of the dataset's root, such as `https://example.net/alice/trades` or `s3://bucket/path`
    Url(String),
}

impl fmt::Display for RemoteDatasetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(None, id) => id.fmt(f),
            Self::Id(Some(repository), id) => write!(f, "{repository}/{id}"),
            Self::Alias(repository, alias) => write!(f, "{repository}/{alias}"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl FromStr for RemoteDatasetRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.contains("://") {
            return Ok(Self::Url(text.to_owned()));
        }
        if text.starts_with("did:") {
            return Ok(Self::Id(None, text.parse()?));
        }
        let (repository, rest) = text.split_once('/').ok_or_else(|| {
            Error::invalid_identity("a remote dataset needs a repository, as in repository/name, a DID or a URL")
        })?;
        let repository = repository.parse()?;
        if rest.starts_with("did:") {
            Ok(Self::Id(Some(repository), rest.parse()?))
        } else {
            Ok(Self::Alias(repository, rest.parse()?))
        }
    }
}

serde_as_text!(RemoteDatasetRef);
