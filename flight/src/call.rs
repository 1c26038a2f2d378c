//! One call: who makes it, how it is recorded, and how its outcome leaves.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Poll, ready};
use std::time::{Duration, Instant, SystemTime};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use jetway_planner::{IdempotencyKey, PlanRequest, Query, SessionOptions, Subject, TransactionId};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status};
use tracing::{Instrument, Span};

use crate::gateway::Shared;
use crate::queries::{ActiveQuery, Origin, QueryId};
use crate::session::{self, Options, Session};
use crate::status::status;
use crate::{Error, ErrorKind, Result, WireProfile, auth, wishes};

/// The stream of a response.
pub(crate) type Answers<T> = BoxStream<'static, std::result::Result<T, Status>>;

/// A call by a known subject.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) subject: Subject,
    pub(crate) profile: WireProfile,
    /// The settings that the client chose and that change what statements mean.
    pub(crate) session: SessionOptions,
    /// All settings that the client chose, for its session or for this call.
    pub(crate) options: Arc<Options>,
    /// The session that the call came with.
    pub(crate) brought: Option<Session>,
    /// The cookie that the answer carries, if any.
    cookie: Arc<OnceLock<MetadataValue<Ascii>>>,
    /// What the client calls itself; empty if it does not say.
    pub(crate) client: Arc<str>,
    /// Where it connected from.
    pub(crate) peer: Option<SocketAddr>,
    /// The trace that it belongs to, in hexadecimal digits.
    pub(crate) trace: Option<Arc<str>>,
    /// How long the client waits for the answer.
    pub(crate) deadline: Option<Duration>,
    /// How many messages with rows it has already.
    pub(crate) resume_from: usize,
    /// Whether the answer is to come with a proof.
    pub(crate) proof: bool,
    /// From a header; for calls that change something.
    pub(crate) idempotency_key: Option<IdempotencyKey>,
    /// The transaction that what is called is part of.
    pub(crate) transaction: Option<TransactionId>,
    record: Record,
}

impl Call {
    /// The time, for what expires.
    pub(crate) fn now(&self) -> SystemTime {
        self.shared.options.clock.now().into()
    }

