//! The gateway's error: what went wrong and whose fault it is.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// Result of a call, before it becomes a gRPC status.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Meaning of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nobody in particular is calling, or the credentials are wrong.
    Unauthenticated,
    /// The caller is known, but may not do this.
    PermissionDenied,
    /// The request is malformed or contradicts itself.
    InvalidArgument,
    /// A ticket or handle was good once, but its time is over.
    Expired,
    /// Known to the protocol, but not offered here.
    Unimplemented,
    /// A message, row or upload is larger than the limits allow.
    ResourceExhausted,
    /// The client did not read or write for too long.
    DeadlineExceeded,
    /// The client went away.
    Cancelled,
    /// A service that the call needs cannot be reached; it may be there again later.
    Unavailable,
    /// A fault of our own.
    Internal,
    /// The planner's verdict.
    Planner(jetway_planner::ErrorKind),
}

/// What went wrong in a Flight call.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    retryable: bool,
    retry_after: Option<Duration>,
}

impl Error {
    /// An error of a kind, with a sentence that says what to do about it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            context: Vec::new(),
            source: None,
            retryable: kind == ErrorKind::Unavailable,
            retry_after: None,
        }
    }

    /// Says that the same request may succeed after some time.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retryable = true;
        self.retry_after = Some(after);
        self
    }

    /// When the same request may succeed, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The credentials are missing or wrong.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, message)
    }

    /// The request is malformed.
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// The protocol knows this, the gateway does not.
    pub fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unimplemented, message)
    }

    /// A fault of our own.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds a fact that helps to find the cause.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.context.push((key, value.into()));
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same request may succeed when it is sent again.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The sentence for the user, without context and cause.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (index, (key, value)) in self.context.iter().enumerate() {
            write!(f, "{}{key}: {value}", if index == 0 { " (" } else { ", " })?;
        }
        if !self.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<jetway_planner::Error> for Error {
    fn from(error: jetway_planner::Error) -> Self {
        Self {
            kind: ErrorKind::Planner(error.kind()),
            message: error.to_string(),
            context: Vec::new(),
            retryable: error.is_retryable(),
            retry_after: error.retry_after(),
            source: Some(Box::new(error)),
        }
    }
}

/// Turns an error of the gateway into one of the planner's, for streams of rows that the gateway makes itself.
impl From<Error> for jetway_planner::Error {
    fn from(error: Error) -> Self {
        use jetway_planner::ErrorKind as Planner;
        let kind = match error.kind {
            ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => Planner::PermissionDenied,
            ErrorKind::InvalidArgument | ErrorKind::Expired => Planner::InvalidArgument,
            ErrorKind::Unimplemented => Planner::Unsupported,
            ErrorKind::ResourceExhausted => Planner::ResourceExhausted,
            ErrorKind::DeadlineExceeded => Planner::DeadlineExceeded,
            ErrorKind::Cancelled => Planner::Cancelled,
            ErrorKind::Unavailable => Planner::Unavailable,
            ErrorKind::Internal => Planner::Internal,
            ErrorKind::Planner(kind) => kind,
        };
        let mut converted = Self::new(kind, error.to_string());
        if let Some(after) = error.retry_after {
            converted = converted.with_retry_after(after);
        }
        match error.source {
            Some(source) => converted.with_source(source),
            None => converted,
        }
    }
}
