//! Hashes, DIDs and names: how ODF says *which* dataset, account, block or file.

mod account_id;
mod alias;
mod dataset_id;
mod multibase;
mod multihash;
mod name;
mod pattern;
mod reference;
mod text;
mod varint;

pub use account_id::{AccountId, DidPkh};
pub use alias::DatasetAlias;
pub use dataset_id::DatasetId;
pub use multihash::{Multicodec, Multihash};
pub use name::{AccountName, DatasetName, RepositoryName};
pub use pattern::{DatasetAliasPattern, DatasetNamePattern};
pub use reference::{DatasetRef, RemoteDatasetRef};
pub(crate) use text::serde_as_text;

#[cfg(test)]
mod tests;
