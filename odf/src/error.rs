//! What can go wrong in this crate, in a form that callers can branch on and operators can read.

use std::error::Error as StdError;
use std::fmt;

#[cfg(test)]
mod tests;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure: what kind, what happened, with which values, and why.
///
/// [`fmt::Display`] shows the message and the context but never the source, so that whoever prints the chain of
/// sources sees every cause once.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    retryable: bool,
}

/// What kind of failure it was: the part that callers branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Bytes or text from outside cannot be decoded.
    Malformed,
    /// Well-formed, but of a version, type or size that is not supported.
    Unsupported,
    /// A DID, hash, name or alias is not a valid one.
    InvalidIdentity,
    /// An event or block breaks a rule of the chain.
    InvalidEvent {
        /// The rule, such as `D1`; the letters are those of [`Error::invalid_event`].
        rule: &'static str,
    },
    /// The dataset, block or object is not there.
    NotFound,
    /// Somebody else changed it first.
    Conflict,
    /// The repository was opened for reading only.
    ReadOnly,
    /// The object store failed.
    Storage,
    /// Bytes do not have the hash or the length that they are stored under.
    Corrupt,
    /// The operating system failed to read or write.
    Io,
}

impl Error {
    /// A failure with a message that says what happened and, where it can, what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            context: Vec::new(),
            source: None,
            retryable: false,
        }
    }

    /// Shorthand for [`ErrorKind::Malformed`].
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    /// Shorthand for [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Shorthand for [`ErrorKind::InvalidIdentity`].
    pub fn invalid_identity(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidIdentity, message)
    }

    /// Shorthand for [`ErrorKind::InvalidEvent`]. The rule's letter says what it is about: `G` every block, `D` data
    /// blocks, `T` transforms, `S` schemas and sources.
    pub fn invalid_event(rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidEvent { rule }, message)
    }

    /// Adds a value that helps to find the cause, such as a path or a hash.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says that the same call may succeed later.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence without the context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The values that were added on the way, oldest first.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.context
    }

    /// The broken rule, when the kind is [`ErrorKind::InvalidEvent`].
    #[must_use]
    pub fn rule(&self) -> Option<&'static str> {
        match self.kind {
            ErrorKind::InvalidEvent { rule } => Some(rule),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let rule = self.rule().map(|rule| ("rule", rule));
        let values = self.context.iter().map(|(key, value)| (*key, value.as_str()));
        for (index, (key, value)) in rule.into_iter().chain(values).enumerate() {
            let separator = if index == 0 { " (" } else { ", " };
            write!(f, "{separator}{key}: {value}")?;
        }
        if rule.is_some() || !self.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, "reading or writing failed").with_source(error)
    }
}
