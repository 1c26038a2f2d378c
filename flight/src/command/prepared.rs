//! Prepared statements: a signed handle with the text, and nothing kept here.
//!
//! JDBC and many others prepare whatever they run, so preparing plans once, to tell the schemas, and runs nothing. A bind
//! answers with another handle, which has the values as well.

use arrow::datatypes::SchemaRef;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedSubstraitPlanRequest, Any, CommandPreparedStatementQuery, CommandPreparedStatementUpdate,
    DoPutPreparedStatementResult,
};
use arrow_flight::{FlightData, FlightDescriptor, FlightInfo, PutResult};
use bytes::Bytes;
use jetway_planner::{PlanRequest, Prepared, Query};
use prost::Message;

use super::{statement, substrait, transaction, update};
use crate::Result;
use crate::call::Call;
use crate::decode::{Upload, decode_upload};
use crate::parameters;
use crate::queries::{self, QueryId};
use crate::ticket::{Purpose, Ticket, TicketTag};
use crate::wire::schema_bytes;

/// The answer of CreatePreparedStatement, as the protocol has it since Arrow 25: `arrow-flight` knows it without its last field.
#[derive(Clone, PartialEq, Message)]
struct CreateResult {
    #[prost(bytes = "bytes", tag = "1")]
    prepared_statement_handle: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    dataset_schema: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    parameter_schema: Bytes,
    /// Whether clients are to run it with DoPut.
    #[prost(bool, optional, tag = "4")]
    is_update: Option<bool>,
}

const CREATE_RESULT: &str = "type.googleapis.com/arrow.flight.protocol.sql.ActionCreatePreparedStatementResult";

/// The action CreatePreparedStatement.
pub(super) async fn create(call: &Call, request: ActionCreatePreparedStatementRequest) -> Result<Bytes> {
    let call = &transaction::within(call, request.transaction_id.as_ref())?;
    create_query(call, Query::Sql(request.query)).await
}

/// The action CreatePreparedSubstraitPlan.
pub(super) async fn create_plan(call: &Call, request: ActionCreatePreparedSubstraitPlanRequest) -> Result<Bytes> {
    let call = &transaction::within(call, request.transaction_id.as_ref())?;
    create_query(call, substrait::query(request.plan)?).await
}

/// Prepares a query of any kind.
pub(super) async fn create_query(call: &Call, query: Query) -> Result<Bytes> {
    let request = call.plan_request(query);
    statement::check_length(call, &request)?;
    let Prepared { parameters, schema } = call.shared.planner.prepare(request.clone()).await?;
    let options = &call.shared.options;
    let handle = Ticket {
        query: request.query,
        part: None,
        parameters: None,
        session: request.session,
        id: QueryId::NONE,
        transaction: call.transaction,
        // It runs against what is there then, not now.
        pins: Vec::new(),
        views: None,
        profile: call.profile,
        account: call.subject.name().as_str().to_owned(),
        expires: call.now() + options.prepared_ttl,
    };
    let result = CreateResult {
        prepared_statement_handle: handle.seal(&options.ticket_key, Purpose::Prepared).0,
        // No schema tells clients that do not look at `is_update` that it is one.
        dataset_schema: match &schema {
            Some(schema) => schema_bytes(&call.profile.schema(schema))?,
            None => Bytes::new(),
        },
        parameter_schema: schema_bytes(&call.profile.parameters(&parameters))?,
        is_update: Some(schema.is_none()),
    };
    let any = Any {
        type_url: CREATE_RESULT.to_owned(),
        value: result.encode_to_vec().into(),
    };
    Ok(any.encode_to_vec().into())
}

/// The action ClosePreparedStatement. The handle is all there is of a statement, but values may wait for it.
pub(super) fn close(call: &Call, request: &ActionClosePreparedStatementRequest) {
    // One that is no longer good needs no closing.
    if let Ok((_, tag)) = open(call, &request.prepared_statement_handle) {
        call.shared.bound.remove(&tag);
    }
}

