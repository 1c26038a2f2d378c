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
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightDescriptor, FlightInfo, PollInfo, PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use jetway_planner::BatchStream;
use prost::Message;

use crate::call::{Answers, Call};
use crate::decode::Upload;
use crate::encode::{StreamMessage, encode_stream};
use crate::session::actions as session;
use crate::wire::schema_bytes;
use crate::{Error, Result};

mod acknowledge;
mod actions;
mod cancel;
mod catalogs;
mod db_schemas;
mod endpoints;
mod info;
mod ingest;
mod keys;
mod not_offered;
mod paths;
mod pattern;
mod poll;
mod prepared;
mod proof;
mod renew;
mod sql_info;
mod statement;
mod substrait;
mod table_types;
mod tables;
#[cfg(test)]
mod tests;
mod transaction;
mod update;
mod xdbc_type_info;

/// A command that is answered with rows.
enum Query {
    /// SQL or a Substrait plan, and the transaction that it is part of.
    Statement(jetway_planner::Query, Option<Bytes>),
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
            Command::CommandStatementQuery(command) => {
                Self::Statement(jetway_planner::Query::Sql(command.query), command.transaction_id)
            }
            Command::CommandStatementSubstraitPlan(command) => {
                Self::Statement(substrait::query(command.plan)?, command.transaction_id)
            }
            Command::CommandPreparedStatementQuery(command) => Self::Prepared(command),
            other => Self::Listing(Listing::from_command(other)?),
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Statement(jetway_planner::Query::Sql(_), _) => "StatementQuery",
            Self::Statement(jetway_planner::Query::Substrait(_), _) => "StatementSubstraitPlan",
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
                let node = sql_info::Node {
                    options: &call.shared.options,
                    functions: planner.functions(),
                    reserved: planner.reserved_words(),
                    transactions: planner.has_transactions(),
                };
                sql_info::rows(node, &command).map(one_batch)
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
        if descriptor.r#type() == DescriptorType::Path {
            call.named("Path");
            let request = call.plan_request(paths::query(&descriptor.path)?);
            return statement::plan_flight(&call, request, descriptor).await;
        }
        let query = Query::from_command(described(&descriptor)?)?;
        call.named(query.name());
        match query {
            Query::Statement(query, transaction) => {
                statement::flight_info(&call, query, transaction.as_ref(), descriptor).await
            }
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
        if descriptor.r#type() == DescriptorType::Path {
            call.named("Path");
            let request = call.plan_request(paths::query(&descriptor.path)?);
            let schema = statement::schema_of(&call, request).await?;
            return Ok(SchemaResult {
                schema: schema_bytes(&schema)?,
            });
        }
        let query = Query::from_command(described(&descriptor)?)?;
        call.named(query.name());
        let schema = match query {
            Query::Statement(query, transaction) => statement::schema(&call, query, transaction.as_ref()).await?,
            Query::Prepared(command) => prepared::schema(&call, &command).await?,
            Query::Listing(listing) => listing.schema(),
        };
        Ok(SchemaResult {
            schema: schema_bytes(&schema)?,
        })
    })
}

/// PollFlightInfo.
pub(crate) fn poll(call: Call, descriptor: FlightDescriptor) -> BoxFuture<'static, Result<PollInfo>> {
    Box::pin(async move {
        let command = described(&descriptor)?;
        if let Some(handle) = poll::handle(&command) {
            call.named("StatementQuery");
            return poll::go_on(&call, handle, descriptor).await;
        }
        let query = Query::from_command(command)?;
        call.named(query.name());
        let request = match query {
            Query::Statement(query, transaction) => {
                transaction::within(&call, transaction.as_ref())?.plan_request(query)
            }
            Query::Prepared(command) => prepared::request(&call, &command.prepared_statement_handle)?,
            Query::Listing(listing) => {
                let ticket = descriptor.cmd.clone();
                return Ok(PollInfo {
                    info: Some(info::flight_info(&listing.schema(), descriptor, ticket, None)?),
                    progress: Some(1.0),
                    ..PollInfo::default()
                });
            }
        };
        let planned = statement::ready(&call, request).await?;
        poll::start(&call, planned, descriptor).await
    })
}

/// ListFlights.
pub(crate) fn list_flights(call: Call, criteria: Criteria) -> BoxFuture<'static, Result<Answers<FlightInfo>>> {
    call.named("ListFlights");
    Box::pin(paths::list(call, criteria))
}

