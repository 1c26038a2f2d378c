//! CancelFlightInfo, and CancelQuery of older clients: a query is stopped by what GetFlightInfo or PollFlightInfo told.

use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, Command, ProstMessageExt};
use arrow_flight::{CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo};
use bytes::Bytes;
use prost::Message;

use super::decode_any;
use crate::call::Call;
use crate::queries::QueryId;
use crate::ticket::{Purpose, Ticket};
use crate::{Error, Result};

/// The action CancelFlightInfo.
pub(super) fn flight_info(call: &Call, body: &Bytes) -> Result<Bytes> {
    let request = CancelFlightInfoRequest::decode(body.clone()).map_err(|error| {
        Error::invalid_argument("the body of CancelFlightInfo is no CancelFlightInfoRequest").with_source(error)
    })?;
    let info = request
        .info
        .ok_or_else(|| Error::invalid_argument("CancelFlightInfo needs the FlightInfo of the query"))?;
    let status = cancel(call, &info)?.into();
    Ok(CancelFlightInfoResult { status }.encode_to_vec().into())
}

/// The action CancelQuery.
pub(super) fn query(call: &Call, request: &ActionCancelQueryRequest) -> Result<Bytes> {
    let info = FlightInfo::decode(request.info.clone())
        .map_err(|error| Error::invalid_argument("CancelQuery needs the FlightInfo of the query").with_source(error))?;
    // Both actions number their outcomes alike.
    let result = cancel(call, &info)?.into();
    let result = ActionCancelQueryResult { result };
    Ok(result.as_any().encode_to_vec().into())
}

/// Stops the query on this replica. Its tickets are refused here from now on.
fn cancel(call: &Call, info: &FlightInfo) -> Result<CancelStatus> {
    let Some(ticket) = ticket(call, info)? else {
        // A listing is not a query that could be stopped.
        return Ok(CancelStatus::NotCancellable);
    };
    if !call.subject.is_admin() {
        ticket.check_owner(&call.subject)?;
    }
    if ticket.id == QueryId::NONE {
        return Ok(CancelStatus::NotCancellable);
    }
    // It may have been planned on another replica.
    call.planned_by(ticket.id, &ticket.account, &ticket.query);
    let was_active = call.shared.queries.cancel(ticket.id, &call.subject)?;
    Ok(if was_active {
        CancelStatus::Cancelling
    } else {
        CancelStatus::Cancelled
    })
}

/// A ticket of the query, out of an endpoint or out of the descriptor of a poll.
fn ticket(call: &Call, info: &FlightInfo) -> Result<Option<Ticket>> {
    let endpoints = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref());
    let tickets = endpoints.map(|ticket| (ticket.ticket.clone(), Purpose::Fetch));
    let polled = info.flight_descriptor.iter();
    let polled = polled.map(|descriptor| (descriptor.cmd.clone(), Purpose::Poll));
    let foreign = || Error::invalid_argument("the FlightInfo has no ticket of this node");
    let mut found = false;
    for (bytes, purpose) in tickets.chain(polled) {
        match decode_any(&bytes) {
            Ok(Command::TicketStatementQuery(handle)) => {
                let key = &call.shared.options.ticket_key;
                return Ok(Some(Ticket::read(&handle.statement_handle, key, purpose)?.0));
            }
            Ok(_) => found = true,
            Err(_) => {}
        }
    }
    if found { Ok(None) } else { Err(foreign()) }
}
