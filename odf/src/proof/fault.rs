//! What is wrong with a proof.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::DidKey;
use crate::identity::{DatasetId, Multihash};

/// Why a proof does not hold. Written as JSON it has a `kind`, a `message`, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The input is not the one that was signed.
    InputHash,
    /// The sub-queries are not those that were signed.
    SubQueriesHash,
    /// The answer is not the one that was signed.
    OutputHash,
    /// The signature does not fit the commitment and the key.
    BadSignature,
    /// Somebody else signed it.
    UnknownSigner {
        /// Who did.
        signer: DidKey,
        /// Whose signature is accepted.
        expected: Vec<DidKey>,
    },
    /// Asked again, the query gives another answer.
    OutputMismatch {
        /// The hash that was signed.
        expected: Multihash,
        /// The hash of what the query gives.
        actual: Multihash,
    },
    /// A dataset is not there, or not for who checks.
    DatasetNotFound(DatasetId),
    /// A dataset has no such block in its history.
    DatasetBlockNotFound {
        /// The dataset.
        dataset: DatasetId,
        /// The block.
        block: Multihash,
    },
}

impl Fault {
    /// What programs tell faults apart by.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InputHash => "InvalidRequest::InputHash",
            Self::SubQueriesHash => "InvalidRequest::SubQueriesHash",
            Self::OutputHash => "InvalidRequest::OutputHash",
            Self::BadSignature => "InvalidRequest::BadSignature",
            Self::UnknownSigner { .. } => "InvalidRequest::UnknownSigner",
            Self::OutputMismatch { .. } => "VerificationFailed::OutputMismatch",
            Self::DatasetNotFound(_) => "VerificationFailed::DatasetNotFound",
            Self::DatasetBlockNotFound { .. } => "VerificationFailed::DatasetBlockNotFound",
        }
    }

    /// The values that it is about, by the names that they have in JSON.
    #[must_use]
    pub fn values(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::InputHash | Self::SubQueriesHash | Self::OutputHash | Self::BadSignature => Vec::new(),
            Self::UnknownSigner { signer, .. } => vec![("signer", signer.to_string())],
            Self::OutputMismatch { expected, actual } => vec![
                ("expected_hash", expected.to_string()),
                ("actual_hash", actual.to_string()),
            ],
            Self::DatasetNotFound(dataset) => vec![("dataset_id", dataset.to_string())],
            Self::DatasetBlockNotFound { dataset, block } => {
                vec![("dataset_id", dataset.to_string()), ("block_hash", block.to_string())]
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputHash => f.write_str(
                "the input was changed: it does not have the hash commitment.inputHash, so nobody can be held to it",
            ),
            Self::SubQueriesHash => f.write_str(
                "the sub-queries were changed: they do not have the hash commitment.subQueriesHash, so nobody can be held to them",
            ),
            Self::OutputHash => f.write_str(
                "the answer was changed: it does not have the hash commitment.outputHash, so nobody can be held to it",
            ),
            Self::BadSignature => f.write_str(
                "the signature is wrong: the key of proof.verificationMethod did not sign this commitment",
            ),
            Self::UnknownSigner { signer, expected } => {
                let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
                write!(f, "the proof is signed by {signer}, and not by {}", expected.join(" or "))
            }
            Self::OutputMismatch { .. } => f.write_str(
                "the query was run again at the same blocks and gives another answer: the signed one is false, or the query is \
                 not repeatable",
            ),
            Self::DatasetNotFound(_) => f.write_str(
                "the query cannot be run again: a dataset that it read is not here, or you may not read it",
            ),
            Self::DatasetBlockNotFound { .. } => f.write_str(
                "the query cannot be run again: a dataset that it read has no such block in its history; it was reset or \
                 compacted since, or the block never was",
            ),
        }
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("kind", self.kind())?;
        members.serialize_entry("message", &self.to_string())?;
        for (name, value) in self.values() {
            members.serialize_entry(name, &value)?;
        }
        members.end()
    }
}

/// What a verification found, as JSON: `{"ok": true}`, or `{"ok": false, "error": {...}}` with the fault.
#[must_use]
pub fn verdict(outcome: &Result<(), Fault>) -> Value {
    match outcome {
        Ok(()) => json!({"ok": true}),
        Err(fault) => json!({"ok": false, "error": fault}),
    }
}
