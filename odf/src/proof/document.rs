//! The document: what was asked, what was answered, and the signature over the hashes of both.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha3::{Digest, Sha3_256};

use super::canonical::{canonical, parse, sort_names, write_text, write_value};
use super::{DidKey, Fault, NodeIdentity, Signature};
use crate::error::{Error, Result};
use crate::identity::Multihash;

/// The hashes of everything that is proved. This is what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Commitment {
    /// Hash of the input.
    pub input_hash: Multihash,
    /// Hash of the answer.
    pub output_hash: Multihash,
    /// Hash of the list of sub-queries.
    pub sub_queries_hash: Multihash,
}

impl Commitment {
    /// Signs it.
    #[must_use]
    pub fn sign(&self, identity: &NodeIdentity) -> Proof {
        Proof {
            r#type: ProofType::Ed25519Signature2020,
            verification_method: identity.did(),
            proof_value: identity.sign(&self.canonical()),
        }
    }

    fn canonical(&self) -> Vec<u8> {
        canonical(&json!({
            "inputHash": self.input_hash,
            "outputHash": self.output_hash,
            "subQueriesHash": self.sub_queries_hash,
        }))
    }
}

/// A signature over a commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// Kind of the signature.
    pub r#type: ProofType,
    /// Who signed.
    pub verification_method: DidKey,
    /// The signature.
    pub proof_value: Signature,
}

/// Kind of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProofType {
    /// Ed25519 over the canonical JSON of the commitment.
    Ed25519Signature2020,
}

/// Hash of a JSON value in its canonical form.
pub(super) fn hash(value: &Value) -> Multihash {
    Multihash::sha3_256(&canonical(value))
}

/// Hashes an answer while its rows are written, so that it never has to be held whole.
#[derive(Debug, Clone)]
pub struct OutputHasher(Sha3_256);

impl Default for OutputHasher {
    fn default() -> Self {
        let mut sha3 = Sha3_256::new();
        // `data` is the first of the members in canonical order.
        sha3.update(b"{\"data\":");
        Self(sha3)
    }
}

impl OutputHasher {
    /// Takes the next piece of the canonical JSON of the rows, as [`super::RowWriter`] writes it.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of the answer; `rest` is the answer without its rows.
    #[must_use]
    pub fn finish(mut self, rest: &Map<String, Value>) -> Multihash {
        let mut members: Vec<_> = rest.iter().collect();
        sort_names(&mut members, |(name, _)| name.as_str());
        let mut text = Vec::new();
        for (name, value) in members {
            text.push(b',');
            write_text(name, &mut text);
            text.push(b':');
            write_value(value, &mut text);
        }
        text.push(b'}');
        self.0.update(&text);
        Multihash::from_sha3_256_digest(self.0.finalize().into())
    }
}

/// A proof with all that it is about. The answer may be left out when somebody else has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What was asked, as it was signed.
    pub input: Value,
    /// The answer.
    pub output: Option<Value>,
    /// What other nodes did for the answer.
    pub sub_queries: Value,
    /// What is signed.
    pub commitment: Commitment,
    /// The signature.
    pub proof: Proof,
}

impl Document {
    /// Signs an answer that was hashed on the way.
    #[must_use]
    pub fn sign(input: Value, output_hash: Multihash, identity: &NodeIdentity) -> Self {
        let sub_queries = Value::Array(Vec::new());
        let commitment = Commitment {
            input_hash: hash(&input),
            output_hash,
            sub_queries_hash: hash(&sub_queries),
        };
        Self {
            input,
            output: None,
            sub_queries,
            proof: commitment.sign(identity),
            commitment,
        }
    }

    /// Reads a document, whoever wrote it.
    ///
    /// # Errors
    /// `Malformed`, saying what is missing or unknown.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let Value::Object(mut members) = parse(text)? else {
            return Err(Error::malformed("a proof is a JSON object"));
        };
        let document = Self {
            input: take(&mut members, "input")?,
            output: members.shift_remove("output"),
            sub_queries: take(&mut members, "subQueries")?,
            commitment: part(take(&mut members, "commitment")?, "commitment")?,
            proof: part(take(&mut members, "proof")?, "proof")?,
        };
        match members.keys().next() {
            None => Ok(document),
            Some(name) => Err(Error::malformed("a proof has a member that is not known").with_context("member", name)),
        }
    }

    /// Checks everything that the document alone can tell: the hashes, the signature, and the signer if some are given.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self, signers: &[DidKey]) -> Result<(), Fault> {
        if hash(&self.input) != self.commitment.input_hash {
            return Err(Fault::InputHash);
        }
        if hash(&self.sub_queries) != self.commitment.sub_queries_hash {
            return Err(Fault::SubQueriesHash);
        }
        if let Some(output) = &self.output
            && hash(output) != self.commitment.output_hash
        {
            return Err(Fault::OutputHash);
        }
        let Proof {
            verification_method: signer,
            proof_value,
            ..
        } = &self.proof;
        if !signer.has_signed(&self.commitment.canonical(), proof_value) {
            return Err(Fault::BadSignature);
        }
        if !signers.is_empty() && !signers.contains(signer) {
            return Err(Fault::UnknownSigner {
                signer: *signer,
                expected: signers.to_vec(),
            });
        }
        Ok(())
    }

    /// The document as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("input".to_owned(), self.input.clone());
        if let Some(output) = &self.output {
            members.insert("output".to_owned(), output.clone());
        }
        members.insert("subQueries".to_owned(), self.sub_queries.clone());
        members.insert("commitment".to_owned(), json!(self.commitment));
        members.insert("proof".to_owned(), json!(self.proof));
        Value::Object(members)
    }
}

fn take(members: &mut Map<String, Value>, name: &'static str) -> Result<Value> {
    members
        .shift_remove(name)
        .ok_or_else(|| Error::malformed("a proof lacks a member").with_context("member", name))
}

fn part<T: serde::de::DeserializeOwned>(value: Value, name: &'static str) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        Error::malformed("a member of the proof is not as it must be")
            .with_context("member", name)
            .with_source(error)
    })
}
