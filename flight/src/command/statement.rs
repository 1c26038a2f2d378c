//! Queries: planned by GetFlightInfo, run by DoGet.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow_flight::{FlightDescriptor, FlightInfo};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use jetway_planner::{BatchStream, PlanRequest, Query, Statement, Update};

use super::{endpoints, info, poll, proof, transaction, update};
use crate::call::Call;
use crate::encode::{StreamMessage, encode_and_keep};
use crate::parameters;
use crate::queries::{self, ActiveQuery, QueryId};
use crate::spool::{Answer, Key, Reading};
use crate::ticket::{Purpose, Ticket, TicketPart};
use crate::{Error, ErrorKind, Result};

/// GetFlightInfo: plans and hands out a ticket. Nothing runs.
pub(super) async fn flight_info(
    call: &Call,
    query: Query,
    transaction: Option<&Bytes>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let call = &transaction::within(call, transaction)?;
    plan_flight(call, call.plan_request(query), descriptor).await
}

/// GetSchema.
pub(super) async fn schema(call: &Call, query: Query, transaction: Option<&Bytes>) -> Result<SchemaRef> {
    let call = &transaction::within(call, transaction)?;
    schema_of(call, call.plan_request(query)).await
}

/// A planned text.
#[derive(Debug)]
pub(super) enum Planned {
    Query(Statement),
    Update(Update),
}

/// Schema of what a query gives.
pub(super) async fn schema_of(call: &Call, request: PlanRequest) -> Result<SchemaRef> {
    let schema = match plan_any(call, request).await? {
        Planned::Query(statement) => statement.schema(),
        Planned::Update(_) => return schema_of_update(call).await,
    };
    Ok(call.profile.schema(&schema))
}

/// Schema of the count that an update gives where a query is expected.
pub(super) async fn schema_of_update(call: &Call) -> Result<SchemaRef> {
    let statement = plan(call, count(call, 0)).await?;
    Ok(call.profile.schema(&statement.schema()))
}

/// The query whose result is the result of an update that is done.
fn count(call: &Call, rows: u64) -> PlanRequest {
    PlanRequest::sql(&call.subject, update::count(rows))
}

/// Plans a query, whatever it does. Nothing runs.
pub(super) async fn plan_any(call: &Call, request: PlanRequest) -> Result<Planned> {
    let planned = plan(call, request.clone()).await;
    // Nearly all texts are queries, so they are not looked at twice.
    if matches!(&planned, Err(error) if error.kind() == ErrorKind::Planner(jetway_planner::ErrorKind::Unsupported))
        && let Some(update) = call.shared.planner.plan_update(request).await?
    {
        return Ok(Planned::Update(update));
    }
    planned.map(Planned::Query)
}

/// Plans a query against what the datasets hold now.
async fn plan(call: &Call, request: PlanRequest) -> Result<Statement> {
    check_length(call, &request)?;
    Ok(call.shared.planner.plan_request(request).await?)
}

/// Refuses a query that is too long to travel in tickets.
pub(super) fn check_length(call: &Call, request: &PlanRequest) -> Result<()> {
    let (length, max) = (request.query.len(), call.shared.options.max_statement);
    if length <= max {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::ResourceExhausted,
        format!(
            "the statement has {length} bytes, more than {max}: move long lists of values into a dataset and join it"
        ),
    ))
}

/// A query that is planned, with what was asked.
pub(super) struct Ready {
    pub(super) request: PlanRequest,
    pub(super) statement: Statement,
}

/// Plans a query. What changes something runs.
///
/// Clients that do not know what a text does send updates here as well (`cursor.execute()` of ADBC). They may never ask for
/// the result, or ask twice, so an update runs now, once; its result is a query for the number of rows.
pub(super) async fn ready(call: &Call, request: PlanRequest) -> Result<Ready> {
    let (request, statement) = match plan_any(call, request.clone()).await? {
        Planned::Query(statement) => (request, statement),
        Planned::Update(update) => {
            let active = call.begin(QueryId::unique(), &request.query)?;
            let work = update.run(call.idempotency_key.clone());
            let outcome = queries::change(active, &call.shared.admission, work, |outcome| outcome.rows).await?;
            update::answer(&outcome);
            let request = count(call, outcome.rows);
            let statement = plan(call, request.clone()).await?;
            (request, statement)
        }
    };
    Ok(Ready { request, statement })
}

/// Plans a query, and makes the tickets and all else that GetFlightInfo answers.
pub(super) async fn plan_flight(call: &Call, request: PlanRequest, descriptor: FlightDescriptor) -> Result<FlightInfo> {
    let planned = ready(call, request).await?;
    let ticket = ticket(call, &planned)?;
    let parts = endpoints::divide(call, &planned.statement).await?;
    let mut parts: Vec<_> = parts.into_iter().map(|part| Some(TicketPart::Rows(part))).collect();
    if parts.is_empty() {
        // There is always one endpoint, even for a result without rows: clients take an empty list for something else.
        parts.push(None);
    }
    let info = info::query(call, &ticket, &planned.statement, parts, descriptor)?;
    call.shared.plans.insert(ticket.id, planned.statement);
    Ok(info)
}

/// A new ticket for all rows of a planned query.
pub(super) fn ticket(call: &Call, planned: &Ready) -> Result<Ticket> {
    let Ready { request, statement } = planned;
    let id = QueryId::unique();
    call.planned(id, &request.query);
    Ok(Ticket {
        query: request.query.clone(),
        parameters: request.parameters.as_ref().map(parameters::encode_batch).transpose()?,
        session: request.session.clone(),
        id,
        transaction: None,
        pins: statement.pins().to_vec(),
        views: statement.views(),
        profile: call.profile,
        part: None,
        account: call.subject.name().as_str().to_owned(),
        expires: call.now() + call.shared.options.ticket_ttl,
    })
}

