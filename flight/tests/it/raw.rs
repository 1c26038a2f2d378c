//! Commands and answers as they are on the wire.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightData, FlightDescriptor};
use futures::{TryStreamExt, stream};
use prost::Message;

pub(crate) fn describe(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery {
        query: sql.to_owned(),
        transaction_id: None,
    };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

/// Rows as texts, one for each.
pub(crate) async fn rows(messages: Vec<FlightData>) -> Vec<String> {
    let messages = stream::iter(messages.into_iter().map(Ok));
    let batches: Vec<_> = FlightRecordBatchStream::new_from_flight_data(messages)
        .try_collect()
        .await
        .unwrap();
    let options = FormatOptions::new().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            values.join("|")
        }));
    }
    rows
}
