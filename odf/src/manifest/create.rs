//! From a snapshot to the first blocks of a dataset.

use chrono::{DateTime, Utc};

use crate::chain::{ChainState, normalize_definition};
use crate::codec::{EncodedBlock, ManifestVersion};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::DatasetId;
use crate::manifest::DatasetSnapshot;
use crate::metadata::{MetadataEvent, Seed};

impl DatasetSnapshot {
    /// What the dataset is computed from, as its author wrote it: aliases and DIDs.
    pub fn input_refs(&self) -> impl Iterator<Item = &str> {
        let transforms = self.metadata.iter().filter_map(|event| match event {
            MetadataEvent::SetTransform(event) => Some(event),
            _ => None,
        });
        transforms.flat_map(|event| event.inputs.iter().map(|input| input.dataset_ref.as_str()))
    }

    /// The first blocks of the dataset, oldest first, and the state at the last of them. `resolve` gives the identity of
    /// an input that is named by its alias, or `None` if there is no such dataset; DIDs are taken as they are.
    ///
    /// Nothing is written: the caller publishes the blocks under the snapshot's name.
    ///
    /// # Errors
    /// `NotFound` for an input that `resolve` does not know; `InvalidEvent` with the rule that an event breaks. The
    /// context says which `event` of the snapshot, from 0, and which `dataset`.
    pub fn into_chain(
        self,
        id: DatasetId,
        resolve: impl Fn(&str) -> Option<DatasetId>,
        system_time: DateTime<Utc>,
    ) -> Result<(Vec<EncodedBlock>, ChainState)> {
        let Self { name, kind, metadata } = self;
        let create = || {
            let mut definition = normalize_definition(metadata, kind)?;
            for (index, event) in definition.iter_mut().enumerate() {
                resolve_inputs(event, &resolve).map_err(|error| error.with_context("event", index))?;
            }
            let seed = Seed {
                dataset_id: id,
                dataset_kind: kind,
            };
            ChainState::create(seed, definition, system_time, ManifestVersion::default())
        };
        create().map_err(|error| error.with_context("dataset", name))
    }
}

fn resolve_inputs(event: &mut MetadataEvent, resolve: impl Fn(&str) -> Option<DatasetId>) -> Result<()> {
    let MetadataEvent::SetTransform(event) = event else {
        return Ok(());
    };
    for input in &mut event.inputs {
        let id: DatasetId = if input.dataset_ref.starts_with("did:") {
            input.dataset_ref.parse()?
        } else {
            resolve(&input.dataset_ref).ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    "an input of the transform does not exist; create it first or correct its name",
                )
                .with_context("input", input.dataset_ref.escape_debug())
            })?
        };
        input.dataset_ref = id.to_string();
    }
    Ok(())
}
