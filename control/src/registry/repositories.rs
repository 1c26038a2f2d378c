//! Where datasets are: in one repository, or roots in one and derivatives in another.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use futures::stream::{StreamExt, TryStreamExt};
use jetway_odf::identity::DatasetId;
use jetway_odf::metadata::DatasetKind;
use jetway_odf::storage::{DatasetStorage, Repository};
use jetway_planner::{Error, ErrorKind, Result};

/// The repositories of a node.
#[derive(Debug)]
pub(super) struct Repositories {
    root: Repository,
    derivative: Option<Repository>,
    /// Datasets that are in the repository for derivatives; all others are in the one for roots.
    derivatives: RwLock<HashSet<DatasetId>>,
}

impl Repositories {
    pub(super) fn new(root: Repository, derivative: Option<Repository>) -> Self {
        Self {
            root,
            derivative,
            derivatives: RwLock::default(),
        }
    }

    /// Where what belongs to no dataset is kept.
    pub(super) fn root(&self) -> &Repository {
        &self.root
    }

    /// Finds out whether storage answers.
    pub(super) async fn check(&self) -> Result<()> {
        for repository in std::iter::once(&self.root).chain(&self.derivative) {
            if let Some(Err(error)) = repository.store().list(None).next().await {
                return Err(Error::new(ErrorKind::Unavailable, "storage does not answer").with_source(error));
            }
        }
        Ok(())
    }

    /// The folders of datasets in both, each once. Costs little, but some may have no head, and then they are no datasets.
    pub(super) async fn folders(&self) -> Result<Vec<DatasetId>> {
        let derivatives = match &self.derivative {
            Some(derivative) => derivative.folders().await?,
            None => Vec::new(),
        };
        Ok(self.each_once(self.root.folders().await?, derivatives))
    }

    /// The datasets of both, each once, with those whose head is damaged.
    pub(super) async fn list_with_damaged(&self) -> Result<Vec<DatasetId>> {
        let derivatives = match &self.derivative {
            Some(derivative) => derivative.list_with_damaged().try_collect().await?,
            None => Vec::new(),
        };
        Ok(self.each_once(self.root.list_with_damaged().try_collect().await?, derivatives))
    }

    fn each_once(&self, mut ids: Vec<DatasetId>, derivatives: Vec<DatasetId>) -> Vec<DatasetId> {
        if !derivatives.is_empty() {
            let roots: HashSet<DatasetId> = ids.iter().copied().collect();
            for id in derivatives {
                if roots.contains(&id) {
                    tracing::warn!(dataset.id = %id, "a dataset is in both repositories; the one among the roots counts");
                } else {
                    self.take_note(id);
                    ids.push(id);
                }
            }
        }
        ids
    }

    /// Where a dataset is that was listed, found or made. Any other one is taken for a root.
    pub(super) fn dataset(&self, id: DatasetId) -> DatasetStorage {
        let is_derivative = self
            .derivatives
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&id);
        match &self.derivative {
            Some(derivative) if is_derivative => derivative.dataset(id),
            _ => self.root.dataset(id),
        }
    }

    /// Whether a dataset exists; if so, it is known from now on where it is.
    pub(super) async fn find(&self, id: DatasetId) -> Result<bool> {
        if self.root.dataset(id).head().await?.is_some() {
            return Ok(true);
        }
        match &self.derivative {
            Some(derivative) if derivative.dataset(id).head().await?.is_some() => {
                self.take_note(id);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Where datasets of a kind are made.
    pub(super) fn for_kind(&self, kind: DatasetKind) -> &Repository {
        match (kind, &self.derivative) {
            (DatasetKind::Derivative, Some(derivative)) => derivative,
            _ => &self.root,
        }
    }

    /// Makes room for a new dataset.
    pub(super) async fn create(&self, id: DatasetId, kind: DatasetKind) -> jetway_odf::Result<DatasetStorage> {
        let storage = self.for_kind(kind).create_dataset(id).await?;
        if kind == DatasetKind::Derivative {
            self.take_note(id);
        }
        Ok(storage)
    }

    fn take_note(&self, id: DatasetId) {
        self.derivatives
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id);
    }
}
