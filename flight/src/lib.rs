//! Speaks Arrow Flight and Flight SQL.
//!
//! ```text
//!            GetFlightInfo ──► plan ──► schema + signed ticket ─┐
//!  client ──► DoGet(ticket) ──► verify ──► (cached) plan ──► batches ──► wire shape ──► messages ──► client
//!            DoPut(ingest) ──► messages ──► checked batches ──► planner ──► committed row count
//!            DoAction ──► prepared statements and sessions, as signed handles and cookies
//! ```
//!
//! A gateway keeps nothing that another replica needs: tickets and prepared statement handles carry their whole state and
//! are signed. The schema that is announced and the schema that is streamed come from one place, [`WireProfile`].

mod admission;
mod auth;
mod call;
mod command;
mod decode;
mod encode;
mod endpoint;
mod error;
mod gateway;
mod parameters;
mod plan_cache;
mod queries;
mod service;
mod session;
mod spool;
mod status;
mod task_stream;
#[cfg(test)]
mod testing;
mod ticket;
mod web;
mod wire;
mod wishes;

pub use admission::AdmissionOptions;
pub use auth::{Authenticator, Login};
pub use encode::MessageLimits;
pub use endpoint::FlightEndpoint;
pub use error::{Error, ErrorKind, Result};
pub use gateway::{FlightGateway, FlightOptions, tune};
pub use queries::{ActiveQuery, Meter, Origin, Queries, QueryId, QueryRecord, QueryState};
pub use session::{SessionInfo, Sessions};
pub use spool::{Spool, SpoolOptions, SpooledAnswer};
pub use ticket::TicketKey;
pub use web::{Web, WebLayer, WebOrigins};
pub use wire::{Compression, WireProfile};
