//! Datasets as flights: descriptors with the path `account/dataset`, and their list.

use arrow_flight::{Criteria, FlightDescriptor, FlightInfo};
use futures::{StreamExt, TryStreamExt, stream};
use jetway_planner::{Query, TableEntry};

use super::pattern::Pattern;
use super::tables;
use crate::call::{Answers, Call};
use crate::wire::schema_bytes;
use crate::{Error, Result};

/// The query that a path stands for.
pub(super) fn query(path: &[String]) -> Result<Query> {
    let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    match path {
        [_] | [_, _] => {
            let name: Vec<String> = path.iter().map(quoted).collect();
            Ok(Query::Sql(format!("SELECT * FROM {}", name.join("."))))
        }
        _ => Err(Error::invalid_argument(
            "the path of a descriptor must be the account and the name of a dataset, or the name alone; to add rows, send \
             CommandStatementIngest, as adbc_ingest() does",
        )),
    }
}

/// ListFlights: the datasets that the caller may read. The criteria are a pattern for `account/dataset`.
pub(super) async fn list(call: Call, criteria: Criteria) -> Result<Answers<FlightInfo>> {
    let pattern = std::str::from_utf8(&criteria.expression)
        .map_err(|_| Error::invalid_argument("the criteria must be a pattern for account/dataset, such as alice/%"))?;
    let pattern = Pattern::new(if pattern.is_empty() { "%" } else { pattern });
    let mut tables = call.shared.planner.tables(&call.subject, None).await?;
    tables.retain(|table| pattern.matches(&format!("{}/{}", table.account, table.name)));
    let caller = call.clone();
    let infos = stream::iter(tables)
        .map(move |table| {
            let call = caller.clone();
            async move {
                match tables::describe(&call, table).await? {
                    Some((table, description)) => Ok(Some(info(&table, &call.profile.schema(&description.schema))?)),
                    None => Ok(None),
                }
            }
        })
        .buffered(tables::LOOKUPS)
        .try_filter_map(async |info| Ok(info));
    Ok(call.answers(infos))
}

/// A dataset without a ticket: GetFlightInfo with the descriptor gives one.
fn info(table: &TableEntry, schema: &arrow::datatypes::Schema) -> Result<FlightInfo> {
    Ok(FlightInfo {
        schema: schema_bytes(schema)?,
        flight_descriptor: Some(FlightDescriptor::new_path(vec![
            table.account.clone(),
            table.name.clone(),
        ])),
        total_records: -1,
        total_bytes: -1,
        ..FlightInfo::default()
    })
}
