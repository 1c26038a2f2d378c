//! What is asked of the planner: a text or a plan, on whose behalf, and under which settings.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use bytes::Bytes;
use jetway_odf::identity::{DatasetId, Multihash};

use crate::functions::Point;
use crate::{Error, ErrorKind, Pin, Result, Subject, TableName, TransactionId};

/// What to plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Query {
    /// A statement in SQL.
    Sql(String),
    /// A plan in Substrait's protobuf.
    Substrait(Bytes),
}

impl Query {
    /// The text; none for a Substrait plan.
    pub fn sql(&self) -> Option<&str> {
        match self {
            Self::Sql(text) => Some(text),
            Self::Substrait(_) => None,
        }
    }

    /// What people are shown of it.
    pub fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Sql(text) => Cow::Borrowed(text),
            Self::Substrait(plan) => Cow::Owned(format!("Substrait plan of {} bytes", plan.len())),
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Sql(text) => text.len(),
            Self::Substrait(plan) => plan.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Settings that a client chose for its session. They change what statements mean, so they are part of what an answer depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SessionOptions {
    /// The schema, that is the account, in which names without one are looked up; the subject's own unless set.
    pub schema: Option<String>,
    /// The time zone of `now()`, `current_date` and of texts that become times, such as Europe/Berlin or +02:00; UTC unless set.
    pub time_zone: Option<String>,
    /// A point in the past of all datasets that are read: a system time, the hash of a block, or an offset. The present unless
    /// set.
    pub as_of: Option<String>,
}

impl SessionOptions {
    /// Whether a text can be the value of [`Self::as_of`].
    #[must_use]
    pub fn is_point(text: &str) -> bool {
        Point::parse(text).is_some()
    }

    pub(crate) fn point(&self) -> Result<Option<Point>> {
        let Some(text) = self.as_of.as_deref() else {
            return Ok(None);
        };
        Point::parse(text).map(Some).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                "as_of takes a point in the past: a system time, an offset or a block hash",
            )
        })
    }
}

/// A statement to plan.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// On whose behalf.
    pub subject: Subject,
    /// What to plan.
    pub query: Query,
    /// Values of the statement's parameters, one column each in the order of their numbers. With several rows the statement
    /// runs for each of them, and gives their results one after the other.
    pub parameters: Option<RecordBatch>,
    /// The settings of the client's session.
    pub session: SessionOptions,
    /// Heads that an earlier plan of the same statement saw; the current ones if absent.
    pub pins: Option<Vec<Pin>>,
    /// What names in the statement mean, whatever the datasets are called by now. Goes with `pins`.
    pub names: Vec<(TableName, DatasetId)>,
    /// With pins: the digest of the views that the earlier plan saw.
    pub views: Option<Multihash>,
    /// The transaction that it is part of: what it adds to datasets waits for its end.
    pub transaction: Option<TransactionId>,
}

impl PlanRequest {
    /// A request for a text, with no parameters, in a session without settings, at the current heads.
    pub fn sql(subject: &Subject, sql: impl Into<String>) -> Self {
        Self::new(subject, Query::Sql(sql.into()))
    }

    /// A request for a query, with no parameters, in a session without settings, at the current heads.
    pub fn new(subject: &Subject, query: Query) -> Self {
        Self {
            subject: subject.clone(),
            query,
            parameters: None,
            session: SessionOptions::default(),
            pins: None,
            names: Vec::new(),
            views: None,
            transaction: None,
        }
    }

    /// The same request under the settings of a session.
    #[must_use]
    pub fn with_session(mut self, session: SessionOptions) -> Self {
        self.session = session;
        self
    }

    /// The same request at the heads that an earlier plan saw.
    #[must_use]
    pub fn with_pins(mut self, pins: Vec<Pin>) -> Self {
        self.pins = Some(pins);
        self
    }

    /// The same request over the views that an earlier plan saw.
    #[must_use]
    pub fn with_views(mut self, views: Option<Multihash>) -> Self {
        self.views = views;
        self
    }

    /// The same request with values for its parameters.
    #[must_use]
    pub fn with_parameters(mut self, parameters: Option<RecordBatch>) -> Self {
        self.parameters = parameters;
        self
    }
}
