//! CommandStatementIngest: rows into a dataset.

use arrow_flight::sql::{CommandStatementIngest, DoPutUpdateResult, TableExistsOption, TableNotExistOption};
use arrow_flight::{FlightData, PutResult};
use jetway_planner::{IfExists, IfNotExists, IngestRequest, TableName};
use prost::Message;

use super::refuse_transaction;
use crate::call::Call;
use crate::decode::{Upload, decode_upload};
use crate::{Error, Result};

/// Takes in the rows. The answer means that they are durable and part of the dataset.
pub(super) async fn run(
    call: &Call,
    command: CommandStatementIngest,
    first: FlightData,
    upload: Upload,
) -> Result<PutResult> {
    let request = request(&command)?;
    let rows = decode_upload(first, upload, call.shared.options.max_upload_message).await?;
    let outcome = call.shared.planner.ingest(&call.subject, request, rows).await?;
    metrics::counter!("jetway_flight_rows_in_total").increment(outcome.rows);
    tracing::info!(
        dataset.id = %outcome.dataset, block.hash = %outcome.head, rows = outcome.rows, created = outcome.created,
        "Rows were ingested"
    );
    let result = DoPutUpdateResult {
        record_count: i64::try_from(outcome.rows).unwrap_or(i64::MAX),
    };
    Ok(PutResult {
        app_metadata: result.encode_to_vec().into(),
    })
}

/// What the command asks for, in the planner's words.
pub(super) fn request(command: &CommandStatementIngest) -> Result<IngestRequest> {
    refuse_transaction(command.transaction_id.as_ref())?;
    if command.temporary {
        return Err(Error::unimplemented(
            "there are no temporary tables: ingest into a dataset of your own account",
        ));
    }
    if !command.options.is_empty() {
        let mut names: Vec<&str> = command.options.keys().map(String::as_str).collect();
        names.sort_unstable();
        return Err(Error::invalid_argument(format!(
            "the ingest options {names:?} are not known here, and none is ignored silently: leave them out"
        )));
    }
    let Some(options) = &command.table_definition_options else {
        return Err(Error::invalid_argument(
            "table_definition_options are missing: say what to do when the table exists (append or fail) and when it does not \
             (create or fail)",
        ));
    };
    let if_not_exists = match options.if_not_exist() {
        TableNotExistOption::Create => IfNotExists::Create,
        TableNotExistOption::Fail => IfNotExists::Fail,
        TableNotExistOption::Unspecified => {
            return Err(Error::invalid_argument(
                "if_not_exist is not specified: set it to create or fail",
            ));
        }
    };
    let if_exists = match options.if_exists() {
        TableExistsOption::Append => IfExists::Append,
        TableExistsOption::Fail => IfExists::Fail,
        TableExistsOption::Replace => {
            return Err(Error::unimplemented(
                "datasets are append-only, so their rows cannot be replaced: append, or ingest into a new dataset",
            ));
        }
        TableExistsOption::Unspecified => {
            return Err(Error::invalid_argument(
                "if_exists is not specified: set it to append or fail",
            ));
        }
    };
    let table = TableName::parse(command.catalog.as_deref(), command.schema.as_deref(), &command.table)?;
    Ok(IngestRequest {
        if_exists,
        if_not_exists,
        ..IngestRequest::append(table)
    })
}
