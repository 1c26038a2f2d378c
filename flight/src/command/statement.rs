//! Queries: planned by GetFlightInfo, run by DoGet.

use arrow::datatypes::SchemaRef;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightInfo};
use jetway_planner::{BatchStream, PlanRequest, Query, Statement, Update};
use prost::Message;

use super::{info, transaction, update};
use crate::call::Call;
use crate::parameters;
use crate::queries::{self, Meter, QueryId};
use crate::ticket::{Purpose, Ticket};
use crate::{Error, ErrorKind, Result, WireProfile};

/// GetFlightInfo: plans and hands out a ticket. Nothing runs.
pub(super) async fn flight_info(
    call: &Call,
    command: CommandStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let call = &transaction::within(call, command.transaction_id.as_ref())?;
    plan_flight(call, call.plan_request(Query::Sql(command.query)), descriptor).await
}

/// GetSchema.
pub(super) async fn schema(call: &Call, command: CommandStatementQuery) -> Result<SchemaRef> {
    let call = &transaction::within(call, command.transaction_id.as_ref())?;
    schema_of(call, call.plan_request(Query::Sql(command.query))).await
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

/// Plans a query, and makes the ticket and all else that GetFlightInfo answers.
///
/// Clients that do not know what a text does send updates here as well (`cursor.execute()` of ADBC). They may never ask for
/// the result, or ask twice, so an update runs now, once; its result is a query for the number of rows.
pub(super) async fn plan_flight(call: &Call, request: PlanRequest, descriptor: FlightDescriptor) -> Result<FlightInfo> {
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
    let options = &call.shared.options;
    let expires = call.now() + options.ticket_ttl;
    let id = QueryId::unique();
    call.planned(id, &request.query);
    let ticket = Ticket {
        query: request.query,
        parameters: request.parameters.as_ref().map(parameters::encode_batch).transpose()?,
        session: request.session,
        id,
        transaction: None,
        pins: statement.pins().to_vec(),
        profile: call.profile,
        account: call.subject.name().as_str().to_owned(),
        expires,
    };
    let (statement_handle, tag) = ticket.seal(&options.ticket_key, Purpose::Fetch);
    let schema = call.profile.schema(&statement.schema());
    call.shared.plans.insert(tag, statement);
    let ticket = TicketStatementQuery { statement_handle }.as_any().encode_to_vec();
    info::flight_info(&schema, descriptor, ticket.into(), Some(expires))
}

/// What DoGet sends.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The schema of the wire.
    pub(super) schema: SchemaRef,
    pub(super) rows: BatchStream,
    pub(super) profile: WireProfile,
    pub(super) meter: Meter,
}

/// DoGet: starts the statement of a ticket. It runs when it is its turn, inside of the stream.
pub(super) async fn fetch(call: &Call, handle: &[u8]) -> Result<Fetched> {
    let options = &call.shared.options;
    let now = call.now();
    let (ticket, tag) = Ticket::open(handle, &options.ticket_key, Purpose::Fetch, &call.subject, now)?;
    let active = call.begin(ticket.id, &ticket.query)?;
    let meter = active.meter();
    let planned = match call.shared.plans.get(&tag) {
        Some(statement) => Ok(statement),
        None => {
            let values = ticket.parameters.as_ref().map(parameters::decode).transpose()?;
            let request = PlanRequest::new(&call.subject, ticket.query)
                .with_session(ticket.session)
                .with_parameters(values)
                .with_pins(ticket.pins);
            call.shared.planner.plan_request(request).await.map_err(Error::from)
        }
    };
    let statement = match planned {
        Ok(statement) => statement,
        Err(error) => {
            active.fail(&error);
            return Err(error);
        }
    };
    let schema = ticket.profile.schema(&statement.schema());
    let rows = queries::run(statement, None, active, &call.shared.admission, options.result_limits());
    Ok(Fetched {
        schema,
        rows,
        profile: ticket.profile,
        meter,
    })
}
