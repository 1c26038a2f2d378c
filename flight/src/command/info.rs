//! FlightInfo: what GetFlightInfo answers.

use std::time::SystemTime;

use arrow::datatypes::Schema;
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;

use crate::Result;
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
