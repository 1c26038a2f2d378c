//! Views: small files in the repository, `views/<account>/<name>.json`, so that every node over it has them.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use jetway_odf::identity::{AccountName, DatasetAlias};
use jetway_planner::{Access, Error, ErrorKind, Result, Subject, View};
use serde::{Deserialize, Serialize};

use super::{CONCURRENT_READS, StorageCatalog, allow, allow_creation, taken};

const FOLDER: &str = "views";

/// A view as its file says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    name: DatasetAlias,
    query: String,
}

impl StorageCatalog {
    /// The view of a full name, if the subject may read it.
    pub(super) async fn find_view(&self, subject: &Subject, alias: &DatasetAlias) -> Result<Option<View>> {
        let view = self.stored_view(&file(alias)).await?;
        Ok(view.filter(|view| self.may_see(subject, &view.alias)))
    }

    pub(super) async fn list_views(&self, subject: &Subject, account: Option<&AccountName>) -> Result<Vec<View>> {
        let folder = match account {
            Some(account) => format!("{FOLDER}/{}", account.as_str().to_lowercase()),
            None => FOLDER.to_owned(),
        };
        let files = self.names.repositories.root().notes(&folder).await?;
        let views = stream::iter(files)
            .map(async |file| match self.stored_view(&file).await {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    tracing::warn!(view.file = file, %error, "a damaged view is left out");
                    Ok(None)
                }
                view => view,
            })
            .buffered(CONCURRENT_READS);
        let mut views: Vec<View> = views.try_filter_map(async |view| Ok(view)).try_collect().await?;
        views.retain(|view| self.may_see(subject, &view.alias));
        views.sort_by(|a, b| a.alias.cmp(&b.alias));
        Ok(views)
    }

    pub(super) async fn keep_view(&self, subject: &Subject, view: &View, replace: bool) -> Result<()> {
        allow_creation(subject, &view.alias)?;
        let _name = self
            .names
            .index
            .reserve(&view.alias)
            .ok_or_else(|| taken(&view.alias))?;
        if self.by_alias(&view.alias).await?.is_some() {
            return Err(taken(&view.alias));
        }
        let stored = Stored {
            name: view.alias.clone(),
            query: view.query.clone(),
        };
        let text = serde_json::to_vec_pretty(&stored)
            .map_err(|error| Error::new(ErrorKind::Internal, "a view cannot be encoded").with_source(error))?;
        let root = self.names.repositories.root();
        if root.write_note(&file(&view.alias), Bytes::from(text), replace).await? {
            tracing::info!(view.alias = %view.alias, account.name = %subject.name(), "a view was kept");
            return Ok(());
        }
        Err(view_taken(&view.alias))
    }

    pub(super) async fn delete_view(&self, subject: &Subject, alias: &DatasetAlias) -> Result<bool> {
        if self.find_view(subject, alias).await?.is_none() {
            return Ok(false);
        }
        allow(subject, alias, Access::Write)?;
        let removed = self.names.repositories.root().remove_note(&file(alias)).await?;
        tracing::info!(view.alias = %alias, account.name = %subject.name(), "a view was removed");
        Ok(removed)
    }

    /// Refuses the name of a view for a dataset.
    pub(super) async fn check_no_view(&self, alias: &DatasetAlias) -> Result<()> {
        match self.stored_view(&file(alias)).await? {
            Some(_) => Err(view_taken(alias)),
            None => Ok(()),
        }
    }

    /// Owners of views.
    pub(super) async fn view_accounts(&self) -> Result<Vec<AccountName>> {
        let files = self.names.repositories.root().notes(FOLDER).await?;
        let mut names: Vec<AccountName> = files
            .iter()
            .filter_map(|file| file.split('/').nth(1)?.parse().ok())
            .collect();
        names.dedup();
        Ok(names)
    }

    async fn stored_view(&self, file: &str) -> Result<Option<View>> {
        let Some(bytes) = self.names.repositories.root().note(file).await? else {
            return Ok(None);
        };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(
                ErrorKind::Corrupt,
                "the definition of a view is damaged; write CREATE OR REPLACE VIEW",
            )
            .with_context("file", file)
            .with_source(error)
        })?;
        Ok(Some(View {
            alias: stored.name,
            query: stored.query,
        }))
    }
}

/// Where a view is kept. Names compare without case.
fn file(alias: &DatasetAlias) -> String {
    let account = alias.account.as_ref().map_or("", AccountName::as_str);
    format!(
        "{FOLDER}/{}/{}.json",
        account.to_lowercase(),
        alias.name.as_str().to_lowercase()
    )
}

fn view_taken(alias: &DatasetAlias) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        "there is a view of that name already; choose another name, or write CREATE OR REPLACE VIEW",
    )
    .with_context("view", alias.to_string())
}
