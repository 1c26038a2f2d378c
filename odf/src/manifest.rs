//! Manifests: what people write to define datasets, and how blocks are shown to them, in YAML.
//!
//! ```text
//! kind: DatasetSnapshot | MetadataEvent | MetadataBlock      $schema: .../dataset/v1alpha1/Dataset
//! version: 1                                                 headers: {name, account, ...}
//! content: ...                                               spec: {kind, metadata, did}
//! ```
//!
//! A file may hold several documents. What is read may be written in many ways: kinds and names as `PascalCase`,
//! `camelCase` or `lowercase`, a union with nothing but its kind as that kind alone. Unknown properties are errors, and
//! every error says where it is. What is written is canonical: `PascalCase`, nothing that is absent, times in UTC with as
//! many digits as they need.
//!
//! A [`DatasetSnapshot`] becomes the first blocks of a dataset with [`DatasetSnapshot::into_chain`], in the order that
//! [`dependency_order`] gives.

mod blame;
mod create;
mod document;
mod order;
mod resource;
mod write;

use serde::{Deserialize, Deserializer, Serialize};
use serde_yaml_ng::Value;

use crate::codec::ManifestVersion;
use crate::error::{Error, Result};
use crate::identity::DatasetAlias;
use crate::manifest::document::Document;
use crate::metadata::{DatasetKind, MetadataBlock, MetadataEvent, short_form};

pub use order::dependency_order;
pub use resource::DatasetResource;
pub use write::{write_log_entry, write_manifests};

#[cfg(test)]
mod tests;

/// The only version of snapshots and events.
const VERSION: i32 = 1;

/// One document of a file of manifests.
#[derive(Debug, Clone, PartialEq)]
pub enum Manifest {
    /// A dataset to be created.
    DatasetSnapshot(DatasetSnapshot),
    /// A dataset to be created, in the form of a resource.
    Dataset(DatasetResource),
    /// An event to be appended to a chain.
    MetadataEvent(MetadataEvent),
    /// A block as it is shown.
    MetadataBlock(ManifestVersion, MetadataBlock),
}

/// A dataset to be created: its name, its kind and the events that define it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatasetSnapshot {
    /// The dataset's name.
    pub name: DatasetAlias,
    /// Root or derivative.
    pub kind: DatasetKind,
    /// The events after the Seed, in their order.
    #[serde(deserialize_with = "events")]
    pub metadata: Vec<MetadataEvent>,
}

impl Manifest {
    /// The dataset that the document defines, if that is what it does.
    #[must_use]
    pub fn as_snapshot(&self) -> Option<&DatasetSnapshot> {
        match self {
            Self::DatasetSnapshot(snapshot) => Some(snapshot),
            Self::Dataset(resource) => Some(&resource.snapshot),
            Self::MetadataEvent(_) | Self::MetadataBlock(..) => None,
        }
    }
}

/// Reads all documents of a file; empty ones are left out.
///
/// # Errors
/// `Malformed` if there is no document, or one is not a manifest; `Unsupported` if it is one of another kind or version.
/// The context says where: `document` (from 1), `line`, `column` and `path`.
pub fn read_manifests(text: &str) -> Result<Vec<Manifest>> {
    let documents = document::read(text)?;
    if documents.is_empty() {
        return Err(Error::malformed(
            "there is no manifest in the text; one starts with `kind: DatasetSnapshot`, `version: 1` and `content:`",
        ));
    }
    documents.iter().map(read_manifest).collect()
}

/// What stands around the content.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    kind: Kind,
    version: i32,
    content: Value,
}

#[derive(Debug, Serialize, Deserialize)]
enum Kind {
    #[serde(alias = "datasetSnapshot", alias = "datasetsnapshot")]
    DatasetSnapshot,
    #[serde(alias = "metadataEvent", alias = "metadataevent")]
    MetadataEvent,
    #[serde(alias = "metadataBlock", alias = "metadatablock")]
    MetadataBlock,
}

fn read_manifest(document: &Document<'_>) -> Result<Manifest> {
    if document.tree().get(resource::SCHEMA).is_some() {
        return resource::read(document).map(Manifest::Dataset);
    }
    let envelope: Envelope = document.parse(&[])?;
    match envelope.kind {
        Kind::DatasetSnapshot => {
            check_version(document, envelope.version)?;
            let snapshot: DatasetSnapshot = document.parse(&["content"])?;
            check_schemas(document, &["content", "metadata"], &snapshot.metadata)?;
            Ok(Manifest::DatasetSnapshot(snapshot))
        }
        Kind::MetadataEvent => {
            check_version(document, envelope.version)?;
            let Event(event) = document.parse(&["content"])?;
            check_schema(&event).map_err(|error| document.at(&["content"], error))?;
            Ok(Manifest::MetadataEvent(event))
        }
        Kind::MetadataBlock => {
            let version =
                ManifestVersion::from_number(envelope.version).map_err(|error| document.at(&["version"], error))?;
            let block: MetadataBlock = document.parse(&["content"])?;
            check_schema(&block.event).map_err(|error| document.at(&["content", "event"], error))?;
            Ok(Manifest::MetadataBlock(version, block))
        }
    }
}

fn check_version(document: &Document<'_>, version: i32) -> Result<()> {
    if version == VERSION {
        return Ok(());
    }
    let error = Error::unsupported(format!(
        "the version of such a manifest must be {VERSION}, but is {version}"
    ));
    Err(document.at(&["version"], error))
}

/// What the properties of schema events alone do not say.
fn check_schemas(document: &Document<'_>, path: &[&str], events: &[MetadataEvent]) -> Result<()> {
    for (index, event) in events.iter().enumerate() {
        check_schema(event).map_err(|error| document.at_item(path, index, error))?;
    }
    Ok(())
}

fn check_schema(event: &MetadataEvent) -> Result<()> {
    match event {
        MetadataEvent::SetDataSchema(event) if event.schema.is_some() == event.raw_arrow_schema.is_some() => Err(
            Error::malformed("SetDataSchema must have either `schema` or `rawArrowSchema`, and not both"),
        ),
        _ => Ok(()),
    }
}

/// An event that may be written as its kind alone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Event(#[serde(deserialize_with = "short_form::required")] MetadataEvent);

fn events<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<MetadataEvent>, D::Error> {
    let events = Vec::<Event>::deserialize(deserializer)?;
    Ok(events.into_iter().map(|Event(event)| event).collect())
}
