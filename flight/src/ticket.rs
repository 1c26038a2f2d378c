//! Tickets and prepared statement handles: all that a replica needs to go on, signed.
//!
//! ```text
//! version (1 byte) | purpose (1 byte) | protobuf of the contents | HMAC-SHA256 of all before (32 bytes)
//! ```
//!
//! What a bad one is answered with: forged, damaged or from another node - INVALID_ARGUMENT, since logging in again would not
//! help; somebody else's - PERMISSION_DENIED; too old - FAILED_PRECONDITION. None of them says which byte was wrong.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_planner::{Part, Pin, Query, SessionOptions, Subject, TransactionId};
use prost::Message;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac};

use crate::queries::QueryId;
use crate::{Error, ErrorKind, Result, WireProfile};

#[cfg(test)]
mod tests;

const VERSION: u8 = 2;
const HEADER_LEN: usize = 2;
const TAG_LEN: usize = 32;

/// The signature of a ticket, which also names it.
pub(crate) type TicketTag = [u8; TAG_LEN];

/// Signs tickets. All replicas of a node must have the same key; who has it can forge tickets for any account.
#[derive(Debug, Clone)]
pub struct TicketKey(hmac::Key);

impl TicketKey {
    /// Shortest key, in bytes.
    pub const MIN_LEN: usize = 32;

    /// A key from secret bytes, at least [`Self::MIN_LEN`] of them.
    pub fn new(secret: &[u8]) -> Result<Self> {
        if secret.len() < Self::MIN_LEN {
            return Err(Error::invalid_argument(format!(
                "a ticket key needs at least {} random bytes, this one has {}",
                Self::MIN_LEN,
                secret.len()
            )));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// A random key. Tickets that it signs die with the process and are worth nothing on other replicas.
    pub fn generate() -> Result<Self> {
        let mut secret = [0u8; Self::MIN_LEN];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| Error::internal("the system gave no random bytes for the ticket key"))?;
        Self::new(&secret)
    }

    /// A message, signed for a purpose.
    pub(crate) fn seal(&self, purpose: Purpose, contents: &impl Message) -> (Bytes, TicketTag) {
        let mut bytes = Vec::with_capacity(HEADER_LEN + contents.encoded_len() + TAG_LEN);
        bytes.extend([VERSION, purpose as u8]);
        // A vector grows as needed, so encoding into it does not fail.
        let _ = contents.encode(&mut bytes);
        let mut tag = [0; TAG_LEN];
        for (to, from) in tag.iter_mut().zip(hmac::sign(&self.0, &bytes).as_ref()) {
            *to = *from;
        }
        bytes.extend(tag);
        (bytes.into(), tag)
    }

    /// The bytes of a message that was signed for the purpose; none if they were not.
    pub(crate) fn open<'a>(&self, purpose: Purpose, bytes: &'a [u8]) -> Option<(&'a [u8], TicketTag)> {
        let (signed, tag) = bytes.split_last_chunk::<TAG_LEN>()?;
        hmac::verify(&self.0, signed, tag).ok()?;
        match signed {
            [VERSION, of, contents @ ..] if *of == purpose as u8 => Some((contents, *tag)),
            _ => None,
        }
    }
}

/// What a signed text is for; one is never taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Fetching the rows of a planned statement.
    Fetch = 1,
    /// Planning a prepared statement.
    Prepared = 2,
    /// Options of a session.
    Session = 3,
    /// Adding to a transaction, and ending it.
    Transaction = 4,
    /// Asking how far a query is that runs in the background.
    Poll = 8,
}

/// A statement on its way between two calls.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ticket {
    /// What is asked.
    pub(crate) query: Query,
    /// Values of the parameters, one row, as an Arrow IPC stream.
    pub(crate) parameters: Option<Bytes>,
    /// The settings under which it was planned.
    pub(crate) session: SessionOptions,
    /// Names this run of the query, for those who look for it or cancel it; a prepared statement has none.
    pub(crate) id: QueryId,
    /// The transaction that a prepared statement is part of.
    pub(crate) transaction: Option<TransactionId>,
    /// The heads that it reads; none for a prepared statement, which reads what is there when it runs.
    pub(crate) pins: Vec<Pin>,
    /// A digest of the views that it reads, likewise.
    pub(crate) views: Option<Multihash>,
    /// How rows look on the wire.
    pub(crate) profile: WireProfile,
    /// Which of the rows it is for; all of them unless set.
    pub(crate) part: Option<TicketPart>,
    /// Whom it was given to.
    pub(crate) account: String,
    /// The first moment at which it is worth nothing.
    pub(crate) expires: SystemTime,
}

