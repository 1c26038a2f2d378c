//! The tables of sources. Names and order are those of `opendatafabric.fbs`.

use super::declare::{encode_table, numbered, records, unions};
use super::field::{Record, SlotReader};
use super::flatbuffer::{Builder, Offset, Table};
use crate::error::Result;
use crate::metadata::{
    CompressionFormat, EnvVar, EventTimeSource, FetchStep, MergeStrategy, MqttQos, MqttTopicSubscription, PrepStep,
    ReadStep, ReadStepCsv, RequestHeader, SourceCaching, SourceOrdering,
};

unions! {
    FetchStep {
        1 Url { url, event_time, cache, headers },
        2 FilesGlob { path, event_time, cache, order },
        3 Container { image, command, args, env },
        4 Mqtt { host, port, username, password, topics },
        5 EthereumLogs { chain_id, node_url, filter, signature },
    }

    EventTimeSource {
        1 FromMetadata,
        2 FromPath { pattern, timestamp_format },
        3 FromSystemTime,
    }

    SourceCaching {
        1 Forever,
    }

    PrepStep {
        1 Decompress { format, sub_path },
        2 Pipe { command },
    }

    ReadStep {
        1 Csv(record),
        2 GeoJson { ddl_schema, schema },
        3 EsriShapefile { ddl_schema, sub_path, schema },
        4 Parquet { ddl_schema, schema },
        5 Json { sub_path, ddl_schema, date_format, encoding, timestamp_format, schema },
        6 NdJson { ddl_schema, date_format, encoding, timestamp_format, schema },
        7 NdGeoJson { ddl_schema, schema },
    }

    MergeStrategy {
        1 Append {},
        2 Ledger { primary_key },
        3 Snapshot { primary_key, compare_columns },
        4 ChangelogStream { primary_key },
        5 UpsertStream { primary_key },
    }
}

records! {
    RequestHeader { name, value }
    EnvVar { name, value }
    MqttTopicSubscription { path, qos }
    ReadStepCsv {
        ddl_schema, separator, encoding, quote, escape, header, infer_schema, null_value, date_format,
        timestamp_format, schema
    }
}

numbered! {
    SourceOrdering: i32 { 0 ByEventTime, 1 ByName }
    MqttQos: i32 { 0 AtMostOnce, 1 AtLeastOnce, 2 ExactlyOnce }
    CompressionFormat: i32 { 0 Gzip, 1 Zip }
}

/// A vector cannot hold unions, so each step has a table around it (`PrepStepWrapper`).
impl Record for PrepStep {
    fn encode(&self, builder: &mut Builder) -> Offset {
        let value = self;
        encode_table!(builder, value)
    }

    fn decode(table: Table<'_>) -> Result<Self> {
        SlotReader::new(table, "PrepStepWrapper").read("value")
    }
}
