//! Who is asking, according to the `Authorization` header.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jetway_planner::Subject;
use secrecy::SecretString;

use super::{Failure, Transfers};

impl Transfers {
    /// The subject of the credentials; `None` without any.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Option<Subject>, Failure> {
        let Some(credentials) = headers.get(header::AUTHORIZATION) else {
            return Ok(None);
        };
        let not_understood = || Failure::unauthenticated("the Authorization header must be Bearer TOKEN or Basic");
        let (scheme, secret) = credentials
            .to_str()
            .ok()
            .and_then(|text| text.trim().split_once(' '))
            .ok_or_else(not_understood)?;
        let secret = secret.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Some(
                self.authentication.bearer(&SecretString::from(secret.to_owned()))?,
            ));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(not_understood());
        }
        let decoded = STANDARD.decode(secret).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let (name, password) = decoded
            .as_deref()
            .and_then(|text| text.split_once(':'))
            .ok_or_else(not_understood)?;
        let password = SecretString::from(password.to_owned());
        Ok(Some(self.authentication.basic(name, &password).await?.subject))
    }
}

/// Somebody without credentials, who may read and nothing else.
pub(super) fn anonymous() -> Result<Subject, Failure> {
    let name = crate::accounts::ANONYMOUS.parse().map_err(Failure::internal)?;
    Ok(Subject::account(name))
}
