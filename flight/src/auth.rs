//! Who is calling.
//!
//! ```text
//!  Handshake or any call with `authorization: Basic ...`   ──► basic()  ──► answer carries `authorization: Bearer <token>`
//!  any call with `authorization: Bearer <token>`           ──► bearer()
//!  Handshake with a BasicAuth payload (the older way)      ──► basic()  ──► the token is the payload of the answer,
//!                                                              and comes back in the header `auth-token-bin`
//! ```

use std::fmt;

use arrow_flight::{BasicAuth, HandshakeRequest, HandshakeResponse};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use jetway_planner::Subject;
use prost::Message;
use tonic::Status;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::{Error, Result};

#[cfg(test)]
mod tests;

const AUTHORIZATION: &str = "authorization";
/// Where clients put the token that an older handshake gave them.
const LEGACY_TOKEN: &str = "auth-token-bin";
/// The token for a handshake without credentials. It is no secret, since it is good for what needs none.
const NOBODY: &str = "anonymous";
/// Clients that never heard of us must learn from this how to get in.
const HOW_TO: &str = "log in first: give a user name and password (most clients then do a handshake for a token), or send an \
                      access token in the header \"authorization: Bearer <token>\"";

/// A successful login.
#[derive(Clone)]
pub struct Login {
    /// Who it is.
    pub subject: Subject,
    /// A bearer token that stands for the login from now on, in visible ASCII.
    pub token: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Tells who is behind credentials.
///
/// Wrong credentials are [`crate::ErrorKind::Unauthenticated`]; the message must not tell whether the account exists. Both methods are
/// called for many requests at once; [`Self::bearer`] is called for each request and must be fast. Tokens that one replica hands out
/// must be good on all of them. An empty name and password, which some clients send when they were given none, never get here.
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync {
    /// Checks a user name and password. Clients may send the password with each call instead of the token.
    async fn basic(&self, user: &str, password: &str) -> Result<Login>;

    /// Checks a token that [`Self::basic`] gave, or another one that the node accepts.
    async fn bearer(&self, token: &str) -> Result<Subject>;

    /// Who calls without credentials; none if nobody may.
    fn anonymous(&self) -> Option<Subject> {
        None
    }
}

/// A caller whose credentials were good.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) subject: Subject,
    /// The header with a new token, when there is one to hand out.
    pub(crate) bearer: Option<MetadataValue<Ascii>>,
}

enum Credentials {
    Basic { user: String, password: String },
    Bearer(String),
}

impl Credentials {
    /// Whether they are of somebody: clients without any send empty ones, or what a handshake gave them for these.
    fn are_given(&self) -> bool {
        match self {
            Self::Basic { user, password } => !user.is_empty() || !password.is_empty(),
            Self::Bearer(token) => token != NOBODY,
        }
    }
}

/// Finds out who makes a call.
pub(crate) async fn authenticate(authenticator: &dyn Authenticator, metadata: &MetadataMap) -> Result<Caller> {
    match credentials(metadata)?.filter(Credentials::are_given) {
        Some(Credentials::Bearer(token)) => Ok(Caller {
            subject: authenticator.bearer(&token).await?,
            bearer: None,
        }),
        Some(Credentials::Basic { user, password }) => {
            let login = authenticator.basic(&user, &password).await?;
            Ok(Caller {
                bearer: Some(bearer_header(&login.token)?),
                subject: login.subject,
            })
        }
        None => Ok(Caller {
            subject: authenticator
                .anonymous()
                .ok_or_else(|| Error::unauthenticated(HOW_TO))?,
            bearer: None,
        }),
    }
}

/// The answer to a handshake: what goes into its payload and its header.
pub(crate) struct Welcome {
    pub(crate) response: HandshakeResponse,
    pub(crate) bearer: MetadataValue<Ascii>,
}

/// Exchanges credentials for a token.
pub(crate) async fn handshake(
    authenticator: &dyn Authenticator,
    metadata: &MetadataMap,
    mut requests: BoxStream<'static, std::result::Result<HandshakeRequest, Status>>,
) -> Result<Welcome> {
    let mut protocol_version = 0;
    let found = match credentials(metadata)? {
        Some(found) => Some(found),
        None => match requests.next().await {
            Some(Ok(request)) => {
                protocol_version = request.protocol_version;
                let auth = BasicAuth::decode(request.payload).map_err(|_| {
                    Error::unauthenticated(format!("the handshake's payload is no BasicAuth message; {HOW_TO}"))
                })?;
                Some(Credentials::Basic {
                    user: auth.username,
                    password: auth.password,
                })
            }
            Some(Err(_)) | None => None,
        },
    };
    let token = match found.filter(Credentials::are_given) {
        Some(Credentials::Basic { user, password }) => authenticator.basic(&user, &password).await?.token,
        // Shaking hands again with a good token gives the same token.
        Some(Credentials::Bearer(token)) => {
            authenticator.bearer(&token).await?;
            token
        }
        None if authenticator.anonymous().is_some() => NOBODY.to_owned(),
        None => return Err(Error::unauthenticated(HOW_TO)),
    };
    let bearer = bearer_header(&token)?;
    Ok(Welcome {
        response: HandshakeResponse {
            protocol_version,
            payload: token.into(),
        },
        bearer,
    })
}

impl Welcome {
    /// The response stream that the protocol wants, of one message.
    pub(crate) fn into_stream(self) -> BoxStream<'static, std::result::Result<HandshakeResponse, Status>> {
        stream::once(std::future::ready(Ok(self.response))).boxed()
    }
}

/// Name of the header that carries the token to the client.
pub(crate) fn header_name() -> &'static str {
    AUTHORIZATION
}

fn bearer_header(token: &str) -> Result<MetadataValue<Ascii>> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| Error::internal("the bearer token has characters that do not fit into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The credentials of a call. A token wins over a password, because a client that has both got the token for the password.
fn credentials(metadata: &MetadataMap) -> Result<Option<Credentials>> {
    let mut basic = None;
    for value in metadata.get_all(AUTHORIZATION) {
        let value = value.to_str().map_err(|_| bad_header())?.trim();
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Some(Credentials::Bearer(rest.trim().to_owned())));
        }
        if scheme.eq_ignore_ascii_case("basic") {
            basic = Some(decode_basic(rest.trim())?);
        } else {
            return Err(bad_header());
        }
    }
    if basic.is_none()
        && let Some(token) = metadata.get_bin(LEGACY_TOKEN)
    {
        let token = token
            .to_bytes()
            .ok()
            .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        return token
            .map(|token| Some(Credentials::Bearer(token)))
            .ok_or_else(bad_header);
    }
    Ok(basic)
}

fn decode_basic(encoded: &str) -> Result<Credentials> {
    let decoded = STANDARD
        .decode(encoded)
        .or_else(|_| STANDARD_NO_PAD.decode(encoded))
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(bad_header)?;
    let (user, password) = decoded.split_once(':').ok_or_else(bad_header)?;
    Ok(Credentials::Basic {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

fn bad_header() -> Error {
    Error::unauthenticated(format!("the authorization header cannot be read; {HOW_TO}"))
}
