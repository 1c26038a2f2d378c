//! SQL transformations, of derivative datasets and of sources.

use serde::{Deserialize, Serialize};

/// A computation over named inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Transform {
    /// SQL for a named engine.
    #[serde(alias = "sql")]
    Sql(TransformSql),
}

/// One input of a derivative dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransformInput {
    /// The input: in a block always a DID, in a manifest also an alias.
    pub dataset_ref: String,
    /// Name of the input in the queries; in a block always set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// SQL for a named engine, as one query or as named steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransformSql {
    /// The engine type, such as `datafusion`.
    pub engine: String,
    /// The engine's version, when it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Short form for a single step; never in a block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The steps; the last one has no alias and is the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<Vec<SqlQueryStep>>,
    /// Inputs or steps that are read as tables with a key, as of a point in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporal_tables: Option<Vec<TemporalTable>>,
}

/// One step of a transformation: a view that later steps may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SqlQueryStep {
    /// Name of the view; absent in the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The SQL text.
    pub query: String,
}

/// An input or step read as a table with a key, as of a point in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalTable {
    /// Name of the input or step.
    pub name: String,
    /// Columns of the key.
    pub primary_key: Vec<String>,
}
