//! Sends batches with DoPut, so that a failure on this side never looks like the end of the rows.

use anyhow::{Context, Result, anyhow};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightDescriptor;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{CommandStatementIngest, DoPutUpdateResult, ProstMessageExt};
use futures::future::Either;
use futures::{Stream, StreamExt, TryStreamExt};
use prost::Message;
use tokio::sync::oneshot;

use crate::client::{Client, explain, explain_status};

/// Pushes batches and gives the number of rows that the node has committed.
///
/// When a batch cannot be had, the call is cut off: had the stream just ended, the node would commit the rows before it.
pub(super) async fn push(
    client: &mut Client,
    command: CommandStatementIngest,
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> Result<i64> {
    let (failed, failure) = oneshot::channel();
    let mut failed = Some(failed);
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_flight_descriptor(Some(FlightDescriptor::new_cmd(command.as_any().encode_to_vec())))
        .build(batches.map_err(|error| FlightError::from_external_error(error.into())))
        .then(move |message| match message {
            Ok(message) => Either::Left(std::future::ready(message)),
            Err(error) => {
                if let Some(failed) = failed.take() {
                    // Whoever waits may have got an answer meanwhile; then nobody needs this one.
                    let _ = failed.send(error);
                }
                Either::Right(std::future::pending())
            }
        });
    let call = async {
        let mut answers = client.do_put(messages).await.map_err(explain)?;
        let mut rows = None;
        while let Some(answer) = answers.message().await.map_err(|status| explain_status(&status))? {
            let result = DoPutUpdateResult::decode(answer.app_metadata).context("the node's answer cannot be read")?;
            rows = Some(result.record_count);
        }
        rows.ok_or_else(|| anyhow!("the node did not say whether the rows were added; look before you try again"))
    };
    tokio::select! {
        biased;
        Ok(error) = failure => Err(explain(error)),
        rows = call => rows,
    }
}
