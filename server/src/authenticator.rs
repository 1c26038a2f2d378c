//! Lets the Flight gateway ask the control plane who is calling.

use async_trait::async_trait;
use jetway_control::Authentication;
use jetway_flight::{Authenticator, Error, ErrorKind, Login, Result};
use jetway_planner::Subject;
use secrecy::{ExposeSecret, SecretString};

/// The control plane's authentication, as the gateway wants it.
#[derive(Debug, Clone)]
pub(crate) struct ControlAuthenticator(pub(crate) Authentication);

#[async_trait]
impl Authenticator for ControlAuthenticator {
    async fn basic(&self, user: &str, password: &str) -> Result<Login> {
        let password = SecretString::from(password.to_owned());
        let login = self.0.basic(user, &password).await.map_err(translate)?;
        Ok(Login {
            subject: login.subject,
            token: login.token.expose_secret().to_owned(),
        })
    }

    async fn bearer(&self, token: &str) -> Result<Subject> {
        self.0.bearer(&SecretString::from(token.to_owned())).map_err(translate)
    }

    fn anonymous(&self) -> Option<Subject> {
        self.0.anonymous()
    }
}

fn translate(error: jetway_control::Error) -> Error {
    use jetway_control::ErrorKind as Control;
    let kind = match error.kind() {
        Control::InvalidArgument => ErrorKind::InvalidArgument,
        Control::Unauthenticated => ErrorKind::Unauthenticated,
        Control::TooManyAttempts => ErrorKind::ResourceExhausted,
        Control::Io => ErrorKind::Unavailable,
        // A caller cannot be told to mend the node's files, so these are faults of the node.
        Control::NotFound | Control::AlreadyExists | Control::Corrupt | Control::Internal => ErrorKind::Internal,
    };
    // Paths of the node's files are for its log only.
    Error::new(kind, error.message()).with_source(error)
}
