//! Proofs: an answer together with what was asked, what was read, and a signature over both.
//!
//! ```text
//!  input      query, options, datasets at blocks ──► canonical JSON ──► SHA3-256 ─┐
//!  output     rows, schema ────────────────────────► canonical JSON ──► SHA3-256 ─┼─► commitment ──► Ed25519 ──► proof
//!  subQueries what other nodes did ────────────────► canonical JSON ──► SHA3-256 ─┘
//! ```
//!
//! Whoever has the document can check the hashes and the signature, and whoever has the datasets can run the query again
//! and get the same rows. A node that signs a wrong answer can be held to it for ever.

mod canonical;
mod document;
mod fault;
mod input;
mod key;
mod rows;
mod schema;

pub use canonical::{canonical, parse};
pub use document::{Commitment, Document, OutputHasher, Proof, ProofType};
pub use fault::{Fault, verdict};
pub use input::{DataFormat, DatasetState, Include, QueryDialect, QueryInput, SchemaFormat, UNLIMITED};
pub use key::{DidKey, NodeIdentity, Signature};
pub use rows::RowWriter;
pub use schema::schema_json;

#[cfg(test)]
mod tests;
