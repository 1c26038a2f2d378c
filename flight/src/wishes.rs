//! From which message on a client wants an answer.

use tonic::metadata::MetadataMap;

use crate::{Error, Result};

const RESUME: &str = "jetway-resume-from";

/// How many messages with rows the client has already.
///
/// # Errors
/// When the header is no number.
pub(crate) fn resume_from(headers: &MetadataMap) -> Result<usize> {
    let Some(value) = headers.get(RESUME) else {
        return Ok(0);
    };
    let number = value.to_str().ok().and_then(|number| number.trim().parse().ok());
    number.ok_or_else(|| {
        Error::invalid_argument(format!(
            "the header {RESUME} must be the number of messages with rows that came already"
        ))
    })
}
