//! CommandStatementIngest: rows into a dataset.

use std::collections::HashMap;

use arrow_flight::sql::{CommandStatementIngest, DoPutUpdateResult, TableExistsOption, TableNotExistOption};
use arrow_flight::{FlightData, PutResult};
use chrono::DateTime;
use jetway_planner::{BatchStream, IdempotencyKey, IfExists, IfNotExists, IngestOutcome, IngestRequest, TableName};
use prost::Message;

use super::acknowledge::{self, Ingested};
use super::transaction;
use crate::call::{Answers, Call};
use crate::decode::{Upload, decode_upload};
use crate::{Error, Result};

/// The option with which a client asks to be told of each batch.
const ACKNOWLEDGE: &str = "acknowledge";

/// Takes in the rows. The answer means that they are durable and part of the dataset, or of the transaction.
pub(super) async fn run(
    call: &Call,
    mut command: CommandStatementIngest,
    first: FlightData,
    upload: Upload,
) -> Result<Answers<PutResult>> {
    let call = &transaction::within(call, command.transaction_id.as_ref())?;
    let acknowledges = match command.options.remove(ACKNOWLEDGE).as_deref() {
        None | Some("end") => false,
        Some("batches") => true,
        Some(_) => {
            return Err(Error::invalid_argument(
                "the ingest option acknowledge must be end (one message with the number of rows) or batches (JSON for each batch)",
            ));
        }
    };
    let mut request = request(&command)?;
    request.table = request.table.within(call.session.schema.as_deref())?;
    match (&request.idempotency_key, &call.idempotency_key) {
        (Some(option), Some(header)) if option != header => {
            return Err(Error::invalid_argument(
                "the header x-jetway-idempotency-key and the option idempotency_key differ: give one of them",
            ));
        }
        (Some(_), _) => {}
        (None, header) => request.idempotency_key.clone_from(header),
    }
    let rows = decode_upload(first, upload, call.shared.options.max_upload_message).await?;
    if acknowledges {
        let within = call.clone();
        let messages = acknowledge::stream(rows, |rows| async move { take(&within, request, rows).await });
        return Ok(call.answers(messages));
    }
    let rows = match take(call, request, rows).await? {
        Ingested::Committed(outcome) => outcome.rows,
        Ingested::Staged(rows) => rows,
    };
    Ok(super::one(counted(rows)))
}

async fn take(call: &Call, request: IngestRequest, rows: BatchStream) -> Result<Ingested> {
    let planner = &call.shared.planner;
    match &call.transaction {
        Some(transaction) => {
            let rows = planner.stage(&call.subject, transaction, request, rows).await?;
            Ok(Ingested::Staged(rows))
        }
        None => {
            let outcome = planner.ingest(&call.subject, request, rows).await?;
            answer(&outcome);
            Ok(Ingested::Committed(outcome))
        }
    }
}

/// Records an ingest and makes its answer.
pub(super) fn answer(outcome: &IngestOutcome) -> PutResult {
    metrics::counter!("jetway_flight_rows_in_total").increment(outcome.rows);
    tracing::info!(
        dataset.id = %outcome.dataset, block.hash = %outcome.head, rows = outcome.rows, events = outcome.events,
        created = outcome.created, "Rows were ingested"
    );
    counted(outcome.rows)
}

/// An answer that tells a number of rows.
pub(super) fn counted(rows: u64) -> PutResult {
    let result = DoPutUpdateResult {
        record_count: i64::try_from(rows).unwrap_or(i64::MAX),
    };
    PutResult {
        app_metadata: result.encode_to_vec().into(),
    }
}

/// What the command asks for, in the planner's words.
pub(super) fn request(command: &CommandStatementIngest) -> Result<IngestRequest> {
    if command.temporary {
        return Err(Error::unimplemented(
            "there are no temporary tables: ingest into a dataset of your own account",
        ));
    }
    let Some(options) = &command.table_definition_options else {
        return Err(Error::invalid_argument(
            "table_definition_options are missing: say what to do when the table exists (append, replace or fail) and when it does not \
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
        TableExistsOption::Replace => IfExists::Replace,
        TableExistsOption::Unspecified => {
            return Err(Error::invalid_argument(
                "if_exists is not specified: set it to append, replace or fail",
            ));
        }
    };
    let table = TableName::parse(command.catalog.as_deref(), command.schema.as_deref(), &command.table)?;
    with_options(
        IngestRequest {
            if_exists,
            if_not_exists,
            ..IngestRequest::append(table)
        },
        &command.options,
    )
}

/// Takes over the options that this gateway knows.
fn with_options(mut request: IngestRequest, options: &HashMap<String, String>) -> Result<IngestRequest> {
    for (name, value) in options {
        let wrong = |what: &str| Error::invalid_argument(format!("the ingest option {name} must be {what}"));
        match name.as_str() {
            "idempotency_key" => request.idempotency_key = Some(value.parse::<IdempotencyKey>()?),
            "source" => request.source = Some(value.clone()),
            "evolve_schema" => request.evolve_schema = value.parse().map_err(|_| wrong("true or false"))?,
            "event_time" => {
                let time = DateTime::parse_from_rfc3339(value);
                let time = time.map_err(|error| wrong("a time such as 2026-01-31T12:00:00Z").with_source(error))?;
                request.event_time = Some(time.to_utc());
            }
            _ => {
                return Err(Error::invalid_argument(format!(
                    "the ingest option {name:?} is not known here, and none is ignored silently: leave it out, or give one of \
                     idempotency_key, source, evolve_schema, event_time, acknowledge"
                )));
            }
        }
    }
    Ok(request)
}
