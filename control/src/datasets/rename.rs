//! Giving a dataset another name.

use jetway_odf::identity::DatasetAlias;
use jetway_planner::{Access, DatasetCatalog, Result, Subject};

use crate::registry::{RegisteredDataset, StorageCatalog, allow, allow_creation, is_damaged};

impl StorageCatalog {
    /// Gives a dataset another name, which may differ in case alone. Its identity stays, so what is computed from it is
    /// not affected; other nodes find it by the new name within a second. Only an administrator moves a dataset into
    /// another account.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken, `PermissionDenied`; those of storage.
    pub async fn rename(
        &self,
        subject: &Subject,
        dataset: &RegisteredDataset,
        new: &DatasetAlias,
    ) -> Result<DatasetAlias> {
        allow(subject, &dataset.alias, Access::Write)?;
        let given = new;
        let account = new.account.clone().or_else(|| dataset.alias.account.clone());
        let new = DatasetAlias::new(account, new.name.clone());
        allow_creation(subject, &new)?;
        let _reserved = self.reserve(&new, Some(&dataset.id)).await?;
        let storage = self.storage(&dataset.id);
        // Where other software keeps names without accounts, it finds the new one as it wrote the old one.
        let has_account = match storage.alias().await {
            Ok(alias) => alias.is_none_or(|alias| alias.account.is_some()),
            Err(error) if is_damaged(&error) => true,
            Err(error) => return Err(error.into()),
        };
        let stored = if has_account { &new } else { given };
        storage.set_alias(stored).await?;
        self.renamed(dataset.id, new.clone());
        tracing::info!(dataset.id = %dataset.id, dataset.alias = %new, dataset.old_alias = %dataset.alias, account.name = %subject.name(), "a dataset was renamed");
        Ok(new)
    }
}