/// What a ticket asks for.
pub(super) fn request(call: &Call, ticket: &Ticket) -> Result<PlanRequest> {
    let values = ticket.parameters.as_ref().map(parameters::decode).transpose()?;
    Ok(PlanRequest::new(&call.subject, ticket.query.clone())
        .with_session(ticket.session.clone())
        .with_parameters(values)
        .with_pins(ticket.pins.clone())
        .with_views(ticket.views))
}

/// The statement of a ticket. Unless it was planned a moment ago, it is planned again, which asks again whether the caller may read
/// what it reads.
pub(super) async fn planned(call: &Call, ticket: &Ticket) -> Result<Statement> {
    if let Some(statement) = call.shared.plans.get(&ticket.id) {
        return Ok(statement);
    }
    let statement = call.shared.planner.plan_request(request(call, ticket)?).await?;
    // Its other tickets are likely to come as well.
    call.shared.plans.insert(ticket.id, statement.clone());
    Ok(statement)
}

/// The rows that a ticket is for. The statement starts when it is its turn, inside of the stream.
pub(super) fn execute(call: &Call, statement: Statement, ticket: &Ticket, active: ActiveQuery) -> BatchStream {
    let part = match ticket.part {
        Some(TicketPart::Rows(part)) => Some(part),
        _ => None,
    };
    let limits = call.shared.options.result_limits();
    queries::run(statement, part, active, &call.shared.admission, limits)
}

/// DoGet: the messages of a ticket, from an answer that is kept or from a run of the statement.
pub(super) async fn fetch(call: &Call, handle: &[u8]) -> Result<BoxStream<'static, Result<StreamMessage>>> {
    let options = &call.shared.options;
    let (ticket, _) = Ticket::open(handle, &options.ticket_key, Purpose::Fetch, &call.subject, call.now())?;
    let active = call.begin(ticket.id, &ticket.query)?;
    if call.proof {
        return proof::fetch(call, &ticket, active).await;
    }
    let found = async {
        let statement = planned(call, &ticket).await?;
        let key = ticket.fingerprint(statement.is_repeatable());
        let answer = kept(call, &ticket, &key)?;
        Ok((statement, key, answer))
    };
    let (statement, key, answer) = match found.await {
        Ok(found) => found,
        Err(error) => {
            active.fail(&error);
            return Err(error);
        }
    };
    let answer = match answer {
        None if call.options.spool == Some(true) => {
            let running = call.begin_background(ticket.id, &ticket.query)?;
            let answer = poll::record(call, &ticket, statement.clone(), key, running)?;
            Some((answer, 0..usize::MAX))
        }
        answer => answer,
    };
    let times = options.stream_times();
    if let Some((answer, messages)) = answer {
        answer.serve(ticket.id);
        return Ok(watched(answer.read(Reading { messages, times }), active));
    }
    let schema = ticket.profile.schema(&statement.schema());
    let recorder = match call.options.spool {
        Some(_) => None,
        None => {
            let (first, empty) = poll::ends(&ticket, &schema)?;
            Some(call.shared.spool.tee(key, ticket.id, &ticket.account, first, empty))
        }
    };
    let meter = active.meter();
    let rows = execute(call, statement, &ticket, active);
    Ok(encode_and_keep(
        schema,
        rows,
        ticket.profile,
        options.messages,
        times,
        Some(meter),
        recorder,
    )
    .boxed())
}

/// The answer that is kept for a ticket, and which of its messages to send.
fn kept(call: &Call, ticket: &Ticket, key: &Key) -> Result<Option<(Arc<Answer>, Range<usize>)>> {
    let spool = &call.shared.spool;
    if let Some(TicketPart::Messages { run, from, to }) = ticket.part {
        let answer = spool.run(run, key).ok_or_else(|| gone("these rows"))?;
        let (from, to) = (index(from).saturating_add(call.resume_from), index(to));
        return Ok(Some((answer, from.min(to)..to)));
    }
    if call.resume_from > 0 {
        let answer = spool.find(key).filter(|answer| answer.has_served(ticket.id));
        let answer = answer.ok_or_else(|| gone("the rows that came already"))?;
        return Ok(Some((answer, call.resume_from..usize::MAX)));
    }
    if call.options.spool == Some(false) {
        return Ok(None);
    }
    Ok(spool.find(key).map(|answer| (answer, 0..usize::MAX)))
}

/// Messages that end when their query is to stop, and whose end is that of the query.
fn watched(
    messages: BoxStream<'static, Result<StreamMessage>>,
    active: ActiveQuery,
) -> BoxStream<'static, Result<StreamMessage>> {
    active.running();
    let meter = active.meter();
    let state = (messages, Some(active));
    futures::stream::unfold(state, move |(mut messages, active)| {
        let meter = meter.clone();
        async move {
            let active = active?;
            let next = tokio::select! {
                biased;
                why = meter.stopped() => Some(Err(why)),
                next = messages.next() => next,
            };
            match next {
                Some(Ok(message)) => {
                    meter.bytes((message.header.len() + message.body_len()) as u64);
                    Some((Ok(message), (messages, Some(active))))
                }
                Some(Err(error)) => {
                    active.fail(&error);
                    Some((Err(error), (messages, None)))
                }
                None => {
                    active.finish(&Ok(()));
                    None
                }
            }
        }
    })
    .boxed()
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn gone(what: &str) -> Error {
    Error::new(
        ErrorKind::Expired,
        format!(
            "this node does not keep {what} any more, or never did: run the query again and read from the beginning"
        ),
    )
}
