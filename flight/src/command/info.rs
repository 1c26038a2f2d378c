//! FlightInfo: what GetFlightInfo answers.

use std::time::SystemTime;

use arrow::datatypes::Schema;
use arrow_flight::sql::{ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use jetway_planner::Statement;
use prost::Message;

use crate::Result;
use crate::call::Call;
use crate::ticket::{Purpose, Ticket as QueryTicket, TicketPart};
use crate::wire::schema_bytes;

/// One endpoint on this same connection. There is always one, even for a result without rows: clients take an empty list
/// for something else.
pub(super) fn flight_info(
    schema: &Schema,
    descriptor: FlightDescriptor,
    ticket: Bytes,
    expires: Option<SystemTime>,
) -> Result<FlightInfo> {
    let endpoint = FlightEndpoint {
        ticket: Some(Ticket { ticket }),
        location: Vec::new(),
        expiration_time: expires.map(prost_types::Timestamp::from),
        app_metadata: Bytes::new(),
    };
    Ok(FlightInfo {
        schema: schema_bytes(schema)?,
        flight_descriptor: Some(descriptor),
        endpoint: vec![endpoint],
        total_records: -1,
        total_bytes: -1,
        ordered: false,
        app_metadata: Bytes::new(),
    })
}

/// The answer for a planned query, with an endpoint for each part of it. Its name goes along as metadata.
pub(super) fn query(
    call: &Call,
    ticket: &QueryTicket,
    statement: &Statement,
    parts: Vec<Option<TicketPart>>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let app_metadata = Bytes::from(ticket.id.to_string());
    let endpoints = parts.into_iter().map(|part| {
        let ticket = QueryTicket { part, ..ticket.clone() };
        let (statement_handle, _) = ticket.seal(&call.shared.options.ticket_key, Purpose::Fetch);
        let ticket_bytes = TicketStatementQuery { statement_handle }.as_any().encode_to_vec();
        FlightEndpoint {
            ticket: Some(Ticket {
                ticket: ticket_bytes.into(),
            }),
            location: Vec::new(),
            expiration_time: Some(ticket.expires.into()),
            app_metadata: app_metadata.clone(),
        }
    });
    Ok(FlightInfo {
        schema: schema_bytes(&ticket.profile.schema(&statement.schema()))?,
        flight_descriptor: Some(descriptor),
        endpoint: endpoints.collect(),
        total_records: -1,
        total_bytes: -1,
        ordered: statement.is_ordered(),
        app_metadata,
    })
}
