//! What can go wrong between a source and its rows.

use std::error::Error as StdError;
use std::fmt;

/// Result of fetching, preparing and reading.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Meaning of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A step or an option of the source's definition is wrong; its owner has to change it.
    InvalidSource,
    /// The data cannot be read as the definition says; context names file, line and column as far as they are known.
    BadData,
    /// What was to be fetched is not there.
    NotFound,
    /// Understood, but not possible here, or not allowed by the operator.
    Unsupported,
    /// A limit on size or time was reached.
    ResourceExhausted,
    /// The source cannot be reached or failed; it may answer later.
    Unavailable,
    /// A file of this machine cannot be read or written.
    Io,
    /// A fault of our own.
    Internal,
}

/// What went wrong with a source.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of a kind, with a sentence that says what to do about it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }
    }

    /// Adds a fact that helps to find the cause, such as a file's name or a line number.
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

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }

    /// The sentence for the user, without context and cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The facts that were added.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.context
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
