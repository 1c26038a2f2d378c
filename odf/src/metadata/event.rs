//! The metadata events: everything that can happen to a dataset (ODF spec, "Metadata Events").

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::identity::{DatasetId, Multihash};
use crate::metadata::schema::{DataSchema, ExtraAttributes};
use crate::metadata::source::{FetchStep, MergeStrategy, PrepStep, ReadStep};
use crate::metadata::transform::{Transform, TransformInput};

/// One event of a metadata chain. The order of the variants is the order of the union tags in the format (1 to 13).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum MetadataEvent {
    /// Rows were added to a root dataset.
    #[serde(alias = "addData", alias = "adddata")]
    AddData(AddData),
    /// A derivative dataset consumed inputs and produced output.
    #[serde(alias = "executeTransform", alias = "executetransform")]
    ExecuteTransform(ExecuteTransform),
    /// The first block of every chain: identity and kind.
    #[serde(alias = "seed")]
    Seed(Seed),
    /// How the node polls data from outside.
    #[serde(alias = "setPollingSource", alias = "setpollingsource")]
    SetPollingSource(SetPollingSource),
    /// How a derivative dataset is computed.
    #[serde(alias = "setTransform", alias = "settransform")]
    SetTransform(SetTransform),
    /// Names of the system columns.
    #[serde(alias = "setVocab", alias = "setvocab")]
    SetVocab(SetVocab),
    /// Files for people (readme and such).
    #[serde(alias = "setAttachments", alias = "setattachments")]
    SetAttachments(SetAttachments),
    /// Description and keywords.
    #[serde(alias = "setInfo", alias = "setinfo")]
    SetInfo(SetInfo),
    /// Licence of the data.
    #[serde(alias = "setLicense", alias = "setlicense")]
    SetLicense(SetLicense),
    /// Schema of all later slices.
    #[serde(alias = "setDataSchema", alias = "setdataschema")]
    SetDataSchema(SetDataSchema),
    /// How pushed data is read and merged.
    #[serde(alias = "addPushSource", alias = "addpushsource")]
    AddPushSource(AddPushSource),
    /// Ends a push source.
    #[serde(alias = "disablePushSource", alias = "disablepushsource")]
    DisablePushSource(DisablePushSource),
    /// Ends the polling source.
    #[serde(alias = "disablePollingSource", alias = "disablepollingsource")]
    DisablePollingSource(DisablePollingSource),
}

impl MetadataEvent {
    /// The slice that this event adds to the dataset.
    #[must_use]
    pub fn new_data(&self) -> Option<&DataSlice> {
        match self {
            Self::AddData(event) => event.new_data.as_ref(),
            Self::ExecuteTransform(event) => event.new_data.as_ref(),
            _ => None,
        }
    }

    /// The checkpoint that this event adds to the dataset; not one that it only carries on.
    #[must_use]
    pub fn new_checkpoint(&self) -> Option<&Checkpoint> {
        let (checkpoint, carried) = match self {
            Self::AddData(event) => (&event.new_checkpoint, event.prev_checkpoint),
            Self::ExecuteTransform(event) => (&event.new_checkpoint, event.prev_checkpoint),
            _ => return None,
        };
        checkpoint
            .as_ref()
            .filter(|checkpoint| Some(checkpoint.physical_hash) != carried)
    }

    /// The event's name in the format.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AddData(_) => "AddData",
            Self::ExecuteTransform(_) => "ExecuteTransform",
            Self::Seed(_) => "Seed",
            Self::SetPollingSource(_) => "SetPollingSource",
            Self::SetTransform(_) => "SetTransform",
            Self::SetVocab(_) => "SetVocab",
            Self::SetAttachments(_) => "SetAttachments",
            Self::SetInfo(_) => "SetInfo",
            Self::SetLicense(_) => "SetLicense",
            Self::SetDataSchema(_) => "SetDataSchema",
            Self::AddPushSource(_) => "AddPushSource",
            Self::DisablePushSource(_) => "DisablePushSource",
            Self::DisablePollingSource(_) => "DisablePollingSource",
        }
    }
}

/// Whether rows come from outside or are computed from other datasets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatasetKind {
    /// Rows come from outside.
    #[serde(alias = "root")]
    Root,
    /// Rows are computed from other datasets.
    #[serde(alias = "derivative")]
    Derivative,
}

/// Identity and kind of a dataset; only ever the first block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seed {
    /// The dataset's DID.
    pub dataset_id: DatasetId,
    /// Root or derivative.
    pub dataset_kind: DatasetKind,
}

/// Rows were added to a root dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddData {
    /// Checkpoint that this ingest started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_checkpoint: Option<Multihash>,
    /// Last offset before this event; absent while the dataset has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_offset: Option<u64>,
    /// The rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_data: Option<DataSlice>,
    /// Checkpoint after this event; must be repeated by later events or it is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_checkpoint: Option<Checkpoint>,
    /// Event time up to which the data is believed to be complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_watermark: Option<DateTime<Utc>>,
    /// Where the source stands (ETag and such); must be repeated by later events or it is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_source_state: Option<SourceState>,
    /// Free-form attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<ExtraAttributes>,
}