/// GetFlightInfo of a prepared statement.
pub(super) async fn flight_info(
    call: &Call,
    command: &CommandPreparedStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let request = request(call, &command.prepared_statement_handle)?;
    statement::plan_flight(call, request, descriptor).await
}

/// GetSchema of a prepared statement.
pub(super) async fn schema(call: &Call, command: &CommandPreparedStatementQuery) -> Result<SchemaRef> {
    let request = request(call, &command.prepared_statement_handle)?;
    if request.parameters.is_some() {
        return statement::schema_of(call, request).await;
    }
    // Without values it is what Prepare told.
    match call.shared.planner.prepare(request.clone()).await?.schema {
        Some(schema) => Ok(call.profile.schema(&schema)),
        None => statement::schema_of_update(call).await,
    }
}

/// Runs a prepared statement that changes a dataset: once, or for each row of parameters, which come with the command, with
/// the handle, or came before.
pub(super) async fn run_update(
    call: &Call,
    command: &CommandPreparedStatementUpdate,
    first: FlightData,
    upload: Upload,
) -> Result<PutResult> {
    let mut request = request(call, &command.prepared_statement_handle)?;
    let (planner, key) = (&call.shared.planner, call.idempotency_key.clone());
    if !first.data_header.is_empty() {
        let rows = decode_upload(first, upload, call.shared.options.max_upload_message).await?;
        if !rows.schema().fields().is_empty() {
            request.parameters = None;
            let active = call.begin(QueryId::unique(), &request.query)?;
            let work = planner.update_rows(request, rows, key);
            let outcome = queries::change(active, &call.shared.admission, work, |outcome| outcome.rows).await?;
            return Ok(update::answer(&outcome));
        }
    }
    let active = call.begin(QueryId::unique(), &request.query)?;
    let work = planner.update(request, key);
    let outcome = queries::change(active, &call.shared.admission, work, |outcome| outcome.rows).await?;
    Ok(update::answer(&outcome))
}

/// DoPut of parameters. Some clients send it always; without parameters there is nothing to do.
pub(super) async fn bind(
    call: &Call,
    command: CommandPreparedStatementQuery,
    first: FlightData,
    upload: Upload,
) -> Result<PutResult> {
    let (mut ticket, tag) = open(call, &command.prepared_statement_handle)?;
    let values = if first.data_header.is_empty() {
        None
    } else {
        let rows = decode_upload(first, upload, call.shared.options.max_upload_message).await?;
        parameters::encode(rows).await?
    };
    let handle = match values {
        Some(values) => {
            call.shared.bound.insert(tag, values.clone());
            ticket.parameters = Some(values);
            ticket.seal(&call.shared.options.ticket_key, Purpose::Prepared).0
        }
        None => command.prepared_statement_handle,
    };
    let result = DoPutPreparedStatementResult {
        prepared_statement_handle: Some(handle),
    };
    Ok(PutResult {
        app_metadata: result.encode_to_vec().into(),
    })
}

/// What a handle asks for, with the values that are bound to it.
pub(super) fn request(call: &Call, handle: &[u8]) -> Result<PlanRequest> {
    let (ticket, tag) = open(call, handle)?;
    let values = ticket.parameters.or_else(|| call.shared.bound.get(&tag));
    let values = values.as_ref().map(parameters::decode).transpose()?;
    let request = PlanRequest::new(&call.subject, ticket.query)
        .with_session(ticket.session)
        .with_parameters(values);
    Ok(PlanRequest {
        transaction: ticket.transaction,
        ..request
    })
}

fn open(call: &Call, handle: &[u8]) -> Result<(Ticket, TicketTag)> {
    let options = &call.shared.options;
    Ticket::open(
        handle,
        &options.ticket_key,
        Purpose::Prepared,
        &call.subject,
        call.now(),
    )
}
