//! What a client wants of an answer: from which message on, and whether with a proof.

use tonic::metadata::MetadataMap;

use crate::{Error, Result};

const PROOF: &str = "jetway-proof";
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

/// Whether the answer is to come with a proof.
///
/// # Errors
/// When the header is neither true nor false.
pub(crate) fn proof(headers: &MetadataMap) -> Result<bool> {
    let Some(value) = headers.get(PROOF) else {
        return Ok(false);
    };
    match value.to_str().map(str::trim) {
        Ok("true") => Ok(true),
        Ok("false") => Ok(false),
        _ => Err(Error::invalid_argument(format!(
            "the header {PROOF} must be true or false"
        ))),
    }
}
