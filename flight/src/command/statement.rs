//! Queries: planned by GetFlightInfo, run by DoGet.

use arrow::datatypes::SchemaRef;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightInfo};
use jetway_planner::{BatchStream, Statement};
use prost::Message;

use super::{info, refuse_transaction};
use crate::call::Call;
use crate::ticket::{Purpose, Ticket};
use crate::{Error, ErrorKind, Result, WireProfile};

/// GetFlightInfo: plans and hands out a ticket. Nothing runs.
pub(super) async fn flight_info(
    call: &Call,
    command: CommandStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    refuse_transaction(command.transaction_id.as_ref())?;
    plan_flight(call, command.query, descriptor).await
}

/// GetSchema.
pub(super) async fn schema(call: &Call, command: CommandStatementQuery) -> Result<SchemaRef> {
    refuse_transaction(command.transaction_id.as_ref())?;
    let statement = plan(call, &command.query).await?;
    Ok(call.profile.schema(&statement.schema()))
}

/// Plans a text against what the datasets hold now.
pub(super) async fn plan(call: &Call, sql: &str) -> Result<Statement> {
    let max = call.shared.options.max_statement;
    if sql.len() > max {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!(
                "the statement has {} bytes, more than {max}: move long lists of values into a dataset and join it",
                sql.len()
            ),
        ));
    }
    Ok(call.shared.planner.plan(&call.subject, sql, None).await?)
}

/// Plans a text, and makes the ticket and all else that GetFlightInfo answers.
pub(super) async fn plan_flight(call: &Call, sql: String, descriptor: FlightDescriptor) -> Result<FlightInfo> {
    let statement = plan(call, &sql).await?;
    let options = &call.shared.options;
    let expires = call.now() + options.ticket_ttl;
    let ticket = Ticket {
        sql,
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

/// DoGet: starts the statement of a ticket. Gives the schema of the wire, the rows and how they are sent.
pub(super) async fn fetch(call: &Call, handle: &[u8]) -> Result<(SchemaRef, BatchStream, WireProfile)> {
    let options = &call.shared.options;
    let now = call.now();
    let (ticket, tag) = Ticket::open(handle, &options.ticket_key, Purpose::Fetch, &call.subject, now)?;
    let statement = match call.shared.plans.get(&tag) {
        Some(statement) => statement,
        None => {
            call.shared
                .planner
                .plan(&call.subject, &ticket.sql, Some(&ticket.pins))
                .await?
        }
    };
    let schema = ticket.profile.schema(&statement.schema());
    Ok((schema, statement.execute().await?, ticket.profile))
}
