//! PollFlightInfo: a query that runs in the background, whose rows can be fetched as soon as some are there.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::{Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightInfo, PollInfo};
use jetway_planner::Statement;
use prost::Message;

use super::{info, statement};
use crate::call::Call;
use crate::encode::{MessageEncoder, StreamMessage, has_dictionaries, record_stream};
use crate::queries::ActiveQuery;
use crate::spool::{Answer, Key};
use crate::ticket::{Purpose, Ticket, TicketPart};
use crate::{Error, ErrorKind, Result};

/// How long a poll waits for something to tell.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most progress of a query that is not complete.
const ALMOST: f64 = 0.99;

/// Messages of one endpoint. It never changes once it was told, and its tickets say which messages they mean.
const CHUNK: usize = 16;

/// Starts a query, or finds its answer.
pub(super) async fn start(call: &Call, planned: statement::Ready, descriptor: FlightDescriptor) -> Result<PollInfo> {
    let ticket = statement::ticket(call, &planned)?;
    let answer = answer(call, &ticket, &planned.statement)?;
    tell(call, &ticket, &planned, &answer, 0, descriptor).await
}

/// Asks after a query again.
pub(super) async fn go_on(call: &Call, handle: &[u8], descriptor: FlightDescriptor) -> Result<PollInfo> {
    let options = &call.shared.options;
    let (mut ticket, _) = Ticket::open(handle, &options.ticket_key, Purpose::Poll, &call.subject, call.now())?;
    let Some(TicketPart::Messages { run, from: told, .. }) = ticket.part.take() else {
        return Err(Error::invalid_argument(
            "this is no query that was polled: poll from the beginning",
        ));
    };
    let statement = statement::planned(call, &ticket).await?;
    let key = ticket.fingerprint(statement.is_repeatable());
    let answer = match call.shared.spool.run(run, &key) {
        Some(answer) => answer,
        // Nothing was handed out that another run could contradict.
        None if told == 0 => answer(call, &ticket, &statement)?,
        None => {
            return Err(Error::new(
                ErrorKind::Expired,
                "this node does not keep the answer any more, or another one does: poll from the beginning",
            ));
        }
    };
    let planned = statement::Ready {
        request: statement::request(call, &ticket)?,
        statement,
    };
    tell(call, &ticket, &planned, &answer, told, descriptor).await
}

/// The answer of a query, which runs from now on if nobody has its answer.
fn answer(call: &Call, ticket: &Ticket, statement: &Statement) -> Result<Arc<Answer>> {
    let spool = &call.shared.spool;
    let key = ticket.fingerprint(statement.is_repeatable());
    if let Some(answer) = spool.find(&key) {
        return Ok(answer);
    }
    let active = call.begin_background(ticket.id, &ticket.query)?;
    record(call, ticket, statement.clone(), key, active)
}

/// Runs a statement in the background; its messages are kept.
pub(super) fn record(
    call: &Call,
    ticket: &Ticket,
    statement: Statement,
    key: Key,
    active: ActiveQuery,
) -> Result<Arc<Answer>> {
    let schema = ticket.profile.schema(&statement.schema());
    let (first, empty) = ends(ticket, &schema)?;
    let usage = active.usage().clone();
    let rows = statement::execute(call, statement, ticket, active);
    let (profile, limits) = (ticket.profile, call.shared.options.messages);
    let work = move |recorder| record_stream(schema, rows, profile, limits, recorder);
    let answer = call.shared.spool.record(key, &ticket.account, first, empty, work);
    answer.follow(usage);
    Ok(answer)
}

/// The message of a schema, and one without rows if that can stand anywhere: rows with dictionaries come after those.
pub(super) fn ends(ticket: &Ticket, schema: &SchemaRef) -> Result<(StreamMessage, Option<StreamMessage>)> {
    let mut encoder = MessageEncoder::new(ticket.profile, Arc::clone(schema))?;
    let first = encoder.schema();
    if has_dictionaries(schema) {
        return Ok((first, None));
    }
    let empty = encoder.rows(&RecordBatch::new_empty(Arc::clone(schema)))?.pop();
    Ok((first, empty))
}

async fn tell(
    call: &Call,
    ticket: &Ticket,
    planned: &statement::Ready,
    answer: &Arc<Answer>,
    told: u64,
    descriptor: FlightDescriptor,
) -> Result<PollInfo> {
    let mut changed = answer.subscribe();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let (messages, rows, is_complete) = loop {
        changed.mark_unchanged();
        let (messages, rows, is_complete) = answer.progress()?;
        let is_news = (messages / CHUNK) as u64 > told;
        if is_complete || is_news {
            break (messages, rows, is_complete);
        }
        if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
            break (messages, rows, is_complete);
        }
    };
    let mut parts: Vec<Option<TicketPart>> = Vec::new();
    if is_complete && messages <= CHUNK && told == 0 {
        // A ticket for all of it is good wherever and whenever.
        parts.push(None);
    } else {
        let last = if is_complete {
            messages
        } else {
            messages - messages % CHUNK
        };
        parts.extend((0..last).step_by(CHUNK).map(|from| {
            Some(TicketPart::Messages {
                run: answer.run(),
                from: from as u64,
                to: (from + CHUNK).min(last) as u64,
            })
        }));
    }
    let told = parts.len() as u64;
    let info = info::query(call, ticket, &planned.statement, parts, descriptor)?;
    let info = FlightInfo {
        total_records: if is_complete {
            i64::try_from(rows).unwrap_or(-1)
        } else {
            -1
        },
        total_bytes: if is_complete {
            i64::try_from(answer.bytes()).unwrap_or(-1)
        } else {
            -1
        },
        ..info
    };
    call.shared.plans.insert(ticket.id, planned.statement.clone());
    let expires = call.now() + call.shared.options.ticket_ttl;
    Ok(PollInfo {
        info: Some(info),
        flight_descriptor: (!is_complete).then(|| next(call, ticket, answer, told)),
        progress: match is_complete {
            true => Some(1.0),
            // What was read may have to be sorted, joined and encoded still.
            false => answer.read_so_far().map(|read| read.min(ALMOST)),
        },
        expiration_time: Some(expires.into()),
    })
}

/// What to ask with the next time.
fn next(call: &Call, ticket: &Ticket, answer: &Answer, told: u64) -> FlightDescriptor {
    let handle = Ticket {
        part: Some(TicketPart::Messages {
            run: answer.run(),
            from: told,
            to: told,
        }),
        expires: call.now() + call.shared.options.ticket_ttl,
        ..ticket.clone()
    };
    let (statement_handle, _) = handle.seal(&call.shared.options.ticket_key, Purpose::Poll);
    FlightDescriptor::new_cmd(TicketStatementQuery { statement_handle }.as_any().encode_to_vec())
}

/// The handle of a query that is polled, if the command is one.
pub(super) fn handle(command: &Command) -> Option<&[u8]> {
    match command {
        Command::TicketStatementQuery(ticket) => Some(&ticket.statement_handle),
        _ => None,
    }
}
