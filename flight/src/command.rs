//! The commands of Flight SQL: which file answers which.
//!
//! A new command is a file in this folder and an arm in one of the matches below.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{
    Any, Command, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTables, CommandGetXdbcTypeInfo, CommandPreparedStatementQuery,
    CommandStatementQuery,
};
use arrow_flight::{Action, ActionType, Empty, FlightDescriptor, FlightInfo, PutResult, SchemaResult, Ticket};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use jetway_planner::BatchStream;
use prost::Message;

use crate::call::{Answers, Call};
use crate::decode::Upload;
use crate::encode::{StreamMessage, encode_stream};
use crate::session::actions;
use crate::wire::schema_bytes;
use crate::{Error, Result};

mod catalogs;
mod db_schemas;
mod info;
mod ingest;
mod keys;
mod not_offered;
mod pattern;
mod prepared;
mod sql_info;
mod statement;
mod table_types;
mod tables;
#[cfg(test)]
mod tests;
mod transaction;
mod update;
mod xdbc_type_info;

const CREATE_PREPARED_STATEMENT: &str = "CreatePreparedStatement";
const KILL_QUERY: &str = "jetway.KillQuery";
const CLOSE_PREPARED_STATEMENT: &str = "ClosePreparedStatement";
const BEGIN_TRANSACTION: &str = "BeginTransaction";
const END_TRANSACTION: &str = "EndTransaction";

/// A command that is answered with rows.
enum Query {
    Statement(CommandStatementQuery),
    Prepared(CommandPreparedStatementQuery),
    Listing(Listing),
}

/// A command about the catalog or the node. Its ticket is the command itself: it holds no secret, and each call is
/// authenticated.
enum Listing {
    Catalogs,
    DbSchemas(CommandGetDbSchemas),
    Tables(CommandGetTables),
    TableTypes,
    SqlInfo(CommandGetSqlInfo),
    XdbcTypeInfo(CommandGetXdbcTypeInfo),
    PrimaryKeys(CommandGetPrimaryKeys),
    ExportedKeys(CommandGetExportedKeys),
    ImportedKeys(CommandGetImportedKeys),
    CrossReference(CommandGetCrossReference),
}

