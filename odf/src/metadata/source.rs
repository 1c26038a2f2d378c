//! Sources: where data comes from, how it is unpacked and parsed, and how it meets the history.

use serde::{Deserialize, Serialize};

use crate::metadata::schema::DataSchema;

/// Where bytes come from. The order of the variants is the order of the union tags in the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the specification and say what they are"
)]
pub enum FetchStep {
    /// One file by URL.
    #[serde(alias = "url")]
    Url {
        url: String,
        #[serde(
            default,
            deserialize_with = "crate::metadata::short_form::optional",
            skip_serializing_if = "Option::is_none"
        )]
        event_time: Option<EventTimeSource>,
        #[serde(
            default,
            deserialize_with = "crate::metadata::short_form::optional",
            skip_serializing_if = "Option::is_none"
        )]
        cache: Option<SourceCaching>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        headers: Option<Vec<RequestHeader>>,
    },
    /// Local files that match a pattern.
    #[serde(alias = "filesGlob", alias = "filesglob")]
    FilesGlob {
        path: String,
        #[serde(
            default,
            deserialize_with = "crate::metadata::short_form::optional",
            skip_serializing_if = "Option::is_none"
        )]
        event_time: Option<EventTimeSource>,
        #[serde(
            default,
            deserialize_with = "crate::metadata::short_form::optional",
            skip_serializing_if = "Option::is_none"
        )]
        cache: Option<SourceCaching>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<SourceOrdering>,
    },
    /// Output of a container.
    #[serde(alias = "container")]
    Container {
        image: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        args: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        env: Option<Vec<EnvVar>>,
    },
    /// Messages of an MQTT broker.
    #[serde(alias = "mqtt")]
    Mqtt {
        host: String,
        port: i32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        username: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
        topics: Vec<MqttTopicSubscription>,
    },
    /// Events of an EVM contract.
    #[serde(alias = "ethereumLogs", alias = "ethereumlogs")]
    EthereumLogs {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chain_id: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node_url: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
}

/// Where the event time of rows without one comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum EventTimeSource {
    /// The source's own metadata, such as `Last-Modified`.
    #[serde(alias = "fromMetadata", alias = "frommetadata")]
    FromMetadata,
    /// A part of the file's path.
    #[serde(alias = "fromPath", alias = "frompath")]
    FromPath {
        /// Regular expression with one group.
        pattern: String,
        /// How the group is parsed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp_format: Option<String>,
    },
    /// The moment of the ingest.
    #[serde(alias = "fromSystemTime", alias = "fromsystemtime")]
    FromSystemTime,
}

/// Whether fetched bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum SourceCaching {
    /// Fetched once and never again.
    #[serde(alias = "forever")]
    Forever,
}

/// In which order files are taken. The order of the variants is their number in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum SourceOrdering {
    #[serde(alias = "byEventTime", alias = "byeventtime")]
    ByEventTime,
    #[serde(alias = "byName", alias = "byname")]
    ByName,
}

/// A header of an HTTP request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say what they are")]
pub struct RequestHeader {
    pub name: String,
    pub value: String,
}

/// A variable of a container's environment; without a value it is taken from the node's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say what they are")]
pub struct EnvVar {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A topic of an MQTT broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names say what they are")]
pub struct MqttTopicSubscription {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<MqttQos>,
}

/// Delivery guarantee of MQTT. The order of the variants is their number in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum MqttQos {
    #[serde(alias = "atMostOnce", alias = "atmostonce")]
    AtMostOnce,
    #[serde(alias = "atLeastOnce", alias = "atleastonce")]
    AtLeastOnce,
    #[serde(alias = "exactlyOnce", alias = "exactlyonce")]
    ExactlyOnce,
}

/// How fetched bytes are unpacked. The order of the variants is the order of the union tags in the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum PrepStep {
    /// Unpacks an archive.
    #[serde(alias = "decompress")]
    Decompress {
        /// Which kind of archive.
        format: CompressionFormat,
        /// The file inside it, when it has several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sub_path: Option<String>,
    },
    /// Runs a command over the bytes.
    #[serde(alias = "pipe")]
    Pipe {
        /// The command and its arguments.
        command: Vec<String>,
    },
}

/// Kind of archive. The order of the variants is their number in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum CompressionFormat {
    #[serde(alias = "gzip")]
    Gzip,
    #[serde(alias = "zip")]
    Zip,
}

/// How bytes are parsed. The order of the variants is the order of the union tags in the format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the names are those of the specification and say what they are"
)]
pub enum ReadStep {
    #[serde(alias = "csv")]
    Csv(ReadStepCsv),
    #[serde(alias = "geoJson", alias = "geojson")]
    GeoJson {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ddl_schema: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<DataSchema>,
    },
    #[serde(alias = "esriShapefile", alias = "esrishapefile")]
    EsriShapefile {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ddl_schema: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sub_path: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<DataSchema>,
    },
    #[serde(alias = "parquet")]
    Parquet {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ddl_schema: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<DataSchema>,
    },
    #[serde(alias = "json")]
    Json {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sub_path: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ddl_schema: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        date_format: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encoding: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp_format: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<DataSchema>,
    },
    #[serde(alias = "ndJson", alias = "ndjson")]
    NdJson {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ddl_schema: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        date_format: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encoding: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp_format: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<DataSchema>,
    },
    #[serde(alias = "ndGeoJson", alias = "ndgeojson")]
    NdGeoJson {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ddl_schema: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<DataSchema>,
    },
}

/// How separated text is parsed; an absent option means the default that stands beside it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadStepCsv {
    /// Columns as SQL definitions (`name TYPE`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ddl_schema: Option<Vec<String>>,
    /// `,`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// `utf8`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// `"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// `\`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape: Option<String>,
    /// Whether the first line holds names; false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Whether types are guessed from the data; false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infer_schema: Option<bool>,
    /// Text that means null; the empty text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_value: Option<String>,
    /// `rfc3339`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_format: Option<String>,
    /// `rfc3339`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_format: Option<String>,
    /// Columns in ODF types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<DataSchema>,
}

/// How new rows meet the history. The order of the variants is the order of the union tags in the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum MergeStrategy {
    /// Every row is new.
    #[serde(alias = "append")]
    Append {},
    /// Rows whose key is already there are dropped.
    #[serde(alias = "ledger")]
    Ledger {
        /// Columns of the key.
        primary_key: Vec<String>,
    },
    /// The input is the whole state; differences become events.
    #[serde(alias = "snapshot")]
    Snapshot {
        /// Columns of the key.
        primary_key: Vec<String>,
        /// Columns whose change counts; all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compare_columns: Option<Vec<String>>,
    },
    /// The input is already a stream of events.
    #[serde(alias = "changelogStream", alias = "changelogstream")]
    ChangelogStream {
        /// Columns of the key.
        primary_key: Vec<String>,
    },
    /// The input is a stream of new values by key.
    #[serde(alias = "upsertStream", alias = "upsertstream")]
    UpsertStream {
        /// Columns of the key.
        primary_key: Vec<String>,
    },
}
