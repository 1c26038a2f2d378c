//! Multibase: a letter that names the base, then the bytes in that base.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Error, Result};

/// Longest text that is looked at. Keys and hashes need a tenth of it; base58 takes quadratic time.
const MAX_TEXT: usize = 1024;

/// Lower-case base16, the only form that ODF writes.
pub(super) fn encode_base16(bytes: &[u8]) -> String {
    format!("f{}", hex::encode(bytes))
}

/// Base58 (Bitcoin's alphabet), the form of `did:key`.
pub(super) fn encode_base58(bytes: &[u8]) -> String {
    format!("z{}", bs58::encode(bytes).into_string())
}

/// Reads base16 (`f`, `F`), base64url without padding (`u`) and base58 (`z`).
///
/// # Errors
/// `InvalidIdentity` for another base, a character outside of the base, or an overlong text.
pub(super) fn decode(text: &str) -> Result<Vec<u8>> {
    let invalid = || {
        Error::invalid_identity(
            "the text is not valid multibase: it must be base16 (f, F), base64url (u) or base58 (z)",
        )
    };
    if text.len() > MAX_TEXT {
        return Err(invalid().with_context("length", text.len()));
    }
    let fail = || invalid().with_context("text", text.escape_debug());
    let mut chars = text.chars();
    let base = chars.next().ok_or_else(fail)?;
    let digits = chars.as_str();
    match base {
        'f' | 'F' => hex::decode(digits).map_err(|error| fail().with_source(error)),
        'u' => URL_SAFE_NO_PAD
            .decode(digits)
            .map_err(|error| fail().with_source(error)),
        'z' => bs58::decode(digits)
            .into_vec()
            .map_err(|error| fail().with_source(error)),
        _ => Err(fail()),
    }
}
