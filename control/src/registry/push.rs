//! Datasets that are copied to this node: their blocks and objects are there before their head is.

use jetway_odf::identity::{DatasetAlias, DatasetId, Multihash};
use jetway_odf::storage::{DatasetStorage, HeadSwap};
use jetway_planner::{Access, Error, ErrorKind, PinnedDataset, Result, Subject};

use super::{StorageCatalog, allow, allow_creation, by_identity, not_found, taken};

impl StorageCatalog {
    /// Where the parts of the dataset `id` are to be put that a subject copies to a name. It need not exist yet.
    ///
    /// # Errors
    /// `PermissionDenied` if the subject may not write there; `AlreadyExists` if the name is that of another dataset, or
    /// the dataset has another name; `NotFound` if there is no dataset of that name and no `id` either.
    pub async fn push_target(
        &self,
        subject: &Subject,
        alias: &DatasetAlias,
        id: Option<DatasetId>,
    ) -> Result<DatasetStorage> {
        let alias = self.full_alias(subject, alias);
        if let Some(dataset) = self.by_alias(&alias).await? {
            return match id {
                Some(id) if id != dataset.id => {
                    allow(subject, &dataset.alias, Access::Write)?;
                    Err(taken(&alias))
                }
                _ => writable(subject, dataset),
            };
        }
        allow_creation(subject, &alias)?;
        let id = id.ok_or_else(|| not_found().with_context("dataset", alias.to_string()))?;
        if let Some(dataset) = self.by_id(&id).await? {
            if dataset.alias == alias {
                // Somebody else has made it since the name was looked for.
                return writable(subject, dataset);
            }
            let message = "the dataset is here already, under another name; copy to that one";
            return Err(
                Error::new(ErrorKind::AlreadyExists, message).with_context("dataset", dataset.alias.to_string())
            );
        }
        let storage = self.names.repositories.dataset(id);
        storage.repository().check_writable()?;
        Ok(storage)
    }

    /// Moves the head of a dataset, which came by copy, to a block that is stored; with no `expected` head the dataset is new
    /// and gets its name. The chain has been checked by the caller, and the storage is that of [`Self::push_target`].
    ///
    /// # Errors
    /// As [`Self::push_target`]; `Conflict` while somebody else makes a dataset of that name, or this one under another name.
    pub async fn publish(
        &self,
        subject: &Subject,
        alias: &DatasetAlias,
        storage: &DatasetStorage,
        expected: Option<Multihash>,
        head: Multihash,
    ) -> Result<HeadSwap> {
        let alias = self.full_alias(subject, alias);
        let id = *storage.id();
        if expected.is_some() {
            self.push_target(subject, &alias, Some(id)).await?;
            return Ok(storage.compare_and_swap_head(expected, head).await?);
        }
        let busy = |message: &str| Error::new(ErrorKind::Conflict, message).with_context("dataset", alias.to_string());
        let name = self.names.index.reserve(&alias);
        let _name = name.ok_or_else(|| busy("somebody else is making a dataset of that name"))?;
        let identity = self.names.index.reserve(&by_identity(&id)?);
        let _identity =
            identity.ok_or_else(|| busy("somebody else is copying this dataset here under another name"))?;
        // With both reserved, the answer holds until the end.
        self.push_target(subject, &alias, Some(id)).await?;
        if let Some(actual) = storage.head().await? {
            return Ok(if actual == head {
                HeadSwap::Swapped
            } else {
                HeadSwap::Conflict { actual: Some(actual) }
            });
        }
        // The name comes first, so that nobody sees the dataset without it.
        storage.set_alias(&alias).await?;
        let swap = storage.compare_and_swap_head(None, head).await?;
        if swap == HeadSwap::Swapped {
            self.names.index.insert(id, alias.clone(), None);
            tracing::info!(dataset.id = %id, dataset.alias = %alias, account.name = %subject.name(), "a dataset was copied here");
        }
        Ok(swap)
    }
}

/// The storage of a dataset that a subject may write to.
fn writable(subject: &Subject, dataset: PinnedDataset) -> Result<DatasetStorage> {
    allow(subject, &dataset.alias, Access::Write)?;
    dataset.storage.repository().check_writable()?;
    Ok(dataset.storage)
}