impl Query {
    fn from_command(command: Command) -> Result<Self> {
        Ok(match command {
            Command::CommandStatementQuery(command) => Self::Statement(command),
            Command::CommandPreparedStatementQuery(command) => Self::Prepared(command),
            other => Self::Listing(Listing::from_command(other)?),
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Statement(_) => "StatementQuery",
            Self::Prepared(_) => "PreparedStatementQuery",
            Self::Listing(listing) => listing.name(),
        }
    }
}

impl Listing {
    fn from_command(command: Command) -> Result<Self> {
        Ok(match command {
            Command::CommandGetCatalogs(_) => Self::Catalogs,
            Command::CommandGetDbSchemas(command) => Self::DbSchemas(command),
            Command::CommandGetTables(command) => Self::Tables(command),
            Command::CommandGetTableTypes(_) => Self::TableTypes,
            Command::CommandGetSqlInfo(command) => Self::SqlInfo(command),
            Command::CommandGetXdbcTypeInfo(command) => Self::XdbcTypeInfo(command),
            Command::CommandGetPrimaryKeys(command) => Self::PrimaryKeys(command),
            Command::CommandGetExportedKeys(command) => Self::ExportedKeys(command),
            Command::CommandGetImportedKeys(command) => Self::ImportedKeys(command),
            Command::CommandGetCrossReference(command) => Self::CrossReference(command),
            other => return Err(not_offered::command(&other)),
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Catalogs => "GetCatalogs",
            Self::DbSchemas(_) => "GetDbSchemas",
            Self::Tables(_) => "GetTables",
            Self::TableTypes => "GetTableTypes",
            Self::SqlInfo(_) => "GetSqlInfo",
            Self::XdbcTypeInfo(_) => "GetXdbcTypeInfo",
            Self::PrimaryKeys(_) => "GetPrimaryKeys",
            Self::ExportedKeys(_) => "GetExportedKeys",
            Self::ImportedKeys(_) => "GetImportedKeys",
            Self::CrossReference(_) => "GetCrossReference",
        }
    }

    fn schema(&self) -> SchemaRef {
        match self {
            Self::Catalogs => catalogs::schema(),
            Self::DbSchemas(_) => db_schemas::schema(),
            Self::Tables(command) => tables::schema(command.include_schema),
            Self::TableTypes => table_types::schema(),
            Self::SqlInfo(_) => sql_info::schema(),
            Self::XdbcTypeInfo(_) => xdbc_type_info::schema(),
            Self::PrimaryKeys(_) => keys::primary_schema(),
            Self::ExportedKeys(_) | Self::ImportedKeys(_) | Self::CrossReference(_) => keys::foreign_schema(),
        }
    }

    async fn rows(self, call: &Call) -> Result<BatchStream> {
        match self {
            Self::Catalogs => catalogs::rows().map(one_batch),
            Self::DbSchemas(command) => db_schemas::rows(call, command).await.map(one_batch),
            Self::Tables(command) => tables::rows(call, command),
            Self::TableTypes => table_types::rows().map(one_batch),
            Self::SqlInfo(command) => {
                let planner = &call.shared.planner;
                let (functions, reserved) = (planner.functions(), planner.reserved_words());
                sql_info::rows(&call.shared.options, functions, reserved, &command).map(one_batch)
            }
            Self::XdbcTypeInfo(command) => xdbc_type_info::rows(&command).map(one_batch),
            Self::PrimaryKeys(command) => keys::primary(call, command).await.map(one_batch),
            Self::ExportedKeys(command) => keys::exported(call, command).await.map(one_batch),
            Self::ImportedKeys(command) => keys::imported(call, command).await.map(one_batch),
            Self::CrossReference(command) => keys::cross_reference(call, command).await.map(one_batch),
        }
    }
}

/// GetFlightInfo.
pub(crate) fn flight_info(call: Call, descriptor: FlightDescriptor) -> BoxFuture<'static, Result<FlightInfo>> {
    Box::pin(async move {
        let query = Query::from_command(described(&descriptor)?)?;
        call.named(query.name());
        match query {
            Query::Statement(command) => statement::flight_info(&call, command, descriptor).await,
            Query::Prepared(command) => prepared::flight_info(&call, &command, descriptor).await,
            Query::Listing(listing) => {
                let ticket = descriptor.cmd.clone();
                info::flight_info(&listing.schema(), descriptor, ticket, None)
            }
        }
    })
}

/// GetSchema: the schema that GetFlightInfo would announce.
pub(crate) fn schema(call: Call, descriptor: FlightDescriptor) -> BoxFuture<'static, Result<SchemaResult>> {
    Box::pin(async move {
        let query = Query::from_command(described(&descriptor)?)?;
        call.named(query.name());
        let schema = match query {
            Query::Statement(command) => statement::schema(&call, command).await?,
            Query::Prepared(command) => prepared::schema(&call, &command).await?,
            Query::Listing(listing) => listing.schema(),
        };
        Ok(SchemaResult {
            schema: schema_bytes(&schema)?,
        })
    })
}

/// DoGet.
pub(crate) fn get(call: Call, ticket: Ticket) -> BoxFuture<'static, Result<Answers<StreamMessage>>> {
    Box::pin(async move {
        let wrong = "this is no ticket of this node: call GetFlightInfo with the command, then DoGet with the ticket of its endpoint";
        let command = decode_any(&ticket.ticket).map_err(|_| Error::invalid_argument(wrong))?;
        let (schema, rows, profile, meter) = match command {
            Command::TicketStatementQuery(ticket) => {
                call.named("StatementQuery");
                let fetched = statement::fetch(&call, &ticket.statement_handle).await?;
                (fetched.schema, fetched.rows, fetched.profile, Some(fetched.meter))
            }
            Command::CommandStatementQuery(_) | Command::CommandPreparedStatementQuery(_) => {
                return Err(Error::invalid_argument(wrong));
            }
            other => {
                let listing = Listing::from_command(other)?;
                call.named(listing.name());
                (listing.schema(), listing.rows(&call).await?, call.profile, None)
            }
        };
        let options = &call.shared.options;
        Ok(call.answers(encode_stream(
            schema,
            rows,
            profile,
            options.messages,
            options.stream_times(),
            meter,
        )))
    })
}