/// Some of the rows of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TicketPart {
    /// Those that are made of some rows of a dataset.
    Rows(Part),
    /// Those in some messages of an answer that is kept. `to` is the first message that is not meant.
    Messages { run: QueryId, from: u64, to: u64 },
}

#[derive(Clone, PartialEq, Message)]
struct Contents {
    #[prost(string, optional, tag = "1")]
    sql: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pins: Vec<PinContents>,
    #[prost(uint32, tag = "3")]
    profile: u32,
    #[prost(string, tag = "4")]
    account: String,
    /// Unix time, in seconds.
    #[prost(uint64, tag = "5")]
    expires: u64,
    #[prost(bytes = "bytes", optional, tag = "6")]
    substrait: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    parameters: Option<Bytes>,
    #[prost(message, optional, tag = "8")]
    session: Option<SessionContents>,
    #[prost(bytes = "vec", tag = "9")]
    id: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "15")]
    transaction: Option<Vec<u8>>,
    #[prost(message, optional, tag = "20")]
    rows: Option<RangeContents>,
    #[prost(message, optional, tag = "21")]
    messages: Option<RangeContents>,
    #[prost(bytes = "vec", optional, tag = "22")]
    views: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct RangeContents {
    #[prost(uint64, tag = "1")]
    from: u64,
    #[prost(uint64, tag = "2")]
    to: u64,
    #[prost(bytes = "vec", tag = "3")]
    run: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionContents {
    #[prost(string, optional, tag = "1")]
    schema: Option<String>,
    #[prost(string, optional, tag = "2")]
    time_zone: Option<String>,
    #[prost(string, optional, tag = "3")]
    as_of: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct PinContents {
    #[prost(bytes = "vec", tag = "1")]
    dataset: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    head: Vec<u8>,
}

impl Ticket {
    /// Encodes and signs it.
    pub(crate) fn seal(&self, key: &TicketKey, purpose: Purpose) -> (Bytes, TicketTag) {
        key.seal(purpose, &self.contents())
    }

    /// Digest of all that the rows depend on. If the statement gives other rows at each run, that is this run alone.
    pub(crate) fn fingerprint(&self, repeatable: bool) -> [u8; 32] {
        let mut contents = self.contents();
        contents.expires = 0;
        contents.messages = None;
        if repeatable {
            contents.id.clear();
        }
        contents.account.make_ascii_lowercase();
        let mut print = [0; 32];
        let digest = digest::digest(&digest::SHA256, &contents.encode_to_vec());
        for (to, from) in print.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        print
    }

    fn contents(&self) -> Contents {
        let (sql, substrait) = match &self.query {
            Query::Sql(text) => (Some(text.clone()), None),
            Query::Substrait(plan) => (None, Some(plan.clone())),
        };
        let (rows, messages) = match self.part {
            None => (None, None),
            Some(TicketPart::Rows(Part { first, last })) => (Some(RangeContents::new(first, last, Vec::new())), None),
            Some(TicketPart::Messages { run, from, to }) => (None, Some(RangeContents::new(from, to, run.to_bytes()))),
        };
        Contents {
            sql,
            substrait,
            parameters: self.parameters.clone(),
            session: SessionContents::of(&self.session),
            id: self.id.to_bytes(),
            transaction: self.transaction.map(|id| id.to_bytes().to_vec()),
            pins: self
                .pins
                .iter()
                .map(|pin| PinContents {
                    dataset: pin.dataset.to_bytes(),
                    head: pin.head.to_bytes(),
                })
                .collect(),
            views: self.views.map(|digest| digest.to_bytes()),
            profile: self.profile.to_bits(),
            account: self.account.clone(),
            expires: unix_seconds(self.expires),
            rows,
            messages,
        }
    }

    /// Checks that we signed it for this purpose, that it is the subject's and that it is not too old.
    pub(crate) fn open(
        bytes: &[u8],
        key: &TicketKey,
        purpose: Purpose,
        subject: &Subject,
        now: SystemTime,
    ) -> Result<(Self, TicketTag)> {
        let (ticket, tag) = Self::read(bytes, key, purpose)?;
        ticket.check_owner(subject)?;
        if now < ticket.expires {
            return Ok((ticket, tag));
        }
        Err(Error::new(
            ErrorKind::Expired,
            match purpose {
                Purpose::Fetch => "this ticket has expired: run the query again",
                Purpose::Prepared | Purpose::Session => "this prepared statement has expired: prepare it again",
                Purpose::Transaction => "this transaction has expired: begin a new one for what was not committed",
                Purpose::Poll => "this query was not asked after for too long: poll from the beginning",
            },
        ))
    }

    /// Refuses those to whom it was not given.
    pub(crate) fn check_owner(&self, subject: &Subject) -> Result<()> {
        if self.account.eq_ignore_ascii_case(subject.name().as_str()) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PermissionDenied,
            "this ticket, prepared statement or transaction belongs to another account: use one of your own",
        ))
    }

    /// Checks that we signed it for this purpose, and nothing else.
    pub(crate) fn read(bytes: &[u8], key: &TicketKey, purpose: Purpose) -> Result<(Self, TicketTag)> {
        let bad = || {
            Error::invalid_argument(match purpose {
                Purpose::Fetch => {
                    "this is no ticket of this node: ask for a new one with GetFlightInfo, that is, run the query again"
                }
                Purpose::Prepared | Purpose::Session => "this is no prepared statement of this node: prepare it again",
                Purpose::Transaction => "this is no transaction of this node: begin one",
                Purpose::Poll => "this is no query of this node: poll from the beginning",
            })
        };
        let (contents, tag) = key.open(purpose, bytes).ok_or_else(bad)?;
        let contents = Contents::decode(contents).map_err(|_| bad())?;
        let expires = UNIX_EPOCH
            .checked_add(Duration::from_secs(contents.expires))
            .ok_or_else(bad)?;
        let pins = contents
            .pins
            .iter()
            .map(PinContents::open)
            .collect::<Option<_>>()
            .ok_or_else(bad)?;
        let query = match (contents.sql, contents.substrait) {
            (Some(text), None) => Query::Sql(text),
            (None, Some(plan)) => Query::Substrait(plan),
            _ => return Err(bad()),
        };
        let part = match (contents.rows, contents.messages) {
            (None, None) => None,
            (Some(rows), None) => Some(TicketPart::Rows(Part {
                first: rows.from,
                last: rows.to,
            })),
            (None, Some(messages)) => Some(TicketPart::Messages {
                run: QueryId::from_bytes(&messages.run).ok_or_else(bad)?,
                from: messages.from,
                to: messages.to,
            }),
            _ => return Err(bad()),
        };
        let ticket = Self {
            part,
            query,
            parameters: contents.parameters,
            session: contents.session.map(SessionContents::open).unwrap_or_default(),
            id: QueryId::from_bytes(&contents.id).ok_or_else(bad)?,
            transaction: match contents.transaction {
                Some(id) => Some(TransactionId::from_bytes(&id).ok_or_else(bad)?),
                None => None,
            },
            pins,
            views: match contents.views {
                Some(digest) => Some(Multihash::from_bytes(&digest).map_err(|_| bad())?),
                None => None,
            },
            profile: WireProfile::from_bits(contents.profile).ok_or_else(bad)?,
            account: contents.account,
            expires,
        };
        Ok((ticket, tag))
    }
}

impl RangeContents {
    fn new(from: u64, to: u64, run: Vec<u8>) -> Self {
        Self { from, to, run }
    }
}

impl SessionContents {
    /// Nothing for a session without settings, which nearly all are.
    fn of(session: &SessionOptions) -> Option<Self> {
        let SessionOptions {
            schema,
            time_zone,
            as_of,
        } = session.clone();
        (*session != SessionOptions::default()).then_some(Self {
            schema,
            time_zone,
            as_of,
        })
    }

    fn open(self) -> SessionOptions {
        let Self {
            schema,
            time_zone,
            as_of,
        } = self;
        SessionOptions {
            schema,
            time_zone,
            as_of,
        }
    }
}

impl PinContents {
    fn open(&self) -> Option<Pin> {
        Some(Pin {
            dataset: DatasetId::from_bytes(&self.dataset).ok()?,
            head: Multihash::from_bytes(&self.head).ok()?,
        })
    }
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
