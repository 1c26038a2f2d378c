//! Prepared statements: a signed handle with the text, and nothing kept here.
//!
//! JDBC and many others prepare whatever they run, so preparing plans once, to tell the schema, and runs nothing. Parameters
//! are not bound; a text with parameters is refused by the planner.

use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, CommandPreparedStatementQuery,
    CommandPreparedStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt,
};
use arrow_flight::{FlightData, FlightDescriptor, FlightInfo, PutResult};
use bytes::Bytes;
use futures::StreamExt;
use jetway_planner::{PlanRequest, Query};
use prost::Message;

use super::statement::Planned;
use super::{refuse_transaction, statement, update};
use crate::call::Call;
use crate::decode::{Upload, decode_upload};
use crate::queries::QueryId;
use crate::ticket::{Purpose, Ticket};
use crate::wire::schema_bytes;
use crate::{Error, Result};

/// The action CreatePreparedStatement.
pub(super) async fn create(call: &Call, request: ActionCreatePreparedStatementRequest) -> Result<Bytes> {
    refuse_transaction(request.transaction_id.as_ref())?;
    let dataset_schema = match statement::plan_any(call, call.plan_request(Query::Sql(request.query.clone()))).await? {
        Planned::Query(statement) => schema_bytes(&call.profile.schema(&statement.schema()))?,
        // No schema tells clients that it is an update.
        Planned::Update(_) => Bytes::new(),
    };
    let options = &call.shared.options;
    let handle = Ticket {
        query: Query::Sql(request.query),
        parameters: None,
        session: call.session.clone(),
        id: QueryId::NONE,
        // It runs against what is there then, not now.
        pins: Vec::new(),
        profile: call.profile,
        account: call.subject.name().as_str().to_owned(),
        expires: call.now() + options.prepared_ttl,
    };
    let (prepared_statement_handle, _) = handle.seal(&options.ticket_key, Purpose::Prepared);
    let result = ActionCreatePreparedStatementResult {
        prepared_statement_handle,
        dataset_schema,
        parameter_schema: schema_bytes(&Schema::empty())?,
    };
    Ok(result.as_any().encode_to_vec().into())
}

/// GetFlightInfo of a prepared statement.
pub(super) async fn flight_info(
    call: &Call,
    command: &CommandPreparedStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    statement::plan_flight(call, request(call, open(call, command)?), descriptor).await
}

/// GetSchema of a prepared statement.
pub(super) async fn schema(call: &Call, command: &CommandPreparedStatementQuery) -> Result<SchemaRef> {
    statement::schema_of(call, request(call, open(call, command)?)).await
}

/// Runs a prepared statement that changes a dataset.
pub(super) async fn update(call: &Call, command: &CommandPreparedStatementUpdate) -> Result<PutResult> {
    let handle = open_handle(call, &command.prepared_statement_handle)?;
    update::run(call, handle.query).await
}

/// DoPut of parameters. Some clients send it always; without parameters there is nothing to do.
pub(super) async fn bind(
    call: &Call,
    command: CommandPreparedStatementQuery,
    first: FlightData,
    upload: Upload,
) -> Result<PutResult> {
    open(call, &command)?;
    let refused = || {
        Error::unimplemented(
            "prepared statements take no parameters: write the values into the SQL text, or add them to a dataset and join it",
        )
    };
    if !first.data_header.is_empty() {
        let mut parameters = decode_upload(first, upload, call.shared.options.max_upload_message).await?;
        let columns = parameters.schema().fields().len();
        while let Some(batch) = parameters.next().await {
            if columns > 0 && batch?.num_rows() > 0 {
                return Err(refused());
            }
        }
    }
    let result = DoPutPreparedStatementResult {
        prepared_statement_handle: Some(command.prepared_statement_handle),
    };
    Ok(PutResult {
        app_metadata: result.encode_to_vec().into(),
    })
}

/// What a handle asks for.
fn request(call: &Call, handle: Ticket) -> PlanRequest {
    PlanRequest::new(&call.subject, handle.query).with_session(handle.session)
}

fn open(call: &Call, command: &CommandPreparedStatementQuery) -> Result<Ticket> {
    open_handle(call, &command.prepared_statement_handle)
}

fn open_handle(call: &Call, handle: &[u8]) -> Result<Ticket> {
    let options = &call.shared.options;
    let now = call.now();
    Ok(Ticket::open(handle, &options.ticket_key, Purpose::Prepared, &call.subject, now)?.0)
}