/// DoPut.
pub(crate) fn put(call: Call, mut upload: Upload) -> BoxFuture<'static, Result<Answers<PutResult>>> {
    Box::pin(async move {
        let mut first = match upload.next().await {
            Some(Ok(first)) => first,
            Some(Err(status)) => {
                return Err(Error::invalid_argument("the upload has no first message").with_source(status));
            }
            None => {
                return Err(Error::invalid_argument(
                    "the upload is empty: its first message must name the command (a client that has no batches may send nothing at all: send one without rows)",
                ));
            }
        };
        let Some(descriptor) = first.flight_descriptor.take() else {
            return Err(Error::invalid_argument(
                "the first message of an upload must carry a descriptor; Flight SQL clients put CommandStatementIngest there, \
                 for example through adbc_ingest()",
            ));
        };
        let result = match described(&descriptor)? {
            Command::CommandStatementIngest(command) => {
                call.named("StatementIngest");
                ingest::run(&call, command, first, upload).await?
            }
            Command::CommandStatementUpdate(command) => {
                call.named("StatementUpdate");
                update::statement(&call, &command).await?
            }
            Command::CommandPreparedStatementUpdate(command) => {
                call.named("PreparedStatementUpdate");
                prepared::run_update(&call, &command, first, upload).await?
            }
            Command::CommandPreparedStatementQuery(command) => {
                call.named("PreparedStatementQuery");
                prepared::bind(&call, command, first, upload).await?
            }
            other => return Err(not_offered::command(&other)),
        };
        Ok(stream::once(std::future::ready(Ok(result))).boxed())
    })
}

