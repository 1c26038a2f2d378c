//! Deleting datasets.

use jetway_planner::{Access, DatasetCatalog, Error, ErrorKind, Result, Subject};

use crate::registry::{RegisteredDataset, StorageCatalog, allow};

impl StorageCatalog {
    /// Removes a dataset with everything in it, whatever state it is in. Removing what is not there is no failure.
    ///
    /// Whether others are computed from it is not asked: see [`Self::check_unused`].
    ///
    /// # Errors
    /// `PermissionDenied`; those of storage, after which the dataset may be there or not. Repeating the call is safe.
    pub async fn delete(&self, subject: &Subject, dataset: &RegisteredDataset) -> Result<()> {
        allow(subject, &dataset.alias, Access::Write)?;
        self.storage(&dataset.id).repository().delete(dataset.id).await?;
        self.deleted(&dataset.id);
        tracing::info!(dataset.id = %dataset.id, dataset.alias = %dataset.alias, account.name = %subject.name(), "a dataset was deleted");
        Ok(())
    }

    /// Makes sure that no other dataset is computed from these.
    ///
    /// # Errors
    /// `Conflict`, which names the others.
    pub async fn check_unused(&self, subject: &Subject, datasets: &[RegisteredDataset]) -> Result<()> {
        let is_given = |id| datasets.iter().any(|dataset| dataset.id == id);
        let derivatives = self.derivatives(subject).await?;
        let users = derivatives
            .iter()
            .filter(|(user, _)| !is_given(user.id))
            .filter(|(_, inputs)| inputs.iter().any(|input| is_given(input.id)))
            .map(|(user, _)| user.alias.to_string());
        let users: Vec<String> = users.collect();
        if users.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "other datasets are computed from it; delete them first, or together with it",
        )
        .with_context("used by", users.join(", ")))
    }
}