    /// Refuses what changes something, or is about other calls, to those who have no account.
    pub(crate) fn check_account(&self) -> Result<()> {
        if !self.subject.is_anonymous() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PermissionDenied,
            "without an account you may only read: log in with a user name and password, or an access token",
        ))
    }

    /// Who asks, for the list of queries.
    pub(crate) fn origin(&self) -> Origin {
        Origin {
            account: self.subject.name().to_string(),
            client: Arc::clone(&self.client),
            peer: self.peer,
            trace: self.trace.clone(),
        }
    }

    /// Begins a query of the caller that goes on when the call has ended.
    pub(crate) fn begin_background(&self, id: QueryId, query: &Query) -> Result<ActiveQuery> {
        let (queries, command) = (&self.shared.queries, self.record.command());
        let active = queries.begin(id, self.origin(), command, &query.shown())?;
        let chosen = self.options.statement_timeout.filter(|timeout| !timeout.is_zero());
        let limits = [self.shared.options.query_timeout, chosen];
        Ok(active.with_time_limit(limits.into_iter().flatten().min()))
    }

    /// Notes a query of an account that was planned here or elsewhere.
    pub(crate) fn planned_by(&self, id: QueryId, account: &str, query: &Query) {
        let origin = Origin {
            account: account.to_owned(),
            ..self.origin()
        };
        let text = query.shown();
        self.shared.queries.planned(id, origin, self.record.command(), &text);
    }

    /// Begins a query of the caller, which ends at the earliest of the node's limit, the caller's deadline and the option
    /// `statement_timeout`, of which zero means none.
    pub(crate) fn begin(&self, id: QueryId, query: &Query) -> Result<ActiveQuery> {
        let active = self
            .shared
            .queries
            .begin(id, self.origin(), self.record.command(), &query.shown())?;
        let chosen = self.options.statement_timeout.filter(|timeout| !timeout.is_zero());
        let limits = [self.shared.options.query_timeout, self.deadline, chosen];
        Ok(active.with_time_limit(limits.into_iter().flatten().min()))
    }

    /// Notes that a query was planned.
    pub(crate) fn planned(&self, id: QueryId, query: &Query) {
        self.shared
            .queries
            .planned(id, self.origin(), self.record.command(), &query.shown());
    }

    /// The same call as part of a transaction, or of none.
    pub(crate) fn in_transaction(&self, transaction: Option<TransactionId>) -> Self {
        Self {
            transaction,
            ..self.clone()
        }
    }

    /// A request to plan a query for the caller, under the settings of its session.
    pub(crate) fn plan_request(&self, query: Query) -> PlanRequest {
        PlanRequest {
            transaction: self.transaction,
            ..PlanRequest::new(&self.subject, query).with_session(self.session.clone())
        }
    }

    /// A cookie that makes the session of a client that is still there last longer, once half of its time is over.
    fn renewal(&self, now: SystemTime) -> Result<Option<MetadataValue<Ascii>>> {
        let options = &self.shared.options;
        let Some(session) = &self.brought else { return Ok(None) };
        if session.expires > now + options.session_ttl / 2 {
            return Ok(None);
        }
        let renewed = Session {
            expires: now + options.session_ttl,
            ..session.clone()
        };
        renewed.set_cookie(&options.ticket_key, &self.subject, now).map(Some)
    }

    /// Sends a cookie with the answer; only the first one counts.
    pub(crate) fn give_cookie(&self, cookie: MetadataValue<Ascii>) {
        let _ = self.cookie.set(cookie);
    }

    /// Says which command the call turned out to be, for metrics and traces.
    pub(crate) fn named(&self, command: &'static str) {
        self.record.named(command);
    }

    /// Turns the errors of a response stream into statuses, and records how the stream ends.
    pub(crate) fn answers<T, S>(&self, stream: S) -> Answers<T>
    where
        T: Send + 'static,
        S: Stream<Item = Result<T>> + Send + 'static,
    {
        let mut open = OpenStream::new(self.record.clone());
        let mut stream = Box::pin(stream);
        futures::stream::poll_fn(move |context| {
            let item = ready!(stream.as_mut().poll_next(context));
            Poll::Ready(match item {
                Some(Ok(item)) => Some(Ok(item)),
                Some(Err(error)) => {
                    let status = status(&error);
                    open.ended(status.code());
                    Some(Err(status))
                }
                None => {
                    open.ended(Code::Ok);
                    None
                }
            })
        })
        .boxed()
    }
}

/// Authenticates a call, runs its body in a span of its own and turns the outcome into a response.
pub(crate) fn serve<Q, R>(
    shared: &Arc<Shared>,
    method: &'static str,
    request: Request<Q>,
    body: fn(Call, Q) -> BoxFuture<'static, Result<R>>,
) -> BoxFuture<'static, std::result::Result<Response<R>, Status>>
where
    Q: Send + 'static,
    R: Send + 'static,
{
    let shared = Arc::clone(shared);
    let peer = request.remote_addr();
    let (metadata, _, request) = request.into_parts();
    let record = Record::new(method);
    let span = record.span.clone();
    let run = async move {
        let outcome = async {
            let caller = auth::authenticate(shared.authenticator.as_ref(), &metadata).await?;
            record.span.record("subject", caller.subject.name().as_str());
            let client = client(&metadata);
            record.span.record("client", client.as_ref());
            let now = shared.options.clock.now().into();
            let brought = session::brought(&shared, &metadata, &caller.subject, &client, now)?;
            let options = session::options(brought.as_ref(), &metadata)?;
            let cookie = Arc::new(OnceLock::new());
            let call = Call {
                shared,
                subject: caller.subject,
                profile: WireProfile::for_client(&client, &options.profile),
                session: options.planning(),
                options: Arc::new(options),
                brought,
                cookie: Arc::clone(&cookie),
                client,
                peer,
                trace: trace(&metadata),
                deadline: deadline(&metadata),
                resume_from: wishes::resume_from(&metadata)?,
                proof: wishes::proof(&metadata)?,
                idempotency_key: idempotency_key(&metadata)?,
                transaction: None,
                record: record.clone(),
            };
            let renewal = call.renewal(now)?;
            let mut response = Response::new(body(call, request).await?);
            if let Some(cookie) = cookie.get().or(renewal.as_ref()) {
                response
                    .metadata_mut()
                    .insert(http::header::SET_COOKIE.as_str(), cookie.clone());
            }
            if let Some(bearer) = caller.bearer {
                response.metadata_mut().insert(auth::header_name(), bearer);
            }
            Ok(response)
        }
        .await;
        record.finish(outcome)
    };
    Box::pin(run.instrument(span))
}

