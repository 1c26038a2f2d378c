//! Manifests as text, always in their canonical form.

use serde::Serialize;

use crate::codec::{EncodedBlock, ManifestVersion, decode_manifest_version};
use crate::error::{Error, Result};
use crate::identity::{AccountName, DatasetId, DatasetName};
use crate::manifest::resource::DATASET;
use crate::manifest::{DatasetResource, Manifest, VERSION};
use crate::metadata::{DatasetKind, MetadataBlock, MetadataEvent};

#[derive(Serialize)]
struct Envelope<'a, T> {
    kind: &'static str,
    version: i32,
    content: &'a T,
}

#[derive(Serialize)]
struct Resource<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    headers: Headers<'a>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Headers<'a> {
    name: &'a DatasetName,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account<'a>>,
}

#[derive(Serialize)]
struct Account<'a> {
    name: &'a AccountName,
}

#[derive(Serialize)]
struct Spec<'a> {
    kind: DatasetKind,
    metadata: &'a [MetadataEvent],
    #[serde(skip_serializing_if = "Option::is_none")]
    did: Option<DatasetId>,
}

/// The manifests as the documents of one text, which [`crate::manifest::read_manifests`] reads.
///
/// # Errors
/// None that is known: everything that a manifest can hold has a written form.
pub fn write_manifests(manifests: &[Manifest]) -> Result<String> {
    let mut text = String::new();
    for manifest in manifests {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&write(manifest)?);
    }
    Ok(text)
}

/// A block as one document of a log, with its hash in a comment.
///
/// # Errors
/// `Malformed` or `Unsupported` if the bytes are not those of a block; otherwise as [`write_manifests`].
pub fn write_log_entry(block: &EncodedBlock) -> Result<String> {
    let version = decode_manifest_version(&block.bytes)?;
    Ok(format!(
        "---\n# Block: {}\n{}",
        block.hash,
        write_block(version, &block.block)?
    ))
}

fn write(manifest: &Manifest) -> Result<String> {
    match manifest {
        Manifest::DatasetSnapshot(snapshot) => to_yaml(&Envelope {
            kind: "DatasetSnapshot",
            version: VERSION,
            content: snapshot,
        }),
        Manifest::Dataset(DatasetResource { id, snapshot }) => to_yaml(&Resource {
            schema: DATASET,
            headers: Headers {
                name: &snapshot.name.name,
                account: snapshot.name.account.as_ref().map(|name| Account { name }),
            },
            spec: Spec {
                kind: snapshot.kind,
                metadata: &snapshot.metadata,
                did: *id,
            },
        }),
        Manifest::MetadataEvent(event) => to_yaml(&Envelope {
            kind: "MetadataEvent",
            version: VERSION,
            content: event,
        }),
        Manifest::MetadataBlock(version, block) => write_block(*version, block),
    }
}

fn write_block(version: ManifestVersion, block: &MetadataBlock) -> Result<String> {
    to_yaml(&Envelope {
        kind: "MetadataBlock",
        version: version.number(),
        content: block,
    })
}

fn to_yaml(value: &impl Serialize) -> Result<String> {
    serde_yaml_ng::to_string(value)
        .map_err(|error| Error::malformed("the manifest cannot be written as YAML").with_source(error))
}
