//! Where a copy comes from or goes to, as people write it.
//!
//! | text | |
//! |---|---|
//! | `http(s)://host/account/name`, `odf+http(s)://...` | a dataset of a node; `--dataset` may give the last part |
//! | `s3://bucket/prefix/fed01...`, `file:///path/fed01...`, a path | the folder of a dataset |
//! | `s3://bucket/prefix`, `file:///path`, a path | a repository; `--dataset` says which one of it, by name or DID |

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use jetway_control::StorageCatalog;
use jetway_odf::identity::{DatasetAlias, DatasetId};
use jetway_odf::storage::{Repository, RepositoryOptions};
use jetway_odf::transfer::{Place, RemoteDataset, RemoteOptions};
use jetway_planner::{Access, DatasetCatalog, TableName};
use secrecy::SecretString;

use crate::node;
use crate::workspace::Workspace;

/// The dataset to copy from, and the name that it has there.
pub(crate) async fn source(
    text: &str,
    dataset: Option<&str>,
    token: Option<&SecretString>,
    workspace: &Workspace,
) -> Result<(Place, Option<DatasetAlias>)> {
    if is_http(text) {
        let remote = remote(text, dataset, token)?;
        let mut segments = remote.url().path_segments().into_iter().flatten().rev();
        let name = segments
            .find(|segment| !segment.is_empty())
            .and_then(|name| name.parse().ok());
        return Ok((Place::Remote(remote), name.map(|name| DatasetAlias::new(None, name))));
    }
    let (location, id) = split(text);
    if !location.contains("://") && !std::path::Path::new(location).is_dir() {
        bail!("there is no folder {location}");
    }
    // Nothing is made, swept or made young where a copy comes from.
    let repository = open(location, workspace, true).await?;
    let storage = match (id, dataset) {
        (Some(id), _) => repository.dataset(id),
        (None, Some(name)) => {
            let catalog = catalog(repository, workspace)?;
            let name = TableName::parse(None, None, name)?;
            let found = catalog.resolve(&workspace.subject, &name, Access::Read).await;
            found
                .with_context(|| format!("nothing can be copied from {text}"))?
                .storage
        }
        (None, None) => {
            let mut ids: Vec<DatasetId> = repository.list().try_collect().await?;
            match (ids.pop(), ids.len()) {
                (Some(id), 0) => repository.dataset(id),
                (Some(_), others) => bail!(
                    "there are {} datasets in {text}; say which one with --dataset",
                    others + 1
                ),
                (None, _) => bail!("there are no datasets in {text}"),
            }
        }
    };
    let alias = storage.alias().await.ok().flatten();
    Ok((Place::Stored(storage), alias))
}

/// The place to copy the dataset `id` to, and the name that it gets there if it is new.
pub(crate) async fn target(
    text: &str,
    dataset: Option<&str>,
    token: Option<&SecretString>,
    (id, alias): (DatasetId, &DatasetAlias),
    workspace: &Workspace,
) -> Result<(Place, Option<DatasetAlias>)> {
    if is_http(text) {
        return Ok((Place::Remote(remote(text, dataset, token)?.for_push_of(id)), None));
    }
    let (location, named) = split(text);
    if let Some(named) = named.filter(|named| *named != id) {
        bail!("{text} is the place of another dataset ({named}); leave out its last part");
    }
    let repository = open(location, workspace, false).await?;
    let storage = repository.dataset(id);
    if storage.head().await?.is_some() {
        return Ok((Place::Stored(storage), None));
    }
    let alias = match dataset {
        Some(name) => name.parse().context("--dataset must be NAME or ACCOUNT/NAME")?,
        None => alias.clone(),
    };
    let storage = catalog(repository, workspace)?
        .push_target(&workspace.subject, &alias, Some(id))
        .await
        .with_context(|| format!("nothing can be copied to {text}"))?;
    Ok((Place::Stored(storage), Some(alias)))
}

fn is_http(text: &str) -> bool {
    ["http://", "https://", "odf+http://", "odf+https://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
}

fn remote(text: &str, dataset: Option<&str>, token: Option<&SecretString>) -> Result<RemoteDataset> {
    let url = match dataset {
        Some(dataset) => format!("{}/{dataset}", text.trim_end_matches('/')),
        None => text.to_owned(),
    };
    let options = RemoteOptions {
        token: token.cloned(),
        ..RemoteOptions::default()
    };
    Ok(RemoteDataset::open(&url, &options)?)
}

/// A repository's location, and the dataset of it if the last part is one's folder.
fn split(text: &str) -> (&str, Option<DatasetId>) {
    let text = match text.trim_end_matches('/') {
        "" => text,
        trimmed => trimmed,
    };
    let (parent, last) = match text.rsplit_once('/') {
        Some((parent, last)) => (parent, last),
        None => (".", text),
    };
    match DatasetId::from_multibase(last) {
        Ok(id) if parent.is_empty() => ("/", Some(id)),
        Ok(id) => (parent, Some(id)),
        Err(_) => (text, None),
    }
}

async fn open(location: &str, workspace: &Workspace, read_only: bool) -> Result<Repository> {
    let options = RepositoryOptions {
        read_only,
        ..node::repository_options(&workspace.config)
    };
    Repository::open(location, &options)
        .await
        .with_context(|| format!("cannot open {location}"))
}

fn catalog(repository: Repository, workspace: &Workspace) -> Result<StorageCatalog> {
    let account = workspace.config.storage.default_account.parse();
    Ok(StorageCatalog::new(
        repository,
        account.context("storage.default_account cannot be used")?,
    ))
}

#[cfg(test)]
mod tests;
