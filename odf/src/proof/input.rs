//! What was asked: the query, how its answer is written, and the blocks that it read.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::identity::{DatasetId, Multihash};

/// A limit that means all rows: the largest whole number that every reader of JSON keeps.
pub const UNLIMITED: u64 = (1 << 53) - 1;

/// Rows of an answer unless the request says another number.
const USUAL_LIMIT: u64 = 100;

/// A query, complete enough to run it again with the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryInput {
    /// The statement.
    pub query: String,
    /// Its language.
    #[serde(default)]
    pub query_dialect: QueryDialect,
    /// How the rows are laid out.
    #[serde(default)]
    pub data_format: DataFormat,
    /// What the answer has besides rows.
    #[serde(default)]
    pub include: BTreeSet<Include>,
    /// How the schema is written, if it is part of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_format: Option<SchemaFormat>,
    /// Which datasets names in the statement mean, and at which blocks they are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datasets: Option<Vec<DatasetState>>,
    /// How many rows are left out at the beginning.
    #[serde(default)]
    pub skip: u64,
    /// Most rows after those.
    #[serde(default = "usual_limit")]
    pub limit: u64,
}

fn usual_limit() -> u64 {
    USUAL_LIMIT
}

impl QueryInput {
    /// A query with everything else as it is when a request does not say.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            query_dialect: QueryDialect::default(),
            data_format: DataFormat::default(),
            include: BTreeSet::new(),
            schema_format: None,
            datasets: None,
            skip: 0,
            limit: USUAL_LIMIT,
        }
    }

    /// The same request, saying what follows from it: a proof needs the input, and a format of the schema means the schema.
    #[must_use]
    pub fn completed(mut self) -> Self {
        if self.include.contains(&Include::Proof) {
            self.include.insert(Include::Input);
        }
        if self.schema_format.is_some() {
            self.include.insert(Include::Schema);
        }
        if self.include.contains(&Include::Schema) {
            self.schema_format.get_or_insert_default();
        }
        self
    }
}

/// A dataset at a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatasetState {
    /// The dataset.
    pub id: DatasetId,
    /// What the statement calls it.
    pub alias: String,
    /// Its newest block, as the statement sees it; its head when absent in a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_hash: Option<Multihash>,
}

/// Names that are written in one way and read in several: without regard to case and hyphens.
macro_rules! named {
    ($(#[doc = $about:literal])+ $name:ident, $what:literal, $($(#[doc = $doc:literal])+ $(#[$default:meta])? $variant:ident = $text:literal,)+) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[doc = $doc])+ $(#[$default])? $variant,)+
        }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// How it is written.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let wanted = text.replace('-', "");
                let found = Self::ALL.iter().find(|known| known.name().eq_ignore_ascii_case(&wanted));
                found.copied().ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|known| known.name()).collect();
                    Error::malformed(format!("\"{text}\" is no {}; use {}", $what, known.join(", ")))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

named! {
    /// Language of a query.
    QueryDialect, "dialect of queries",
    /// SQL as Apache DataFusion reads it.
    #[default]
    SqlDataFusion = "SqlDataFusion",
    /// SQL as Apache Spark reads it.
    SqlSpark = "SqlSpark",
    /// SQL as Apache Flink reads it.
    SqlFlink = "SqlFlink",
    /// SQL as RisingWave reads it.
    SqlRisingWave = "SqlRisingWave",
}

named! {
    /// How rows are laid out as JSON.
    DataFormat, "format of rows",
    /// An array of objects, one for each row.
    #[default]
    JsonAoS = "JsonAoS",
    /// An object of arrays, one for each column.
    JsonSoA = "JsonSoA",
    /// An array of arrays, one for each row.
    JsonAoA = "JsonAoA",
}

named! {
    /// A part of an answer besides its rows.
    Include, "part of an answer",
    /// What was asked, with the blocks that were read.
    #[default]
    Input = "Input",
    /// The commitment and its signature.
    Proof = "Proof",
    /// The schema of the rows.
    Schema = "Schema",
}

named! {
    /// How a schema is written.
    SchemaFormat, "format of schemas",
    /// Arrow's schema as JSON.
    #[default]
    ArrowJson = "ArrowJson",
    /// The schema of Open Data Fabric as JSON.
    OdfJson = "OdfJson",
    /// The schema of Open Data Fabric as YAML, in a text.
    OdfYaml = "OdfYaml",
    /// The message type of Parquet, in a text.
    Parquet = "Parquet",
}
