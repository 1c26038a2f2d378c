//! Fetches what a source names, if there is something that is not known yet.

mod event_time;
mod files;
mod guard;
mod http;
mod options;
mod url;

use chrono::{DateTime, SecondsFormat, Utc};
use jetway_odf::metadata::{FetchStep, SourceState};

pub use self::options::FetchOptions;
use crate::{Error, ErrorKind, Input, Result};

/// Name of the only source that is polled.
const SOURCE_NAME: &str = "default";
/// The state is an `ETag`, or the name of the last file.
const ETAG: &str = "odf/etag";
/// The state is a moment.
const LAST_MODIFIED: &str = "odf/last-modified";

/// Outcome of a fetch.
#[derive(Debug)]
pub enum Fetched {
    /// There is nothing that the state does not know.
    Unchanged,
    /// Here it is.
    Changed(FetchedFile),
}

/// One file of a source.
#[derive(Debug)]
pub struct FetchedFile {
    /// Its bytes.
    pub input: Input,
    /// Event time of rows that have none, where the source says one.
    pub event_time: Option<DateTime<Utc>>,
    /// What to give to the next fetch, and to commit with the rows.
    pub state: Option<SourceState>,
    /// Whether the next fetch will find more right away.
    pub has_more: bool,
}

/// Fetches what there is that the state does not know yet: a URL that changed, or the next file of a pattern.
///
/// Failures that may pass are retried as the options say. Errors: `InvalidSource` for a step that cannot work,
/// `NotFound`, `Unsupported` for what is not possible or not allowed, `ResourceExhausted` for limits, `Unavailable` when
/// the source does not answer.
pub async fn fetch(step: &FetchStep, state: Option<&SourceState>, options: &FetchOptions) -> Result<Fetched> {
    match step {
        // Files of a pattern are fetched once each anyway.
        FetchStep::Url { cache: Some(_), .. } if state.is_some() => Ok(Fetched::Unchanged),
        FetchStep::Url {
            url,
            event_time,
            cache,
            headers,
        } => {
            let mut fetched = url::fetch(
                url,
                event_time.as_ref(),
                headers.as_deref().unwrap_or_default(),
                state,
                options,
            )
            .await?;
            if let (Fetched::Changed(file), Some(_)) = (&mut fetched, cache) {
                // Without a state it would be fetched again.
                file.state.get_or_insert_with(|| etag("forever"));
            }
            Ok(fetched)
        }
        FetchStep::FilesGlob {
            path,
            event_time,
            order,
            ..
        } => files::fetch(path, event_time.as_ref(), *order, state, options).await,
        FetchStep::Container { .. } => Err(unsupported(
            "containers are not supported yet; run the container outside and fetch its output with `Url` or `FilesGlob`, or push it",
        )),
        FetchStep::Mqtt { .. } => Err(unsupported(
            "MQTT is not supported yet; subscribe outside and push the messages to a push source",
        )),
        FetchStep::EthereumLogs { .. } => Err(unsupported(
            "Ethereum logs are not supported yet; read them outside and push them to a push source",
        )),
    }
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

fn etag(value: impl Into<String>) -> SourceState {
    SourceState {
        source_name: SOURCE_NAME.to_owned(),
        kind: ETAG.to_owned(),
        value: value.into(),
    }
}

fn last_modified(moment: DateTime<Utc>) -> SourceState {
    SourceState {
        source_name: SOURCE_NAME.to_owned(),
        kind: LAST_MODIFIED.to_owned(),
        value: moment.to_rfc3339_opts(SecondsFormat::AutoSi, true),
    }
}

/// The value of a state of a kind.
fn value_of<'a>(state: Option<&'a SourceState>, kind: &str) -> Option<&'a str> {
    state
        .filter(|state| state.kind == kind)
        .map(|state| state.value.as_str())
}

#[cfg(test)]
mod tests;
