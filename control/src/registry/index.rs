//! Names and identities of the datasets that this process knows of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use jetway_odf::identity::{AccountName, DatasetAlias, DatasetId};
use jetway_odf::metadata::DatasetKind;

/// A dataset that was seen in the repository.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: DatasetId,
    /// With an account. Names compare without case.
    pub(super) alias: DatasetAlias,
    /// Known once somebody has asked.
    pub(super) kind: Option<DatasetKind>,
    /// When the alias was read from storage.
    pub(super) read_at: Instant,
}

/// Datasets by name and by identity, and the names that are reserved.
#[derive(Debug, Default)]
pub(super) struct Index {
    known: RwLock<Known>,
    reserved: Arc<Mutex<HashSet<DatasetAlias>>>,
}

#[derive(Debug, Default)]
struct Known {
    by_id: HashMap<DatasetId, Entry>,
    by_alias: BTreeMap<DatasetAlias, DatasetId>,
}

/// Keeps a name for whoever is making or renaming a dataset, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    alias: DatasetAlias,
    reserved: Arc<Mutex<HashSet<DatasetAlias>>>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.reserved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.alias);
    }
}

impl Known {
    fn forget(&mut self, id: &DatasetId) {
        if let Some(entry) = self.by_id.remove(id)
            && self.by_alias.get(&entry.alias) == Some(id)
        {
            self.by_alias.remove(&entry.alias);
        }
    }
}

impl Index {
    pub(super) fn get(&self, id: &DatasetId) -> Option<Entry> {
        self.read().by_id.get(id).cloned()
    }

    pub(super) fn find(&self, alias: &DatasetAlias) -> Option<Entry> {
        let known = self.read();
        known.by_alias.get(alias).and_then(|id| known.by_id.get(id)).cloned()
    }

    /// All named datasets in the order of account and name.
    pub(super) fn all(&self) -> Vec<Entry> {
        let known = self.read();
        known
            .by_alias
            .values()
            .filter_map(|id| known.by_id.get(id))
            .cloned()
            .collect()
    }

    /// Owners of the named datasets.
    pub(super) fn accounts(&self) -> BTreeSet<AccountName> {
        let known = self.read();
        let mut accounts = BTreeSet::new();
        for account in known.by_alias.keys().filter_map(|alias| alias.account.as_ref()) {
            if !accounts.contains(account) {
                accounts.insert(account.clone());
            }
        }
        accounts
    }

    pub(super) fn len(&self) -> usize {
        self.read().by_id.len()
    }

    /// Those that a listing does not have, of the datasets that were there before it began, are forgotten; gives those of the
    /// listing that are not known.
    pub(super) fn compare(&self, listed: Vec<DatasetId>, began: Instant) -> Vec<DatasetId> {
        let mut known = self.write();
        let mut missing: HashSet<DatasetId> = known
            .by_id
            .values()
            .filter(|entry| entry.read_at < began)
            .map(|entry| entry.id)
            .collect();
        let mut news = Vec::new();
        for id in listed {
            if !missing.remove(&id) && !known.by_id.contains_key(&id) {
                news.push(id);
            }
        }
        for id in missing {
            known.forget(&id);
        }
        news
    }

    /// Adds a dataset. When another one has its name, that one keeps it.
    pub(super) fn insert(&self, id: DatasetId, alias: DatasetAlias, kind: Option<DatasetKind>) -> Entry {
        let entry = Entry {
            id,
            alias: alias.clone(),
            kind,
            read_at: Instant::now(),
        };
        let mut known = self.write();
        let is_news = known.by_id.get(&id).is_none_or(|before| before.alias != entry.alias);
        known.forget(&id);
        known.by_id.insert(id, entry.clone());
        let owner = *known.by_alias.entry(alias).or_insert(id);
        if owner != id && is_news {
            tracing::warn!(
                dataset.alias = %entry.alias, dataset.id = %id, dataset.other = %owner,
                "two datasets have the same name; this one is found by its DID only"
            );
        }
        entry
    }

    pub(super) fn set_kind(&self, id: &DatasetId, kind: DatasetKind) {
        if let Some(entry) = self.write().by_id.get_mut(id) {
            entry.kind = Some(kind);
        }
    }

    pub(super) fn remove(&self, id: &DatasetId) {
        self.write().forget(id);
    }

    /// Keeps a name while a dataset is being made; `None` when somebody else does already.
    pub(super) fn reserve(&self, alias: &DatasetAlias) -> Option<Reservation> {
        let is_free = self
            .reserved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(alias.clone());
        is_free.then(|| Reservation {
            alias: alias.clone(),
            reserved: Arc::clone(&self.reserved),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
