//! What runs the queries: the node, and its peers as their users run them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};
use std::time::Instant;

use anyhow::{Context, Result};
use arrow_flight::sql::client::FlightSqlServiceClient;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use futures::StreamExt;
use serde::Deserialize;
use tonic::transport::Channel;

use crate::environment::Environment;
use crate::node::Node;
use crate::peers::Server;
use crate::python;
use crate::short::{ask, connect};

/// An engine that has the tables.
pub(super) enum Engine {
    /// The node under measurement.
    Node(Box<FlightSqlServiceClient<Channel>>),
    /// Another Flight SQL server.
    Server(Server, Box<FlightSqlServiceClient<Channel>>),
    /// DataFusion in this process, with its default settings.
    DataFusion(SessionContext),
    /// DuckDB in a process of its own, with its default settings.
    DuckDb(Duck),
}

impl Engine {
    pub(super) async fn node(node: &Node) -> Result<Self> {
        let mut client = connect(&node.uri, Some(&node.token)).await?;
        // Every run computes its answer.
        client.set_header("jetway-spool", "never");
        Ok(Self::Node(Box::new(client)))
    }

    pub(super) async fn datafusion(folder: &Path, tables: &[&str]) -> Result<Self> {
        let context = SessionContext::new();
        for table in tables {
            let path = folder.join(table);
            let options = ParquetReadOptions::default();
            context
                .register_parquet(*table, &path.to_string_lossy(), options)
                .await?;
        }
        Ok(Self::DataFusion(context))
    }

    pub(super) async fn duckdb(environment: &Environment, folder: &Path, tables: &[&str]) -> Result<Self> {
        let mut duck = Duck::start(environment)?;
        for table in tables {
            let files = folder.join(table).join("*.parquet");
            duck.ask(&format!("CREATE VIEW {table} AS FROM '{}'", files.display()))?;
        }
        Ok(Self::DuckDb(duck))
    }

    pub(super) async fn roapi(environment: &Environment, folder: &Path, tables: &[&str]) -> Result<Self> {
        let server = Server::roapi_over_files(environment, folder, tables)?;
        let client = connect(&server.uri, None).await?;
        Ok(Self::Server(server, Box::new(client)))
    }

    pub(super) async fn sail(environment: &Environment, folder: &Path, tables: &[&str]) -> Result<Self> {
        let server = Server::sail_alone(environment)?;
        let mut client = connect(&server.uri, None).await?;
        for table in tables {
            let path = folder.join(table);
            let create = format!("CREATE TABLE {table} USING parquet LOCATION '{}'", path.display());
            ask(&mut client, create).await?;
        }
        Ok(Self::Server(server, Box::new(client)))
    }

    /// Name and version.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Node(_) => "Jetway",
            Self::Server(server, _) => server.name,
            Self::DataFusion(_) => "DataFusion 55 in process",
            Self::DuckDb(_) => "DuckDB 2.0.1 in process",
        }
    }

    pub(super) fn is_peer(&self) -> bool {
        !matches!(self, Self::Node(_))
    }

    /// Runs a statement; seconds until its last row was there, and how many rows there are.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<(f64, usize)> {
        let start = Instant::now();
        let rows = match self {
            Self::Node(client) | Self::Server(_, client) => ask(client, sql.to_owned()).await?,
            Self::DataFusion(context) => {
                let mut batches = context.sql(sql).await?.execute_stream().await?;
                let mut rows = 0;
                while let Some(batch) = batches.next().await {
                    rows += batch?.num_rows();
                }
                rows
            }
            Self::DuckDb(duck) => {
                let answer = duck.ask(sql)?;
                return Ok((answer.seconds, answer.rows));
            }
        };
        Ok((start.elapsed().as_secs_f64(), rows))
    }
}

/// A process that runs statements one after the other. It ends when this is dropped.
pub(super) struct Duck {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    rows: usize,
}

impl Duck {
    fn start(environment: &Environment) -> Result<Self> {
        let mut child = python::duck(environment)?;
        Ok(Self {
            input: child.stdin.take().context("DuckDB has no input")?,
            output: BufReader::new(child.stdout.take().context("DuckDB has no output")?),
            child,
        })
    }

    fn ask(&mut self, sql: &str) -> Result<Answer> {
        writeln!(self.input, "{}", serde_json::to_string(sql)?)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).context("DuckDB gave no answer")
    }
}

impl Drop for Duck {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
