//! Sessions: what a client set once and wants for all its calls.
//!
//! ```text
//!  SetSessionOptions ──► Set-Cookie: jetway_session=<options, account, expiry, signed>
//!  any call with `cookie: jetway_session=...` (or `jetway-session: ...`) ──► options ◄── headers `jetway-<option>` win
//! ```
//!
//! A session is its cookie: nothing is kept here that a call needs, so every replica knows every session. One that expired is
//! the same as none; one that was forged, or is somebody else's, is refused, because a client that believes to have options
//! must not silently go on without them.

use std::sync::Arc;
use std::time::SystemTime;

use jetway_planner::Subject;
use tonic::metadata::{KeyAndValueRef, MetadataMap};

use crate::gateway::Shared;
use crate::{Error, ErrorKind, Result};

pub(crate) mod actions;
mod cookie;
mod options;
mod protocol;
mod registry;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use cookie::{HEADER, Session, clear_cookie};
pub(crate) use options::{Endpoints, NAMES, Options, Refusal};
pub use registry::{SessionInfo, Sessions};
pub(crate) use table::may_see;

/// Start of the headers that set an option for one call.
const OPTION_PREFIX: &str = "jetway-";
/// A header that JDBC sends for a property of the same name in its URL.
const SCHEMA_PROPERTY: &str = "schema";

/// The session that a call brings.
pub(crate) fn brought(
    shared: &Shared,
    metadata: &MetadataMap,
    subject: &Subject,
    client: &Arc<str>,
    now: SystemTime,
) -> Result<Option<Session>> {
    let Some(value) = cookie::brought(metadata) else {
        return Ok(None);
    };
    let session = Session::open(&value, &shared.options.ticket_key, subject, now)?;
    match session {
        Some(session) if !shared.sessions.saw(&session, subject, client, now) => Err(closed()),
        session => Ok(session),
    }
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Planner(jetway_planner::ErrorKind::NotFound),
        "this session was closed: drop its cookie, for example by connecting again",
    )
}

/// The options of a call: those of its session, and over them those of its headers. Headers that name no option are other
/// people's and left alone.
pub(crate) fn options(session: Option<&Session>, metadata: &MetadataMap) -> Result<Options> {
    let mut options = session.map(|session| session.options.clone()).unwrap_or_default();
    if let Some(schema) = metadata.get(SCHEMA_PROPERTY).and_then(|value| value.to_str().ok()) {
        // Not our own header: what is no schema was meant for somebody else.
        if let Err(refusal) = options.set("schema", Some(schema)) {
            tracing::debug!(?refusal, "The header \"schema\" names no schema");
        }
    }
    for entry in metadata.iter() {
        let KeyAndValueRef::Ascii(key, value) = entry else {
            continue;
        };
        let Some(name) = key.as_str().strip_prefix(OPTION_PREFIX) else {
            continue;
        };
        if key.as_str() == HEADER {
            continue;
        }
        let name = name.replace('-', "_");
        if !NAMES.contains(&name.as_str()) {
            continue;
        }
        let allowed = match value.to_str() {
            Ok(value) => options.set(&name, Some(value)),
            Err(_) => Err(Refusal::Value("a text of ASCII characters")),
        };
        match allowed {
            Ok(()) | Err(Refusal::Name) => {}
            Err(Refusal::Value(allowed)) => {
                return Err(Error::invalid_argument(format!("the header {key} must be {allowed}"))
                    .with_context("value", shown(value.to_str().unwrap_or_default())));
            }
        }
    }
    Ok(options)
}

/// A foreign text, fit for a message.
fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}
