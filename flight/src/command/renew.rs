//! RenewFlightEndpoint: more time for a ticket.

use std::time::Duration;

use arrow_flight::sql::{Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightEndpoint, RenewFlightEndpointRequest, Ticket as FlightTicket};
use bytes::Bytes;
use prost::Message;

use super::decode_any;
use crate::call::Call;
use crate::ticket::{Purpose, Ticket};
use crate::{Error, ErrorKind, Result};

/// A ticket that is too old for longer than this cannot be renewed.
const GRACE: Duration = Duration::from_secs(60 * 60);

/// However often it is renewed, a ticket is good for no longer than this since its query was planned.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The action: the same endpoint, with a ticket that is good for the usual time from now on.
pub(super) fn run(call: &Call, body: &Bytes) -> Result<Bytes> {
    let request = RenewFlightEndpointRequest::decode(body.clone()).map_err(|error| {
        Error::invalid_argument("the body of RenewFlightEndpoint is no RenewFlightEndpointRequest").with_source(error)
    })?;
    let without = || Error::invalid_argument("the endpoint to renew has no ticket of this node");
    let endpoint = request.endpoint.ok_or_else(without)?;
    let ticket = endpoint.ticket.clone().ok_or_else(without)?;
    let handle = match decode_any(&ticket.ticket).map_err(|_| without())? {
        Command::TicketStatementQuery(ticket) => ticket.statement_handle,
        // The ticket of a listing is the command itself, which does not grow old.
        _ => return Ok(endpoint.encode_to_vec().into()),
    };
    let (options, now) = (&call.shared.options, call.now());
    let (mut ticket, _) = Ticket::read(&handle, &options.ticket_key, Purpose::Fetch)?;
    ticket.check_owner(&call.subject)?;
    let last = ticket.id.made() + LONGEST;
    if now >= ticket.expires + GRACE || now >= last {
        return Err(Error::new(
            ErrorKind::Expired,
            "this ticket expired too long ago to be renewed: run the query again",
        ));
    }
    // Never earlier than it was.
    ticket.expires = ticket.expires.max((now + options.ticket_ttl).min(last));
    let renewed = FlightEndpoint {
        ticket: Some(FlightTicket {
            ticket: TicketStatementQuery {
                statement_handle: ticket.seal(&options.ticket_key, Purpose::Fetch).0,
            }
            .as_any()
            .encode_to_vec()
            .into(),
        }),
        expiration_time: Some(ticket.expires.into()),
        ..endpoint
    };
    Ok(renewed.encode_to_vec().into())
}
