//! A Flight SQL client as the runner needs one.

use std::fmt;
use std::path::Path;
use std::process::Stdio;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use sqllogictest::{AsyncDB, DBOutput};
use tonic::transport::{Channel, Endpoint};

use crate::harness::{PASSWORD, jetway};
use crate::text::{ColumnKind, rows};

/// Statements that change something are sent as updates, as every client does it.
const UPDATES: [&str; 8] = [
    "insert", "create", "drop", "update", "delete", "merge", "alter", "truncate",
];

/// Begins the line, the last of a statement, that has values for its parameters, as the columns of a SELECT.
const PARAMETERS: &str = "-- parameters: ";

/// Makes an account for a file, so that it sees no datasets but its own. Gives its name.
pub(crate) fn make_account(data: &Path, file: &Path) -> String {
    let name = format!("slt-{}", file.file_stem().unwrap().to_string_lossy().replace('_', "-"));
    let mut child = jetway()
        .args(["account", "create", &name, "--data-dir"])
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), PASSWORD.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "there is no account {name}");
    name
}

/// A connection of one account.
pub(crate) struct Session {
    client: FlightSqlServiceClient<Channel>,
}

impl Session {
    pub(crate) async fn open(url: String, account: String) -> Result<Self, Failure> {
        let address = url.replace("grpc://", "http://");
        let channel = Endpoint::from_shared(address)
            .map_err(Failure::new)?
            .connect()
            .await
            .map_err(Failure::new)?;
        let inner = FlightServiceClient::new(channel).max_decoding_message_size(usize::MAX);
        let mut client = FlightSqlServiceClient::new_from_inner(inner);
        client.handshake(&account, PASSWORD).await.map_err(Failure::of_node)?;
        Ok(Self { client })
    }

    async fn fetch(&mut self, info: FlightInfo) -> Result<(SchemaRef, Vec<RecordBatch>), Failure> {
        let announced = SchemaRef::new(info.clone().try_decode_schema().map_err(Failure::new)?);
        let mut batches = Vec::new();
        for endpoint in info.endpoint {
            let ticket = endpoint
                .ticket
                .ok_or_else(|| Failure::new("an endpoint has no ticket"))?;
            let stream = self.client.do_get(ticket).await.map_err(Failure::of_node)?;
            let found: Vec<RecordBatch> = stream.try_collect().await.map_err(Failure::of_node)?;
            batches.extend(found);
        }
        if batches.iter().any(|batch| *batch.schema() != *announced) {
            return Err(Failure::new(
                "the rows have another schema than the one that was announced",
            ));
        }
        Ok((announced, batches))
    }

    /// The values of a list of expressions.
    async fn values(&mut self, list: &str) -> Result<RecordBatch, Failure> {
        let info = self
            .client
            .execute(format!("SELECT {list}"), None)
            .await
            .map_err(Failure::of_node)?;
        let (schema, batches) = self.fetch(info).await?;
        arrow::compute::concat_batches(&schema, &batches).map_err(Failure::new)
    }

    async fn answer(&mut self, sql: &str) -> Result<DBOutput<ColumnKind>, Failure> {
        let first = sql.split_whitespace().next().unwrap_or_default().to_lowercase();
        let is_update = UPDATES.contains(&first.as_str());
        let info = match sql.rsplit_once(PARAMETERS) {
            Some((sql, list)) => {
                let values = self.values(list.trim_end().trim_end_matches(';')).await?;
                let mut prepared = self
                    .client
                    .prepare(sql.to_owned(), None)
                    .await
                    .map_err(Failure::of_node)?;
                prepared.set_parameters(values).map_err(Failure::of_node)?;
                if is_update {
                    let count = prepared.execute_update().await.map_err(Failure::of_node)?;
                    return Ok(DBOutput::StatementComplete(u64::try_from(count).unwrap_or(0)));
                }
                prepared.execute().await.map_err(Failure::of_node)?
            }
            None if is_update => {
                let count = self
                    .client
                    .execute_update(sql.to_owned(), None)
                    .await
                    .map_err(Failure::of_node)?;
                return Ok(DBOutput::StatementComplete(u64::try_from(count).unwrap_or(0)));
            }
            None => self
                .client
                .execute(sql.to_owned(), None)
                .await
                .map_err(Failure::of_node)?,
        };
        let (schema, batches) = self.fetch(info).await?;
        Ok(DBOutput::Rows {
            types: schema
                .fields()
                .iter()
                .map(|field| ColumnKind::of(field.data_type()))
                .collect(),
            rows: rows(&batches).map_err(Failure::new)?,
        })
    }
}

#[async_trait::async_trait]
impl AsyncDB for Session {
    type Error = Failure;
    type ColumnType = ColumnKind;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<ColumnKind>, Failure> {
        self.answer(sql).await
    }

    async fn shutdown(&mut self) {}
}

/// What went wrong: of the node's errors code and message, such as `NotFound: there is no dataset ...`.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }

    fn of_node(error: impl Into<FlightError>) -> Self {
        match error.into() {
            FlightError::Tonic(status) => Self(format!("{:?}: {}", status.code(), status.message())),
            other => Self::new(other),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
