//! CommandStatementUpdate: SQL that changes datasets: INSERT, CREATE TABLE, DROP TABLE.

use arrow_flight::PutResult;
use arrow_flight::sql::CommandStatementUpdate;
use jetway_planner::{Query, UpdateOutcome};

use super::{ingest, transaction};
use crate::Result;
use crate::call::Call;
use crate::queries::{self, QueryId};

/// Runs the statement. The answer means that what it changed is durable.
pub(super) async fn statement(call: &Call, command: &CommandStatementUpdate) -> Result<PutResult> {
    let call = &transaction::within(call, command.transaction_id.as_ref())?;
    let request = call.plan_request(Query::Sql(command.query.clone()));
    let active = call.begin(QueryId::unique(), &request.query)?;
    let work = call.shared.planner.update(request, call.idempotency_key.clone());
    let outcome = queries::change(active, &call.shared.admission, work, |outcome| outcome.rows).await?;
    Ok(answer(&outcome))
}

/// Records an update and makes its answer.
pub(super) fn answer(outcome: &UpdateOutcome) -> PutResult {
    match &outcome.ingest {
        Some(ingest) => ingest::answer(ingest),
        None => ingest::counted(outcome.rows),
    }
}

/// The query whose result is the result of an update that is done.
pub(super) fn count(rows: u64) -> String {
    format!("SELECT CAST({rows} AS BIGINT) AS count")
}
