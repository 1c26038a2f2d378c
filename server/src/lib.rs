//! The `jetway` binary as a library: configuration, telemetry, the node that joins all rooms, and the command line.
//!
//! ```text
//!  flags ┐                       ┌ Repository ──► StorageCatalog ──► Planner ──► FlightGateway ── gRPC
//!  env   ├─► Config ──► Node ────┤                                                    ▲
//!  file  ┘                       └ Accounts, AccessTokens, LoginTokens ──► Authentication
//!                                                                               HTTP: health, metrics
//! ```

mod authenticator;
pub mod cli;
mod client;
mod commands;
pub mod config;
mod copying;
mod metrics;
mod node;
mod output;
mod signals;
mod telemetry;
mod tls;
mod workspace;

pub use config::Config;
pub use node::Node;
