//! Datasets out of manifests: all are checked before the first is made.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{DatasetAlias, DatasetId, DatasetRef};
use jetway_odf::manifest::{DatasetSnapshot, dependency_order};
use jetway_odf::metadata::DatasetKind;
use jetway_planner::{Access, DatasetCatalog, Error, ErrorKind, PinnedDataset, Result, Subject, TableName};

use crate::registry::{RegisteredDataset, StorageCatalog, allow, allow_creation, taken};

/// A dataset that is to be made.
#[derive(Debug, Clone)]
pub struct NewDataset {
    /// The identity that it should get; a new one if absent.
    pub id: Option<DatasetId>,
    /// Its name, kind and definition.
    pub snapshot: DatasetSnapshot,
}

/// A dataset that can be made: its name is free, its inputs are there, its events follow the rules of the format.
#[derive(Debug)]
pub struct CheckedDataset {
    /// Which of the given datasets it is, from 0.
    pub position: usize,
    /// Its identity.
    pub id: DatasetId,
    /// Its account and name.
    pub alias: DatasetAlias,
    /// Root or derivative.
    pub kind: DatasetKind,
    /// The dataset of the same name that is deleted first.
    pub replaces: Option<RegisteredDataset>,
    blocks: Vec<EncodedBlock>,
}

/// Why datasets cannot be made.
#[derive(Debug)]
pub struct Refusal {
    /// Which of the given datasets it is, from 0, when it is one of them.
    pub position: Option<usize>,
    /// What is wrong with it.
    pub error: Error,
}

impl StorageCatalog {
    /// Checks datasets that are to be made, and gives them in an order in which each comes after its inputs. Those that
    /// are there already are an error, or with `replace` to be deleted first. Nothing is written.
    ///
    /// # Errors
    /// `InvalidArgument` for a definition that breaks a rule, for two datasets of one name and for circles;
    /// `AlreadyExists`; `NotFound` for an input that is neither there nor among the given ones; `PermissionDenied`;
    /// `Conflict` if other datasets are computed from one that would be replaced.
    pub async fn check_new(
        &self,
        subject: &Subject,
        datasets: Vec<NewDataset>,
        replace: bool,
        system_time: DateTime<Utc>,
    ) -> Result<Vec<CheckedDataset>, Refusal> {
        let snapshots: Vec<&DatasetSnapshot> = datasets.iter().map(|dataset| &dataset.snapshot).collect();
        let order = dependency_order(&snapshots, Some(subject.name())).map_err(|error| Refusal {
            position: None,
            error: invalid(error),
        })?;
        let mut datasets: Vec<Option<NewDataset>> = datasets.into_iter().map(Some).collect();
        let mut made: HashMap<DatasetAlias, DatasetId> = HashMap::new();
        let mut checked = Vec::with_capacity(order.len());
        for position in order {
            let Some(dataset) = datasets.get_mut(position).and_then(Option::take) else {
                continue;
            };
            let dataset = self
                .check_one(subject, position, dataset, replace, &made, system_time)
                .await
                .map_err(|error| Refusal {
                    position: Some(position),
                    error,
                })?;
            made.insert(dataset.alias.clone(), dataset.id);
            checked.push(dataset);
        }
        let replaced: Vec<RegisteredDataset> = checked.iter().filter_map(|dataset| dataset.replaces.clone()).collect();
        if !replaced.is_empty() {
            self.check_unused(subject, &replaced)
                .await
                .map_err(|error| Refusal { position: None, error })?;
        }
        Ok(checked)
    }

    /// Makes a dataset that was checked.
    ///
    /// # Errors
    /// `AlreadyExists` if somebody else took the name meanwhile; those of storage. A dataset that was to be replaced may
    /// then be gone.
    pub async fn make(&self, subject: &Subject, dataset: CheckedDataset) -> Result<PinnedDataset> {
        if let Some(old) = &dataset.replaces {
            self.delete(subject, old).await?;
        }
        self.create(subject, &dataset.alias, dataset.blocks, Vec::new()).await
    }

    async fn check_one(
        &self,
        subject: &Subject,
        position: usize,
        NewDataset { id, snapshot }: NewDataset,
        replace: bool,
        made: &HashMap<DatasetAlias, DatasetId>,
        system_time: DateTime<Utc>,
    ) -> Result<CheckedDataset> {
        let alias = self.full_alias(subject, &snapshot.name);
        allow_creation(subject, &alias)?;
        let replaces = self.find(subject, &TableName::Alias(alias.clone())).await?;
        if let Some(old) = &replaces {
            if !replace {
                return Err(taken(&alias));
            }
            allow(subject, &old.alias, Access::Write)?;
        }
        if let Some(id) = id
            && replaces.as_ref().is_none_or(|old| old.id != id)
            && let Some(other) = self.find(subject, &TableName::Id(id)).await?
        {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                "there is a dataset of that identity already; leave the identity out to get a new one",
            )
            .with_context("dataset", other.alias.to_string()));
        }
        let mut inputs = HashMap::new();
        for text in snapshot.input_refs() {
            if let Some(id) = self.input(subject, text, made).await? {
                inputs.insert(text.to_owned(), id);
            } else if text.starts_with("did:") {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    "an input of the transform does not exist; create it first or correct its identity",
                )
                .with_context("input", text));
            }
        }
        let id = id.unwrap_or_else(|| DatasetId::generate().0);
        let kind = snapshot.kind;
        let (blocks, _) = snapshot
            .into_chain(id, |text| inputs.get(text).copied(), system_time)
            .map_err(invalid)?;
        Ok(CheckedDataset {
            position,
            id,
            alias,
            kind,
            replaces,
            blocks,
        })
    }

    /// The dataset that an input means: one that will be made, or one that is there.
    async fn input(
        &self,
        subject: &Subject,
        text: &str,
        made: &HashMap<DatasetAlias, DatasetId>,
    ) -> Result<Option<DatasetId>> {
        let name = match text.parse().map_err(invalid)? {
            DatasetRef::Id(id) if made.values().any(|made| *made == id) => return Ok(Some(id)),
            DatasetRef::Id(id) => TableName::Id(id),
            DatasetRef::Alias(alias) => match made.get(&self.full_alias(subject, &alias)) {
                Some(id) => return Ok(Some(*id)),
                None => TableName::Alias(alias),
            },
        };
        Ok(self.find(subject, &name).await?.map(|dataset| dataset.id))
    }

    async fn find(&self, subject: &Subject, name: &TableName) -> Result<Option<RegisteredDataset>> {
        match self.resolve(subject, name, Access::Read).await {
            Ok(dataset) => Ok(Some(RegisteredDataset::from(&dataset))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What is wrong with a manifest is the fault of who wrote it, not of storage.
fn invalid(error: jetway_odf::Error) -> Error {
    use jetway_odf::ErrorKind as Odf;
    match error.kind() {
        Odf::Malformed | Odf::InvalidEvent { .. } | Odf::InvalidIdentity => {
            Error::new(ErrorKind::InvalidArgument, error.to_string()).with_source(error)
        }
        Odf::Unsupported | Odf::NotFound | Odf::Conflict | Odf::ReadOnly | Odf::Storage | Odf::Corrupt | Odf::Io => {
            error.into()
        }
    }
}
