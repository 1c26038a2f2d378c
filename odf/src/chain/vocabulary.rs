//! Names of the system columns.

use serde::{Deserialize, Serialize};

use crate::metadata::SetVocab;

/// Names of the system columns, with the default ones filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vocabulary {
    /// Position of a row in the dataset, from 0.
    pub offset: String,
    /// What the row does: append, retract, correct from, correct to.
    pub operation_type: String,
    /// When the row was committed.
    pub system_time: String,
    /// When what the row tells happened.
    pub event_time: String,
}

impl Vocabulary {
    /// The four names, in the order in which slices have them.
    #[must_use]
    pub fn names(&self) -> [&str; 4] {
        [&self.offset, &self.operation_type, &self.system_time, &self.event_time]
    }
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::from(&SetVocab::default())
    }
}

impl From<&SetVocab> for Vocabulary {
    fn from(event: &SetVocab) -> Self {
        let name = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
        Self {
            offset: name(&event.offset_column, "offset"),
            operation_type: name(&event.operation_type_column, "op"),
            system_time: name(&event.system_time_column, "system_time"),
            event_time: name(&event.event_time_column, "event_time"),
        }
    }
}
