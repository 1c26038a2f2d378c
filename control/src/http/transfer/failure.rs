//! Failures as HTTP says them.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An answer that is no success: a code and a sentence.
#[derive(Debug)]
pub(in crate::http) struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    pub(in crate::http) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(super) fn unauthenticated(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub(super) fn nothing_there() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "there is no such thing here, or none that you may see",
        )
    }

    /// A fault of the node. The reason is for its log, not for the caller.
    pub(super) fn internal(error: impl std::error::Error) -> Self {
        Self::hidden(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the node failed; its log says more",
            &error,
        )
    }

    /// Something that may pass.
    fn unavailable(error: impl std::error::Error) -> Self {
        let message = "storage does not answer; try again later";
        Self::hidden(StatusCode::SERVICE_UNAVAILABLE, message, &error)
    }

    fn hidden(status: StatusCode, message: &str, error: &dyn std::error::Error) -> Self {
        let cause = error.source().map(ToString::to_string);
        tracing::error!(%error, cause, "a request failed");
        Self::new(status, message)
    }

    /// What came of storing or checking what a caller has sent.
    pub(super) fn of_push(error: jetway_odf::Error) -> Self {
        use jetway_odf::ErrorKind;
        let status = match error.kind() {
            ErrorKind::Malformed | ErrorKind::InvalidIdentity => StatusCode::BAD_REQUEST,
            ErrorKind::Unsupported
            | ErrorKind::InvalidEvent { .. }
            | ErrorKind::Corrupt
            // A block of the chain was not sent.
            | ErrorKind::NotFound => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Conflict => StatusCode::PRECONDITION_FAILED,
            ErrorKind::ReadOnly => StatusCode::FORBIDDEN,
            ErrorKind::Storage | ErrorKind::Io => return Self::unavailable(error),
        };
        Self::new(status, error.to_string())
    }
}

/// What came of reading what is stored.
impl From<jetway_odf::Error> for Failure {
    fn from(error: jetway_odf::Error) -> Self {
        use jetway_odf::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => Self::nothing_there(),
            ErrorKind::Storage | ErrorKind::Io => Self::unavailable(error),
            ErrorKind::Malformed
            | ErrorKind::Unsupported
            | ErrorKind::InvalidIdentity
            | ErrorKind::InvalidEvent { .. }
            | ErrorKind::Conflict
            | ErrorKind::ReadOnly
            | ErrorKind::Corrupt => Self::internal(error),
        }
    }
}

impl From<jetway_planner::Error> for Failure {
    fn from(error: jetway_planner::Error) -> Self {
        use jetway_planner::ErrorKind;
        let status = match error.kind() {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::AlreadyExists => StatusCode::CONFLICT,
            ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
            ErrorKind::Conflict => StatusCode::PRECONDITION_FAILED,
            ErrorKind::InvalidSql | ErrorKind::InvalidArgument | ErrorKind::SchemaMismatch | ErrorKind::Unsupported => {
                StatusCode::BAD_REQUEST
            }
            ErrorKind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Unavailable => return Self::unavailable(error),
            ErrorKind::Cancelled | ErrorKind::Corrupt | ErrorKind::Internal => return Self::internal(error),
        };
        Self::new(status, error.message())
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        use crate::ErrorKind;
        let status = match error.kind() {
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::InvalidArgument => StatusCode::BAD_REQUEST,
            ErrorKind::Io => return Self::unavailable(error),
            // A caller cannot be told to mend the node's files.
            ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::Corrupt | ErrorKind::Internal => {
                return Self::internal(error);
            }
        };
        Self::new(status, error.message())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (
            self.status,
            [super::super::NO_STORE],
            Json(json!({"message": self.message})),
        )
            .into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer, Basic realm=\"jetway\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
