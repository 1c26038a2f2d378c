//! Telling damaged files from other failures: they are made again, and nobody has to know.

use std::fmt;

use crate::{Error, ErrorKind};

/// A file of an index that does not hold what was written into it.
#[derive(Debug)]
pub(super) struct Damaged {
    pub(super) name: String,
    why: &'static str,
}

impl Damaged {
    pub(super) fn error(name: &str, why: &'static str) -> Error {
        let damaged = Self {
            name: name.to_owned(),
            why,
        };
        Error::new(
            ErrorKind::Unavailable,
            "the dataset's key index is damaged and is made again; send the rows again",
        )
        .with_context("file", name)
        .with_source(damaged)
    }

    pub(super) fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

impl std::error::Error for Damaged {}
