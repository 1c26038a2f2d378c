//! The tables of the metadata events. Names and order are those of `opendatafabric.fbs`.

use super::declare::{numbered, records, unions};
use crate::metadata::{
    AddData, AddPushSource, AttachmentEmbedded, Attachments, AttachmentsEmbedded, Checkpoint, DataSlice, DatasetKind,
    DisablePollingSource, DisablePushSource, ExecuteTransform, ExecuteTransformInput, MetadataBlock, MetadataEvent,
    OffsetInterval, Seed, SetAttachments, SetDataSchema, SetInfo, SetLicense, SetPollingSource, SetTransform, SetVocab,
    SourceState,
};

unions! {
    MetadataEvent {
        1 AddData(record),
        2 ExecuteTransform(record),
        3 Seed(record),
        4 SetPollingSource(record),
        5 SetTransform(record),
        6 SetVocab(record),
        7 SetAttachments(record),
        8 SetInfo(record),
        9 SetLicense(record),
        10 SetDataSchema(record),
        11 AddPushSource(record),
        12 DisablePushSource(record),
        13 DisablePollingSource(record),
    }

    Attachments {
        1 Embedded(record),
    }
}

records! {
    MetadataBlock { system_time, prev_block_hash, sequence_number, event }

    Seed { dataset_id, dataset_kind }
    AddData { prev_checkpoint, prev_offset, new_data, new_checkpoint, new_watermark, new_source_state, extra }
    ExecuteTransform { query_inputs, prev_checkpoint, prev_offset, new_data, new_checkpoint, new_watermark }
    ExecuteTransformInput { dataset_id, prev_block_hash, new_block_hash, prev_offset, new_offset }
    DataSlice { logical_hash, physical_hash, offset_interval, size }
    OffsetInterval { start, end }
    Checkpoint { physical_hash, size }
    SourceState { source_name, kind, value }

    SetPollingSource { fetch, prepare, read, preprocess, merge }
    DisablePollingSource {}
    AddPushSource { source_name, read, preprocess, merge }
    DisablePushSource { source_name }

    SetTransform { inputs, transform }
    SetVocab { offset_column, operation_type_column, system_time_column, event_time_column }
    SetAttachments { attachments }
    AttachmentsEmbedded { items }
    AttachmentEmbedded { path, content }
    SetInfo { description, keywords }
    SetLicense { short_name, name, spdx_id, website_url }
    SetDataSchema { raw_arrow_schema, schema }
}

numbered! {
    DatasetKind: i32 { 0 Root, 1 Derivative }
}
