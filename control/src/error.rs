//! The control plane's error: what went wrong, and whose fault it is.

use std::error::Error as StdError;
use std::fmt;

/// Result of everything about accounts and tokens that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Meaning of an [`Error`]; protocols map it exhaustively to their own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A name, password, duration or key cannot be used.
    InvalidArgument,
    /// Wrong account, password or token. Which of them is never told.
    Unauthenticated,
    /// Too many wrong passwords; the caller must wait.
    TooManyAttempts,
    /// No such account or token.
    NotFound,
    /// An account or token of that name is already there.
    AlreadyExists,
    /// A file of the node's state cannot be understood.
    Corrupt,
    /// The operating system failed to read or write.
    Io,
    /// A fault of our own.
    Internal,
}

/// What went wrong, in a sentence that says what to do about it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }
    }

    /// Adds a fact that helps to find the cause, such as a path. Never a secret.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence for the user, without context and cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same request may succeed when it is sent again later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::TooManyAttempts | ErrorKind::Io => true,
            ErrorKind::InvalidArgument
            | ErrorKind::Unauthenticated
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Corrupt
            | ErrorKind::Internal => false,
        }
    }

    /// The one answer to every wrong account, password or token.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(ErrorKind::Unauthenticated, "wrong account, password or token")
    }

    /// A failed file operation.
    pub(crate) fn io(message: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, message)
            .with_context("path", path.display())
            .with_source(source)
    }

    /// The operating system gave no random bytes.
    pub(crate) fn no_randomness(_: ring::error::Unspecified) -> Self {
        Self::new(ErrorKind::Internal, "the operating system's random generator failed")
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