/// A derivative dataset consumed inputs and produced output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecuteTransform {
    /// What was consumed of each input, in the order of `SetTransform::inputs`.
    pub query_inputs: Vec<ExecuteTransformInput>,
    /// Checkpoint that the run started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_checkpoint: Option<Multihash>,
    /// Last offset before this event; absent while the dataset has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_offset: Option<u64>,
    /// The rows produced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_data: Option<DataSlice>,
    /// The engine's state after the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_checkpoint: Option<Checkpoint>,
    /// Event time up to which the output is believed to be complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_watermark: Option<DateTime<Utc>>,
}

/// The interval of one input that a transform consumed: `(prev_block_hash, new_block_hash]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecuteTransformInput {
    /// The input dataset.
    pub dataset_id: DatasetId,
    /// Last block of the previous run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_block_hash: Option<Multihash>,
    /// Last block of this run; absent when nothing new was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_block_hash: Option<Multihash>,
    /// Last offset of the previous run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_offset: Option<u64>,
    /// Last offset of this run; absent when no rows were added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_offset: Option<u64>,
}

/// One Parquet file of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataSlice {
    /// Hash of the content, independent of the encoding (`arrow0-sha3-256`).
    pub logical_hash: Multihash,
    /// Hash of the file's bytes, and its name in the repository (`sha3-256`).
    pub physical_hash: Multihash,
    /// Offsets of the rows.
    pub offset_interval: OffsetInterval,
    /// Length of the file in bytes.
    pub size: u64,
}

/// Offsets from `start` to `end`, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OffsetInterval {
    /// First offset.
    pub start: u64,
    /// Last offset.
    pub end: u64,
}

/// An engine's or source's state after an event: one opaque file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// Hash of the file's bytes, and its name in the repository.
    pub physical_hash: Multihash,
    /// Length of the file in bytes.
    pub size: u64,
}

/// Where a source stands, so that the next poll continues from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceState {
    /// Name of the source, `default` when it has none.
    pub source_name: String,
    /// `odf/etag`, `odf/last-modified`, or the source's own word.
    pub kind: String,
    /// The state itself.
    pub value: String,
}

/// How the node polls data from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetPollingSource {
    /// Where the bytes come from.
    pub fetch: FetchStep,
    /// How they are unpacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare: Option<Vec<PrepStep>>,
    /// How they are parsed.
    #[serde(deserialize_with = "crate::metadata::short_form::required")]
    pub read: ReadStep,
    /// SQL over the parsed rows, whose input is called `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<Transform>,
    /// How they meet the history.
    #[serde(deserialize_with = "crate::metadata::short_form::required")]
    pub merge: MergeStrategy,
}

/// How a derivative dataset is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetTransform {
    /// The datasets that are read.
    pub inputs: Vec<TransformInput>,
    /// The computation.
    pub transform: Transform,
}

/// Names of the system columns; an absent name means the default one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetVocab {
    /// Name of the offset column, `offset` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_column: Option<String>,
    /// Name of the operation type column, `op` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_type_column: Option<String>,
    /// Name of the system time column, `system_time` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_time_column: Option<String>,
    /// Name of the event time column, `event_time` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time_column: Option<String>,
}

/// Files for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetAttachments {
    /// The files.
    pub attachments: Attachments,
}

/// Where attached files are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Attachments {
    /// In the block itself.
    #[serde(alias = "embedded")]
    Embedded(AttachmentsEmbedded),
}

/// Files kept in the block itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttachmentsEmbedded {
    /// The files.
    pub items: Vec<AttachmentEmbedded>,
}

/// One file kept in the block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttachmentEmbedded {
    /// Path relative to the dataset, such as `README.md`.
    pub path: String,
    /// Text of the file.
    pub content: String,
}

/// Description and keywords.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetInfo {
    /// One paragraph about the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keywords: Option<Vec<String>>,
}

/// Licence of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetLicense {
    /// Short name, such as `OGL-Canada-2.0`.
    pub short_name: String,
    /// Full name.
    pub name: String,
    /// Identifier in the SPDX list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spdx_id: Option<String>,
    /// Where the text stands.
    pub website_url: String,
}

/// Schema of all later slices. Exactly one of the two forms is present.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetDataSchema {
    /// Legacy form: a bare Arrow `Schema` flatbuffer.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::metadata::serde_bytes"
    )]
    pub raw_arrow_schema: Option<Vec<u8>>,
    /// The schema in ODF's own types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<DataSchema>,
}

/// How pushed data is read and merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddPushSource {
    /// Name of the source, `default` when it has none.
    pub source_name: String,
    /// How bytes are parsed.
    #[serde(deserialize_with = "crate::metadata::short_form::required")]
    pub read: ReadStep,
    /// SQL over the parsed rows, whose input is called `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<Transform>,
    /// How they meet the history.
    #[serde(deserialize_with = "crate::metadata::short_form::required")]
    pub merge: MergeStrategy,
}

/// Ends a push source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DisablePushSource {
    /// Name of the source.
    pub source_name: String,
}

/// Ends the polling source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisablePollingSource {}
