//! CommandStatementUpdate: SQL that adds rows.

use arrow_flight::PutResult;
use arrow_flight::sql::CommandStatementUpdate;
use jetway_planner::Query;

use super::{ingest, refuse_transaction};
use crate::Result;
use crate::call::Call;

/// Runs the statement. The answer means that its rows are durable and part of the dataset.
pub(super) async fn statement(call: &Call, command: &CommandStatementUpdate) -> Result<PutResult> {
    refuse_transaction(command.transaction_id.as_ref())?;
    run(call, Query::Sql(command.query.clone())).await
}

/// Runs a query that changes a dataset.
pub(super) async fn run(call: &Call, query: Query) -> Result<PutResult> {
    let (planner, key) = (&call.shared.planner, call.idempotency_key.clone());
    let outcome = planner.update(call.plan_request(query), key).await?;
    Ok(ingest::answer(&outcome))
}

/// The query whose result is the result of an update that is done.
pub(super) fn count(rows: u64) -> String {
    format!("SELECT CAST({rows} AS BIGINT) AS count")
}
