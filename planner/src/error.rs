//! The planner's error: what went wrong, whose fault it is, and whether trying again can help.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// Result of planning, running and ingesting.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Meaning of an [`Error`]; protocols map it exhaustively to their own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The SQL text does not parse, does not type-check or names an unknown column or function.
    InvalidSql,
    /// An argument other than SQL is wrong: a name, an option, a value that does not fit its column.
    InvalidArgument,
    /// Data that was sent does not fit the dataset's schema.
    SchemaMismatch,
    /// No such dataset, or none that the subject may see.
    NotFound,
    /// A dataset of that name is already there.
    AlreadyExists,
    /// The subject may see the dataset but not do this to it.
    PermissionDenied,
    /// Understood, but not possible here.
    Unsupported,
    /// A limit on memory, size or time was reached.
    ResourceExhausted,
    /// The time that the caller or the node allows was over.
    DeadlineExceeded,
    /// Somebody else committed at the same moment, again and again.
    Conflict,
    /// Storage or another service cannot be reached; it may be there again later.
    Unavailable,
    /// The caller went away or asked to stop.
    Cancelled,
    /// Stored bytes do not match their hashes, or break the rules of the format.
    Corrupt,
    /// A fault of our own.
    Internal,
}

/// What went wrong while planning, running or ingesting.
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
        let retryable = matches!(kind, ErrorKind::Unavailable | ErrorKind::Conflict);
        Self {
            kind,
            message: message.into(),
            context: Vec::new(),
            source: None,
            retryable,
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

    /// Adds a fact that helps to find the cause, such as a dataset's name.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.context.push((key, value.into()));
        self
    }

    /// The same failure in other words.
    #[must_use]
    pub(crate) fn with_message(mut self, message: String) -> Self {
        self.message = message;
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn has_context(&self, key: &str) -> bool {
        self.context.iter().any(|(known, _)| *known == key)
    }

    /// The same failure for somebody else who was hit by it; the source stays with the first.
    pub(crate) fn repeat(&self) -> Self {
        Self {
            kind: self.kind,
            message: self.message.clone(),
            context: self.context.clone(),
            source: None,
            retryable: self.retryable,
            retry_after: self.retry_after,
        }
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
