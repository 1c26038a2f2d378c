//! The control plane: who may use the node, which datasets it has, and the HTTP side.
//!
//! ```text
//!  password ──► Accounts ─────────┐
//!                                 ├──► Authentication ──► Subject ──► StorageCatalog ──► datasets of a repository
//!  token ──► AccessTokens         │                                        ▲
//!            LoginTokens ─────────┘                                        └ names from the alias side files
//! ```
//!
//! Accounts and tokens are small files in the node's data folder; what a dataset is, storage alone says.

mod accounts;
mod authentication;
mod clock;
pub mod datasets;
mod error;
pub mod http;
mod node_key;
mod registry;
mod signing_key;
mod state_file;
mod tokens;

pub use accounts::{ADMIN, Account, Accounts, FirstAdmin, MIN_PASSWORD, generate_password};
pub use authentication::{Authentication, Login};
pub use clock::Clock;
pub use error::{Error, ErrorKind, Result};
pub use node_key::NodeKey;
pub use registry::{PublicAccounts, RegisteredDataset, StorageCatalog};
pub use signing_key::{open_signing_key, parse_signing_key, signing_key_path};
pub use tokens::{AccessToken, AccessTokens, LoginTokens};
