//! From a password or a token to a subject.

use chrono::{DateTime, Utc};
use jetway_planner::Subject;
use secrecy::{ExposeSecret, SecretString};

use crate::accounts::{ANONYMOUS, Accounts};
use crate::error::{Error, ErrorKind, Result};
use crate::tokens::{AccessTokens, LoginTokens};

#[cfg(test)]
mod tests;

/// Who logged in, and the token that stands for the login from now on.
#[derive(Debug)]
pub struct Login {
    /// The account.
    pub subject: Subject,
    /// A bearer token, so that the password need not be sent again.
    pub token: SecretString,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

/// Decides who is asking. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authentication {
    accounts: Accounts,
    access_tokens: AccessTokens,
    login_tokens: LoginTokens,
    anonymous: Option<Subject>,
}

impl Authentication {
    /// Over the accounts and tokens of one node.
    #[must_use]
    pub fn new(accounts: Accounts, access_tokens: AccessTokens, login_tokens: LoginTokens) -> Self {
        Self {
            accounts,
            access_tokens,
            login_tokens,
            anonymous: None,
        }
    }

    /// The same, but those without credentials are let in as nobody in particular.
    ///
    /// # Errors
    /// Never, unless the name of nobody is no legal one.
    pub fn with_anonymous(self) -> Result<Self> {
        let name = ANONYMOUS.parse().map_err(|error: jetway_odf::Error| {
            Error::new(ErrorKind::Internal, "the name of those without an account is not legal").with_source(error)
        })?;
        Ok(Self {
            anonymous: Some(Subject::anonymous(name)),
            ..self
        })
    }

    /// Who calls without credentials; none if nobody may.
    #[must_use]
    pub fn anonymous(&self) -> Option<Subject> {
        self.anonymous.clone()
    }

    /// Checks a name and a password. An access token of the account is taken for its password too, for tools that know
    /// no other way to send one.
    ///
    /// # Errors
    /// `Unauthenticated` when they are wrong, `TooManyAttempts` after repeated wrong ones.
    pub async fn basic(&self, name: &str, password: &SecretString) -> Result<Login> {
        let account = if AccessTokens::recognizes(password.expose_secret()) {
            let owner = self.access_tokens.verify(password)?;
            if !owner.as_str().eq_ignore_ascii_case(name) {
                return Err(Error::unauthenticated());
            }
            self.accounts.get(&owner).map_err(hide_missing)?
        } else {
            self.accounts.verify(name, password).await?
        };
        let (token, expires_at) = self.login_tokens.issue(&account.name)?;
        Ok(Login {
            subject: account.subject(),
            token,
            expires_at,
        })
    }

    /// Checks an access token or a login token.
    ///
    /// # Errors
    /// `Unauthenticated` when it is none, has ended, was revoked, or its account is gone.
    pub fn bearer(&self, token: &SecretString) -> Result<Subject> {
        if AccessTokens::recognizes(token.expose_secret()) {
            let owner = self.access_tokens.verify(token)?;
            return Ok(self.accounts.get(&owner).map_err(hide_missing)?.subject());
        }
        let verified = self.login_tokens.verify(token)?;
        let account = self.accounts.get(&verified.account).map_err(hide_missing)?;
        // Milliseconds are all that a token knows.
        if verified.issued_at.timestamp_millis() < account.password_set_at.timestamp_millis() {
            return Err(Error::unauthenticated());
        }
        Ok(account.subject())
    }
}

/// Whoever holds a token of a missing account learns no more than with a wrong token.
fn hide_missing(error: Error) -> Error {
    if error.kind() == ErrorKind::NotFound {
        Error::unauthenticated()
    } else {
        error
    }
}