/// DoGet.
pub(crate) fn get(call: Call, ticket: Ticket) -> BoxFuture<'static, Result<Answers<StreamMessage>>> {
    Box::pin(async move {
        let wrong = "this is no ticket of this node: call GetFlightInfo with the command, then DoGet with the ticket of its endpoint";
        let command = decode_any(&ticket.ticket).map_err(|_| Error::invalid_argument(wrong))?;
        let (schema, rows, profile) = match command {
            Command::TicketStatementQuery(ticket) => {
                call.named("StatementQuery");
                let messages = statement::fetch(&call, &ticket.statement_handle).await?;
                return Ok(call.answers(messages));
            }
            Command::CommandStatementQuery(_)
            | Command::CommandStatementSubstraitPlan(_)
            | Command::CommandPreparedStatementQuery(_) => {
                return Err(Error::invalid_argument(wrong));
            }
            other => {
                let listing = Listing::from_command(other)?;
                call.named(listing.name());
                (listing.schema(), listing.rows(&call).await?, call.profile)
            }
        };
        let options = &call.shared.options;
        Ok(call.answers(encode_stream(
            schema,
            rows,
            profile,
            options.messages,
            options.stream_times(),
            None,
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
                call.check_account()?;
                return ingest::run(&call, command, first, upload).await;
            }
            Command::CommandStatementUpdate(command) => {
                call.named("StatementUpdate");
                call.check_account()?;
                update::statement(&call, &command).await?
            }
            Command::CommandPreparedStatementUpdate(command) => {
                call.named("PreparedStatementUpdate");
                call.check_account()?;
                prepared::run_update(&call, &command, first, upload).await?
            }
            Command::CommandPreparedStatementQuery(command) => {
                call.named("PreparedStatementQuery");
                prepared::bind(&call, command, first, upload).await?
            }
            other => return Err(not_offered::command(&other)),
        };
        Ok(one(result))
    })
}

/// An answer of one message.
fn one(result: PutResult) -> Answers<PutResult> {
    stream::once(std::future::ready(Ok(result))).boxed()
}

/// DoAction.
pub(crate) fn action(call: Call, action: Action) -> BoxFuture<'static, Result<Answers<arrow_flight::Result>>> {
    Box::pin(async move {
        let body = match action.r#type.as_str() {
            actions::CREATE_PREPARED_STATEMENT => {
                call.named(actions::CREATE_PREPARED_STATEMENT);
                match decode_any(&action.body)? {
                    Command::ActionCreatePreparedStatementRequest(request) => {
                        Some(prepared::create(&call, request).await?)
                    }
                    other => return Err(wrong_body(&action.r#type, &other)),
                }
            }
            actions::CREATE_PREPARED_SUBSTRAIT_PLAN => {
                call.named(actions::CREATE_PREPARED_SUBSTRAIT_PLAN);
                match decode_any(&action.body)? {
                    Command::ActionCreatePreparedSubstraitPlanRequest(request) => {
                        Some(prepared::create_plan(&call, request).await?)
                    }
                    other => return Err(wrong_body(&action.r#type, &other)),
                }
            }
            actions::CLOSE_PREPARED_STATEMENT => {
                call.named(actions::CLOSE_PREPARED_STATEMENT);
                match decode_any(&action.body)? {
                    Command::ActionClosePreparedStatementRequest(request) => {
                        prepared::close(&call, &request);
                        None
                    }
                    other => return Err(wrong_body(&action.r#type, &other)),
                }
            }
            actions::KILL_QUERY => {
                call.named("KillQuery");
                call.check_account()?;
                Some(kill_query(&call, &action.body)?)
            }
            actions::IDENTITY => {
                call.named("Identity");
                Some(proof::identity(&call)?)
            }
            actions::VERIFY => {
                call.named("Verify");
                Some(proof::verify(&call, &action).await?)
            }
            session::SET => {
                call.named(session::SET);
                Some(session::set(&call, &action.body)?)
            }
            session::GET => {
                call.named(session::GET);
                Some(session::get(&call))
            }
            session::CLOSE => {
                call.named(session::CLOSE);
                Some(session::close(&call)?)
            }
            actions::CANCEL_FLIGHT_INFO => {
                call.named(actions::CANCEL_FLIGHT_INFO);
                call.check_account()?;
                Some(cancel::flight_info(&call, &action.body)?)
            }
            actions::CANCEL_QUERY => {
                call.named(actions::CANCEL_QUERY);
                call.check_account()?;
                match decode_any(&action.body)? {
                    Command::ActionCancelQueryRequest(request) => Some(cancel::query(&call, &request)?),
                    other => return Err(wrong_body(&action.r#type, &other)),
                }
            }
            actions::RENEW_FLIGHT_ENDPOINT => {
                call.named(actions::RENEW_FLIGHT_ENDPOINT);
                Some(renew::run(&call, &action.body)?)
            }
            actions::BEGIN_TRANSACTION => {
                call.named(actions::BEGIN_TRANSACTION);
                call.check_account()?;
                match decode_any(&action.body)? {
                    Command::ActionBeginTransactionRequest(_) => Some(transaction::begin(&call)?),
                    other => return Err(wrong_body(&action.r#type, &other)),
                }
            }
            actions::END_TRANSACTION => {
                call.named(actions::END_TRANSACTION);
                call.check_account()?;
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
            "the body of {} must be the id of a query, as system.queries shows it",
            actions::KILL_QUERY
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
    std::future::ready(Ok(stream::iter(actions::offered().map(Ok)).boxed())).boxed()
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
            "a descriptor with a path can be read with GetFlightInfo only: add rows with CommandStatementIngest, as \
             adbc_ingest() does",
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
