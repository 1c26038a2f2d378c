//! Datasets in the form of resources (RFC-018), which say the same as snapshots with other words around it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_yaml_ng::{Mapping, Value};

use crate::error::{Error, Result};
use crate::identity::{AccountName, DatasetAlias, DatasetId, DatasetName};
use crate::manifest::document::Document;
use crate::manifest::{DatasetSnapshot, check_schemas, events};
use crate::metadata::{DatasetKind, MetadataEvent};

/// The property that tells a resource from other manifests.
pub(super) const SCHEMA: &str = "$schema";

/// The one kind of resource that is read.
pub(super) const DATASET: &str = "https://opendatafabric.org/schemas/dataset/v1alpha1/Dataset";

/// A dataset in the form of a resource. What a node keeps beside the chain (labels, annotations, its own id and times, the
/// status) is checked and left out.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetResource {
    /// The identity that the dataset should get; a new one if absent.
    pub id: Option<DatasetId>,
    /// What the resource says of the chain.
    pub snapshot: DatasetSnapshot,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(rename = "$schema")]
    schema: String,
    headers: Value,
    spec: Value,
    #[serde(default)]
    status: Option<Mapping>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Headers {
    name: DatasetName,
    #[serde(default)]
    account: Option<Value>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    labels: Option<Mapping>,
    #[serde(default)]
    annotations: Option<Mapping>,
    #[serde(default)]
    generation: Option<u64>,
    #[serde(default)]
    created_at: Option<DateTime<Utc>>,
    #[serde(default)]
    updated_at: Option<DateTime<Utc>>,
    #[serde(default)]
    deleted_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    name: AccountName,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    did: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    kind: DatasetKind,
    #[serde(deserialize_with = "events")]
    metadata: Vec<MetadataEvent>,
    #[serde(default)]
    did: Option<DatasetId>,
    #[serde(default)]
    volume: Option<Value>,
}

pub(super) fn read(document: &Document<'_>) -> Result<DatasetResource> {
    let schema: String = document.parse(&[SCHEMA])?;
    if schema != DATASET {
        let error = Error::unsupported(format!(
            "only resources with the schema {DATASET} are known, but this is {schema}"
        ));
        return Err(document.at(&[SCHEMA], error));
    }
    let _: Envelope = document.parse(&[])?;
    let headers: Headers = document.parse(&["headers"])?;
    if headers.deleted_at.is_some() {
        let error = Error::malformed("the dataset is marked as deleted; leave `deletedAt` out to create it");
        return Err(document.at(&["headers", "deletedAt"], error));
    }
    let account = match headers.account {
        None => None,
        Some(Value::String(_)) => Some(document.parse::<AccountName>(&["headers", "account"])?),
        Some(_) => Some(document.parse::<Account>(&["headers", "account"])?.name),
    };
    let spec: Spec = document.parse(&["spec"])?;
    if spec.volume.is_some() {
        let error = Error::unsupported("a dataset is stored in the node's repository; leave `volume` out");
        return Err(document.at(&["spec", "volume"], error));
    }
    check_schemas(document, &["spec", "metadata"], &spec.metadata)?;
    Ok(DatasetResource {
        id: spec.did,
        snapshot: DatasetSnapshot {
            name: DatasetAlias::new(account, headers.name),
            kind: spec.kind,
            metadata: spec.metadata,
        },
    })
}
