//! What is told of a dataset, to people and to programs.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::identity::{DatasetId, Multihash};
use crate::storage::ObjectKind;

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which dataset it is about.
    pub dataset: DatasetId,
    /// The newest block; absent if `refs/head` does not name one.
    pub head: Option<Multihash>,
    /// What was looked at.
    pub checked: Checked,
    /// What is wrong, by the position of the block that says what is right.
    pub findings: Vec<Finding>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Blocks, the Seed included.
    pub blocks: u64,
    /// Slices.
    pub slices: u64,
    /// Checkpoints; one that is repeated counts once.
    pub checkpoints: u64,
    /// Rows of slices whose columns were read.
    pub rows: u64,
    /// Bytes of slices and checkpoints that were compared with their hash.
    pub bytes: u64,
}

/// How far the work is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blocks that were read; first back to the Seed, then, from 0 again, forward.
    pub blocks: u64,
    /// Blocks of the chain; 0 while it is not known.
    pub blocks_total: u64,
    /// Slices and checkpoints that are done.
    pub objects: u64,
    /// Slices and checkpoints of the chain; 0 while it is not known.
    pub objects_total: u64,
    /// Bytes that were hashed or decoded; what is hashed and decoded counts twice.
    pub bytes: u64,
    /// Bytes to be hashed and decoded; 0 while it is not known.
    pub bytes_total: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What kind of thing.
    pub problem: Problem,
    /// Whether it makes the dataset invalid.
    pub severity: Severity,
    /// The rule of the format that is broken, such as `D1`; see [`crate::chain::Rule`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The block that is wrong, or that says what is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Multihash>,
    /// The block's position, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<u64>,
    /// The file that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectName>,
    /// The column that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// A sentence about it.
    pub message: String,
}

/// A file of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectName {
    /// In which folder it is.
    pub r#type: ObjectType,
    /// Its name.
    pub hash: Multihash,
}

/// The folder of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectType {
    /// `blocks/`
    Block,
    /// `data/`
    Data,
    /// `checkpoints/`
    Checkpoint,
}

/// Kinds of things that may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Problem {
    /// `refs/head` is not a block's hash.
    Head,
    /// The chain is that of another dataset.
    Dataset,
    /// A block breaks a rule of the format.
    Rule,
    /// A block, slice or checkpoint is not there.
    Missing,
    /// The bytes of a block do not say anything.
    Malformed,
    /// The bytes do not have the hash that they are stored under.
    PhysicalHash,
    /// The file does not have the length that its block says.
    Size,
    /// The file cannot be read, or is not Parquet.
    Unreadable,
    /// The columns are not those of the dataset's schema.
    Schema,
    /// The number of rows is not that of the offset interval.
    RowCount,
    /// A column that must have values has nulls.
    Nulls,
    /// Offsets do not count the rows.
    Offset,
    /// Operations are not 0 to 3, or corrections do not come in pairs.
    Operation,
    /// System time is not that of the block.
    SystemTime,
    /// Event time is later than the watermark.
    EventTime,
    /// The rows do not have the hash that the block says.
    LogicalHash,
}

/// Whether something makes a dataset invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The format allows it, but it may not be meant.
    Warning,
    /// The dataset is not valid.
    Error,
}

impl Report {
    pub(super) fn new(dataset: DatasetId) -> Self {
        Self {
            dataset,
            head: None,
            checked: Checked::default(),
            findings: Vec::new(),
        }
    }

    /// Whether nothing was found that makes the dataset invalid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity == Severity::Warning)
    }
}

impl Finding {
    pub(super) fn new(problem: Problem, message: impl Into<String>) -> Self {
        Self {
            problem,
            severity: Severity::Error,
            rule: None,
            block: None,
            sequence_number: None,
            object: None,
            column: None,
            expected: None,
            found: None,
            message: message.into(),
        }
    }

    /// What a block does not keep to.
    pub(super) fn rule(error: &Error) -> Self {
        let problem = if error.rule().is_some() {
            Problem::Rule
        } else {
            Problem::Schema
        };
        let rule = error.rule().map(str::to_owned);
        Self {
            rule,
            ..Self::new(problem, error.message())
        }
    }

    pub(super) fn warning(self) -> Self {
        Self {
            severity: Severity::Warning,
            ..self
        }
    }

    pub(super) fn in_block(self, block: Multihash, sequence_number: Option<u64>) -> Self {
        Self {
            block: Some(block),
            sequence_number,
            ..self
        }
    }

    pub(super) fn in_object(self, r#type: ObjectType, hash: Multihash) -> Self {
        Self {
            object: Some(ObjectName { r#type, hash }),
            ..self
        }
    }

    pub(super) fn in_column(self, column: &str) -> Self {
        Self {
            column: Some(column.to_owned()),
            ..self
        }
    }

    pub(super) fn values(self, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self {
            expected: Some(expected.to_string()),
            found: Some(found.to_string()),
            ..self
        }
    }

    /// In the order of a report.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let key = |finding: &Self| (finding.sequence_number, finding.block, finding.column.is_some());
        key(self).cmp(&key(other)).then_with(|| self.column.cmp(&other.column))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let object = self
            .object
            .as_ref()
            .map(|object| format!("{}/{}", object.r#type.folder(), object.hash));
        let values = [
            ("rule", self.rule.clone()),
            ("block", self.block.map(|hash| hash.to_string())),
            ("sequence number", self.sequence_number.map(|number| number.to_string())),
            ("object", object),
            ("column", self.column.clone()),
            ("expected", self.expected.clone()),
            ("found", self.found.clone()),
        ];
        let mut separator = " (";
        for (name, value) in values {
            if let Some(value) = value {
                write!(f, "{separator}{name}: {value}")?;
                separator = ", ";
            }
        }
        if separator == ", " { f.write_str(")") } else { Ok(()) }
    }
}

impl ObjectType {
    /// The name of the folder.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Block => "blocks",
            Self::Data => "data",
            Self::Checkpoint => "checkpoints",
        }
    }
}

impl From<ObjectKind> for ObjectType {
    fn from(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::Data => Self::Data,
            ObjectKind::Checkpoint => Self::Checkpoint,
        }
    }
}
