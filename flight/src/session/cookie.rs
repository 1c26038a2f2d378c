//! The cookie that is a session: all of it, signed, so that every replica knows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jetway_planner::Subject;
use prost::Message;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use uuid::Uuid;

use super::Options;
use crate::ticket::Purpose;
use crate::{Error, ErrorKind, Result, TicketKey};

/// Name of the cookie.
pub(crate) const COOKIE: &str = "jetway_session";
/// Header with the same value, for clients without cookies.
pub(crate) const HEADER: &str = "jetway-session";
/// Browsers' limit for a cookie; ours are far smaller.
const MAX_COOKIE: usize = 4096;

/// A session as a client brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) options: Options,
    pub(crate) expires: SystemTime,
}

#[derive(Clone, PartialEq, Message)]
struct Contents {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    account: String,
    /// Unix time, in seconds.
    #[prost(uint64, tag = "3")]
    expires: u64,
    #[prost(message, repeated, tag = "4")]
    options: Vec<OptionContents>,
}

#[derive(Clone, PartialEq, Message)]
struct OptionContents {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl Session {
    /// A session without options that is good until a moment.
    pub(crate) fn new(expires: SystemTime) -> Self {
        Self {
            id: Uuid::now_v7(),
            options: Options::default(),
            expires,
        }
    }

    /// The value of its cookie, for one account.
    pub(crate) fn seal(&self, key: &TicketKey, subject: &Subject) -> String {
        let entries = self.options.entries().into_iter();
        let contents = Contents {
            id: self.id.as_bytes().to_vec(),
            account: subject.name().as_str().to_owned(),
            expires: self
                .expires
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            options: entries
                .map(|(name, value)| OptionContents {
                    name: name.to_owned(),
                    value,
                })
                .collect(),
        };
        URL_SAFE_NO_PAD.encode(key.seal(Purpose::Session, &contents).0)
    }

    /// The header that gives the session to the client.
    pub(crate) fn set_cookie(
        &self,
        key: &TicketKey,
        subject: &Subject,
        now: SystemTime,
    ) -> Result<MetadataValue<Ascii>> {
        let seconds = self.expires.duration_since(now).map_or(0, |left| left.as_secs());
        let value = self.seal(key, subject);
        header(&format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly"))
    }

    /// The session behind a cookie's value; none if it is too old, which is the same as never to have had it.
    ///
    /// # Errors
    /// `InvalidArgument` when this node did not sign it, `PermissionDenied` when it is another account's.
    pub(crate) fn open(value: &str, key: &TicketKey, subject: &Subject, now: SystemTime) -> Result<Option<Self>> {
        let bad = || {
            Error::invalid_argument(format!(
                "the cookie {COOKIE} is no session of this node: drop it, for example by connecting again"
            ))
        };
        if value.len() > MAX_COOKIE {
            return Err(bad());
        }
        let bytes = URL_SAFE_NO_PAD.decode(value).map_err(|_| bad())?;
        let (contents, _) = key.open(Purpose::Session, &bytes).ok_or_else(bad)?;
        let contents = Contents::decode(contents).map_err(|_| bad())?;
        if !contents.account.eq_ignore_ascii_case(subject.name().as_str()) {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                format!(
                    "the cookie {COOKIE} is a session of another account: drop it, for example by connecting again"
                ),
            ));
        }
        let expires = UNIX_EPOCH
            .checked_add(Duration::from_secs(contents.expires))
            .ok_or_else(bad)?;
        if now >= expires {
            return Ok(None);
        }
        let mut options = Options::default();
        for OptionContents { name, value } in &contents.options {
            // A newer replica may know options that this one does not.
            if let Err(refusal) = options.set(name, Some(value)) {
                tracing::debug!(option = %name, ?refusal, "An option of a session was left out");
            }
        }
        Ok(Some(Self {
            id: Uuid::from_slice(&contents.id).map_err(|_| bad())?,
            options,
            expires,
        }))
    }
}

/// The header that makes the client forget its session.
pub(crate) fn clear_cookie() -> Result<MetadataValue<Ascii>> {
    header(&format!(
        "{COOKIE}=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly"
    ))
}

/// The value that a call brings, whichever way.
pub(crate) fn brought(metadata: &MetadataMap) -> Option<String> {
    let header = metadata.get(HEADER).and_then(|value| value.to_str().ok());
    let cookies = metadata.get_all(http::header::COOKIE.as_str()).iter();
    let mut cookies = cookies.filter_map(|value| value.to_str().ok());
    let value = header.or_else(|| {
        cookies.find_map(|line| {
            line.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                (name.trim() == COOKIE).then_some(value)
            })
        })
    })?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

fn header(value: &str) -> Result<MetadataValue<Ascii>> {
    let mut value: MetadataValue<Ascii> = value
        .parse()
        .map_err(|_| Error::internal("a session has characters that do not fit into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}