/// DoAction.
pub(crate) fn action(call: Call, action: Action) -> BoxFuture<'static, Result<Answers<arrow_flight::Result>>> {
    Box::pin(async move {
        let body = match action.r#type.as_str() {
            CREATE_PREPARED_STATEMENT => {
                call.named(CREATE_PREPARED_STATEMENT);
                match decode_any(&action.body)? {
                    Command::ActionCreatePreparedStatementRequest(request) => {
                        Some(prepared::create(&call, request).await?)
                    }
                    other => return Err(wrong_body(&action.r#type, &other)),
                }
            }
            CLOSE_PREPARED_STATEMENT => {
                call.named(CLOSE_PREPARED_STATEMENT);
                match decode_any(&action.body)? {
                    Command::ActionClosePreparedStatementRequest(request) => {
                        prepared::close(&call, &request);
                        None
                    }
                    other => return Err(wrong_body(&action.r#type, &other)),
                }
            }
            KILL_QUERY => {
                call.named("KillQuery");
                Some(kill_query(&call, &action.body)?)
            }
            actions::SET => {
                call.named(actions::SET);
                Some(actions::set(&call, &action.body)?)
            }
            actions::GET => {
                call.named(actions::GET);
                Some(actions::get(&call))
            }
            actions::CLOSE => {
                call.named(actions::CLOSE);
                Some(actions::close(&call)?)
            }
            BEGIN_TRANSACTION => {
                call.named(BEGIN_TRANSACTION);
                match decode_any(&action.body)? {
                    Command::ActionBeginTransactionRequest(_) => Some(transaction::begin(&call)?),
                    other => return Err(wrong_body(&action.r#type, &other)),
                }
            }
            END_TRANSACTION => {
                call.named(END_TRANSACTION);
                match decode_any(&action.body)? {
                    Command::ActionEndTransactionRequest(request) => {
                        transaction::end(&call, &request).await?;
                        None
                    }
                    other => return Err(wrong_body(&action.r#type, &other)),
                }
            }
            other => return Err(not_offered::action(other)),
        };
        Ok(stream::iter(body.map(|body| Ok(arrow_flight::Result { body }))).boxed())
    })
}

/// Stops a query by its identity as text; answers whether it was running.
fn kill_query(call: &Call, body: &Bytes) -> Result<Bytes> {
    let id = std::str::from_utf8(body).ok().and_then(|text| text.trim().parse().ok());
    let id = id.ok_or_else(|| {
        Error::invalid_argument(format!(
            "the body of {KILL_QUERY} must be the id of a query, as system.queries shows it"
        ))
    })?;
    let stopped = call.shared.queries.cancel(id, &call.subject)?;
    Ok(Bytes::from_static(if stopped { b"stopped" } else { b"not running" }))
}

/// ListActions.
#[expect(
    clippy::needless_pass_by_value,
    reason = "all methods have the shape that serve() takes"
)]
pub(crate) fn list_actions(call: Call, _: Empty) -> BoxFuture<'static, Result<Answers<ActionType>>> {
    call.named("ListActions");
    let types = [
        (
            CREATE_PREPARED_STATEMENT,
            "Plans an SQL statement; gives its handle and schema.",
        ),
        (CLOSE_PREPARED_STATEMENT, "Forgets a prepared statement."),
        (
            KILL_QUERY,
            "Stops a query; the body is its id as system.queries shows it.",
        ),
        (
            actions::SET,
            "Sets options of the session, which is a cookie of the answer.",
        ),
        (actions::GET, "Tells the options that apply to calls."),
        (actions::CLOSE, "Ends the session."),
        (
            BEGIN_TRANSACTION,
            "Begins a transaction: what is ingested and inserted in it waits for its end.",
        ),
        (
            END_TRANSACTION,
            "Commits a transaction, each dataset in one step, or rolls it back.",
        ),
    ]
    .map(|(name, description)| {
        Ok(ActionType {
            r#type: name.to_owned(),
            description: description.to_owned(),
        })
    });
    std::future::ready(Ok(stream::iter(types).boxed())).boxed()
}

/// A method of Flight that this gateway does not offer.
pub(crate) fn not_offered<T: Send + 'static>(method: &'static str) -> BoxFuture<'static, Result<T>> {
    std::future::ready(Err(not_offered::method(method))).boxed()
}

/// The command that a descriptor holds.
fn described(descriptor: &FlightDescriptor) -> Result<Command> {
    match descriptor.r#type() {
        DescriptorType::Cmd if !descriptor.cmd.is_empty() => decode_any(&descriptor.cmd),
        DescriptorType::Cmd => Err(Error::invalid_argument(
            "the descriptor's command is empty: send a Flight SQL command, such as CommandStatementQuery with the SQL text",
        )),
        DescriptorType::Path => Err(Error::invalid_argument(
            "descriptors with a path are not used here: read a dataset with CommandStatementQuery (SELECT * FROM ...), and \
             add rows to it with CommandStatementIngest, as adbc_ingest() does",
        )),
        DescriptorType::Unknown => Err(Error::invalid_argument(
            "the descriptor has no type: send a command descriptor with a Flight SQL command",
        )),
    }
}

/// The command in a `google.protobuf.Any`.
fn decode_any(bytes: &Bytes) -> Result<Command> {
    let any = Any::decode(bytes.clone()).ok().filter(|any| any.type_url.contains('/')).ok_or_else(|| {
        Error::invalid_argument(
            "this is no Flight SQL command. Plain SQL text is not accepted as a command: use a Flight SQL client (ADBC, JDBC, \
             ODBC), or wrap the text in a CommandStatementQuery inside of a google.protobuf.Any",
        )
    })?;
    Command::try_from(any)
        .map_err(|error| Error::invalid_argument("the Flight SQL command cannot be decoded").with_source(error))
}

fn wrong_body(action: &str, command: &Command) -> Error {
    Error::invalid_argument(format!("the body of the action {action} is a {}", command.type_url()))
}

fn one_batch(batch: RecordBatch) -> BatchStream {
    BatchStream::new(batch.schema(), stream::iter([Ok(batch)]))
}

/// A batch of columns that were made for the schema.
fn batch(schema: SchemaRef, columns: Vec<Arc<dyn arrow::array::Array>>) -> Result<RecordBatch> {
    RecordBatch::try_new(schema, columns)
        .map_err(|error| Error::internal("a listing does not fit its schema").with_source(error))
}