/// Longest name of a client that is kept, in bytes.
const MAX_CLIENT: usize = 200;

/// What the client calls itself.
fn client(metadata: &MetadataMap) -> Arc<str> {
    let name = metadata.get(http::header::USER_AGENT.as_str());
    let name = name.and_then(|name| name.to_str().ok()).unwrap_or_default();
    name.chars().take(MAX_CLIENT).collect::<String>().into()
}

/// The trace of the client, out of W3C's header `traceparent`: `version-trace-span-flags`.
fn trace(metadata: &MetadataMap) -> Option<Arc<str>> {
    let header = metadata.get("traceparent")?.to_str().ok()?;
    let trace = header.split('-').nth(1)?;
    (trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| trace.into())
}

/// How long the client waits, out of gRPC's header `grpc-timeout`: up to eight digits and a unit.
fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let header = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (amount, unit) = header.split_at_checked(header.len().checked_sub(1)?)?;
    let amount: u32 = amount.parse().ok().filter(|_| amount.len() <= 8)?;
    let unit = match unit {
        "H" => Duration::from_secs(60 * 60),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    unit.checked_mul(amount)
}

/// The header that makes sure that a push which is sent twice is taken in once.
const IDEMPOTENCY_HEADER: &str = "x-jetway-idempotency-key";

fn idempotency_key(metadata: &MetadataMap) -> Result<Option<IdempotencyKey>> {
    let Some(value) = metadata.get(IDEMPOTENCY_HEADER) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| Error::invalid_argument(format!("the header {IDEMPOTENCY_HEADER} is no text")))?;
    Ok(Some(IdempotencyKey::new(text)?))
}

/// Records one call in metrics and traces.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    method: &'static str,
    command: Arc<OnceLock<&'static str>>,
    started: Instant,
    span: Span,
}

impl Record {
    pub(crate) fn new(method: &'static str) -> Self {
        let span = tracing::info_span!(
            "flight",
            flight.method = method,
            flight.command = tracing::field::Empty,
            subject = tracing::field::Empty,
            client = tracing::field::Empty,
        );
        Self {
            method,
            command: Arc::default(),
            started: Instant::now(),
            span,
        }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    fn named(&self, command: &'static str) {
        if self.command.set(command).is_ok() {
            self.span.record("flight.command", command);
        }
    }

    fn command(&self) -> &'static str {
        self.command.get().copied().unwrap_or("none")
    }

    /// Counts the call and makes the status of a failed one.
    pub(crate) fn finish<R>(&self, outcome: Result<R>) -> std::result::Result<R, Status> {
        let outcome = outcome.map_err(|error| status(&error));
        let code = outcome.as_ref().err().map_or(Code::Ok, Status::code);
        metrics::counter!(
            "jetway_flight_calls_total",
            "method" => self.method, "command" => self.command(), "code" => code_name(code)
        )
        .increment(1);
        metrics::histogram!("jetway_flight_call_seconds", "method" => self.method, "command" => self.command())
            .record(self.started.elapsed().as_secs_f64());
        tracing::debug!(code = code_name(code), "The call was answered");
        outcome
    }
}

/// A response stream from its first to its last message, however it ends.
struct OpenStream {
    record: Record,
    code: Code,
}

impl OpenStream {
    fn new(record: Record) -> Self {
        metrics::gauge!("jetway_flight_active_streams").increment(1);
        // Until the stream says otherwise, its end is that the client dropped it.
        Self {
            record,
            code: Code::Cancelled,
        }
    }

    fn ended(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        metrics::gauge!("jetway_flight_active_streams").decrement(1);
        metrics::counter!(
            "jetway_flight_streams_total",
            "command" => self.record.command(), "code" => code_name(self.code)
        )
        .increment(1);
        metrics::histogram!("jetway_flight_stream_seconds", "command" => self.record.command())
            .record(self.record.started.elapsed().as_secs_f64());
    }
}

/// The code's name in the gRPC specification.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
