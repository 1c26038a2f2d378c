//! ODF's simple transfer protocol: datasets as files by path, read by other software and written by our own.
//!
//! ```text
//! GET, HEAD  /{account}/{dataset}/refs/head                          the newest block's hash
//! GET, HEAD  /{account}/{dataset}/{blocks|data|checkpoints}/{hash}   stored bytes as they are; parts by Range
//! PUT        /{account}/{dataset}/{blocks|data|checkpoints}/{hash}   stores what has that hash; no chain names it yet
//! PUT        /{account}/{dataset}/refs/head                          checks the chain, compares and swaps the head
//! ```
//!
//! The path says which dataset, and only what is stored for that dataset is found. `?dataset=did:odf:...` says which one
//! is being pushed when there is none of that name yet.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use jetway_odf::identity::{DatasetAlias, DatasetId, Multihash};
use jetway_odf::storage::{DatasetStorage, ObjectKind};
use jetway_planner::{Access, DatasetCatalog, ErrorKind, Subject, TableName};
use serde::Deserialize;

use crate::authentication::Authentication;
use crate::registry::StorageCatalog;

mod caller;
mod failure;
mod read;
mod write;

pub(super) use failure::Failure;

/// What the pages of datasets need. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Transfers {
    /// Which datasets there are, and who may use them.
    pub catalog: Arc<StorageCatalog>,
    /// Who is asking.
    pub authentication: Authentication,
    /// Whether somebody without credentials may read.
    pub anonymous_read: bool,
    /// Largest object that is taken, in bytes.
    pub max_upload: u64,
}

/// The pages of datasets, to be merged with [`super::router`].
pub fn router(transfers: Transfers) -> Router {
    Router::new()
        .route(
            "/{account}/{dataset}/refs/{reference}",
            get(read::reference).put(write::reference),
        )
        .route("/{account}/{dataset}/blocks/{hash}", get(read::block).put(write::block))
        .route("/{account}/{dataset}/data/{hash}", get(read::data).put(write::data))
        .route(
            "/{account}/{dataset}/checkpoints/{hash}",
            get(read::checkpoint).put(write::checkpoint),
        )
        .with_state(transfers)
}

/// The parts of a path: account, dataset, and a hash or the name of a reference.
type Parts = axum::extract::Path<(String, String, String)>;

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    /// The dataset that is being pushed.
    dataset: Option<DatasetId>,
    /// Whether a push may take blocks away.
    #[serde(default)]
    force: bool,
}

impl Transfers {
    /// Somebody who may read.
    pub(super) async fn reader(&self, headers: &HeaderMap) -> Result<Subject, Failure> {
        match self.caller(headers).await? {
            Some(subject) => Ok(subject),
            None if self.anonymous_read => caller::anonymous(),
            None => Err(Failure::unauthenticated("credentials are missing")),
        }
    }

    /// The dataset of a path, for a caller who may read it or is pushing it.
    async fn readable(
        &self,
        headers: &HeaderMap,
        alias: &DatasetAlias,
        pushed: Option<DatasetId>,
    ) -> Result<DatasetStorage, Failure> {
        let caller = self.caller(headers).await?;
        let subject = match &caller {
            Some(subject) => subject.clone(),
            None if self.anonymous_read => caller::anonymous()?,
            None => return Err(Failure::unauthenticated("credentials are missing")),
        };
        let name = TableName::Alias(alias.clone());
        match self.catalog.resolve(&subject, &name, Access::Read).await {
            Ok(dataset) => Ok(dataset.storage),
            Err(error) if error.kind() == ErrorKind::NotFound && pushed.is_some() && caller.is_some() => {
                Ok(self.catalog.push_target(&subject, alias, pushed).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The dataset of a path, for a caller who may write to it, or make it.
    async fn writable(
        &self,
        headers: &HeaderMap,
        alias: &DatasetAlias,
        pushed: Option<DatasetId>,
    ) -> Result<(Subject, DatasetStorage), Failure> {
        let caller = self.caller(headers).await?;
        let subject = caller.ok_or_else(|| Failure::unauthenticated("writing needs credentials"))?;
        let storage = self.catalog.push_target(&subject, alias, pushed).await?;
        Ok((subject, storage))
    }
}

/// What a path names. Names that cannot be names are names of nothing.
fn alias(account: &str, dataset: &str) -> Result<DatasetAlias, Failure> {
    let name = || Some(DatasetAlias::new(Some(account.parse().ok()?), dataset.parse().ok()?));
    name().ok_or_else(Failure::nothing_there)
}

fn parse_hash(text: &str) -> Result<Multihash, Failure> {
    text.parse().map_err(|_| Failure::nothing_there())
}

/// Says in a failed answer which object it was about.
fn object_name(kind: ObjectKind, hash: &Multihash) -> String {
    format!("{}/{hash}", kind.folder())
}
