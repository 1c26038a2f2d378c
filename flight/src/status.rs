//! The one place where errors become gRPC statuses.

use std::error::Error as StdError;
use std::fmt::Write;

use jetway_planner::ErrorKind as PlannerKind;
use ring::rand::{SecureRandom, SystemRandom};
use tonic::{Code, Status};

use crate::{Error, ErrorKind};

#[cfg(test)]
mod tests;

/// Longest message, in bytes as they stand in the trailer. Clients and proxies give up at 8 KiB of headers.
const MAX_MESSAGE: usize = 4096;

/// The code that a client sees for a kind of error.
pub(crate) fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        // Not UNAUTHENTICATED: logging in again would not help, planning again does.
        ErrorKind::Expired => Code::FailedPrecondition,
        ErrorKind::Unimplemented => Code::Unimplemented,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Internal => Code::Internal,
        ErrorKind::Planner(kind) => planner_code(kind),
    }
}

fn planner_code(kind: PlannerKind) -> Code {
    match kind {
        PlannerKind::InvalidSql | PlannerKind::InvalidArgument | PlannerKind::SchemaMismatch => Code::InvalidArgument,
        PlannerKind::NotFound => Code::NotFound,
        PlannerKind::AlreadyExists => Code::AlreadyExists,
        PlannerKind::PermissionDenied => Code::PermissionDenied,
        PlannerKind::Unsupported => Code::Unimplemented,
        PlannerKind::ResourceExhausted => Code::ResourceExhausted,
        PlannerKind::DeadlineExceeded => Code::DeadlineExceeded,
        PlannerKind::Conflict => Code::Aborted,
        PlannerKind::Unavailable => Code::Unavailable,
        PlannerKind::Cancelled => Code::Cancelled,
        PlannerKind::Corrupt => Code::DataLoss,
        PlannerKind::Internal => Code::Internal,
    }
}

/// The status for an error. Faults of our own are logged here, once, with all their causes; the client gets a reference
/// to the log instead of the details.
pub(crate) fn status(error: &Error) -> Status {
    let code = code(error.kind());
    let message = match code {
        Code::Internal => {
            let reference = reference();
            tracing::error!(error.reference = %reference, error.chain = %chain(error), "A call failed inside the node");
            format!(
                "the node failed on its side; nothing is wrong with the request. Tell its operator the reference {reference}"
            )
        }
        Code::DataLoss => {
            let reference = reference();
            tracing::error!(error.reference = %reference, error.chain = %chain(error), "Stored data is damaged");
            format!("{error}; tell the node's operator the reference {reference}")
        }
        Code::Unavailable => {
            tracing::warn!(error.chain = %chain(error), "A call failed because a service was unavailable");
            error.to_string()
        }
        _ => error.to_string(),
    };
    let mut status = Status::new(code, shorten(&message, MAX_MESSAGE));
    if let Some(after) = error.retry_after() {
        // For gRPC clients that try again by themselves, and for people who look at headers.
        for (name, value) in [
            ("grpc-retry-pushback-ms", after.as_millis()),
            ("retry-after", u128::from(after.as_secs().max(1))),
        ] {
            if let Ok(value) = value.to_string().parse() {
                status.metadata_mut().insert(name, value);
            }
        }
    }
    status
}

/// The error and its causes, each said once.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if said != last {
            // Writing to a string does not fail.
            let _ = write!(text, ": {said}");
        }
        last = said;
        cause = error.source();
    }
    text
}

fn reference() -> String {
    let mut bytes = [0u8; 6];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
        Err(_) => "unavailable".to_owned(),
    }
}

/// Cuts a message so that it takes at most `limit` bytes when gRPC has percent-encoded it.
fn shorten(message: &str, limit: usize) -> String {
    const MARK: &str = "... (shortened)";
    let cost = |c: char| match c {
        ' '..='~' if c != '%' => 1,
        other => 3 * other.len_utf8(),
    };
    if message.chars().map(cost).sum::<usize>() <= limit {
        return message.to_owned();
    }
    let mut left = limit.saturating_sub(MARK.len());
    let mut short: String = message
        .chars()
        .take_while(|&c| {
            let fits = cost(c) <= left;
            left = left.saturating_sub(cost(c));
            fits
        })
        .collect();
    short.push_str(MARK);
    short
}
