//! Many clients that push small batches to one dataset at the same time.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementIngest, TableDefinitionOptions};
use futures::stream;
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

use crate::environment::Environment;
use crate::node::Node;
use crate::python::percentile;
use crate::report::Report;

const CLIENTS: usize = 64;
const PUSHES: usize = 50;
const ROWS: i64 = 1000;

pub(crate) async fn run(environment: &Environment, report: &mut Report) -> Result<()> {
    let node = Node::start(environment)?;
    let (alone, _) = push_from(&node, "alone", 1, PUSHES * 4).await?;
    let (seconds, latencies) = push_from(&node, "together", CLIENTS, PUSHES).await?;
    let pushes = CLIENTS * PUSHES;
    let rate = pushes as f64 / seconds;
    let alone = (PUSHES * 4) as f64 / alone;
    let blocks = blocks_of_busiest(&node)?;
    report.add(
        format!("{CLIENTS} clients pushing batches of {ROWS} rows to one dataset"),
        format!(
            "{rate:.0} batches/s, p50 {:.0} ms, p99 {:.0} ms",
            1e3 * percentile(&latencies, 0.5),
            1e3 * percentile(&latencies, 0.99)
        ),
        format!(
            "{:.1} times one client alone ({alone:.0} batches/s), every batch durable before its acknowledgement",
            rate / alone
        ),
        "",
    );
    report.add(
        "blocks made by them",
        format!("{blocks} blocks for {pushes} batches"),
        format!("{:.1} batches a block", pushes as f64 / blocks as f64),
        "far fewer blocks than batches",
    );
    Ok(())
}

/// Seconds for all clients together, and the time that each push took.
async fn push_from(node: &Node, table: &'static str, clients: usize, pushes: usize) -> Result<(f64, Vec<f64>)> {
    push(&mut connect(node).await?, table, 0).await?;
    let mut tasks = JoinSet::new();
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(connect(node).await?);
    }
    let start = Instant::now();
    for (client, mut connection) in connections.into_iter().enumerate() {
        tasks.spawn(async move {
            let mut latencies = Vec::with_capacity(pushes);
            for number in 0..pushes {
                let start = Instant::now();
                push(&mut connection, table, ((client * pushes + number) as i64 + 1) * ROWS).await?;
                latencies.push(start.elapsed().as_secs_f64());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    Ok((start.elapsed().as_secs_f64(), latencies))
}

type Client = FlightSqlServiceClient<tonic::transport::Channel>;

async fn connect(node: &Node) -> Result<Client> {
    let address = node.uri.replace("grpc://", "http://");
    let mut client = FlightSqlServiceClient::new(Endpoint::from_shared(address)?.connect().await?);
    client.set_token(node.token.clone());
    Ok(client)
}

async fn push(client: &mut Client, table: &str, first: i64) -> Result<()> {
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: 1,
            if_exists: 2,
        }),
        table: table.to_owned(),
        ..CommandStatementIngest::default()
    };
    let rows = client
        .execute_ingest(command, stream::iter([Ok(batch(first)?)]))
        .await?;
    anyhow::ensure!(rows == ROWS, "{rows} rows were acknowledged");
    Ok(())
}

fn batch(first: i64) -> Result<RecordBatch> {
    let names: Vec<String> = (first..first + ROWS)
        .map(|number| format!("sensor {}", number % 97))
        .collect();
    let readings: Vec<f64> = (first..first + ROWS).map(|number| (number as f64).sqrt()).collect();
    Ok(RecordBatch::try_from_iter([
        (
            "id",
            Arc::new(Int64Array::from_iter_values(first..first + ROWS)) as ArrayRef,
        ),
        ("sensor", Arc::new(StringArray::from(names)) as ArrayRef),
        ("reading", Arc::new(Float64Array::from(readings)) as ArrayRef),
    ])?)
}

fn blocks_of_busiest(node: &Node) -> Result<usize> {
    let mut most = 0;
    let mut largest = 0;
    for dataset in node.datasets()? {
        let size: u64 = std::fs::read_dir(dataset.join("data"))?
            .map(|entry| Ok(entry?.metadata()?.len()))
            .sum::<std::io::Result<u64>>()?;
        if size > largest {
            largest = size;
            most = std::fs::read_dir(dataset.join("blocks"))?.count();
        }
    }
    (most > 0).then_some(most).context("no dataset was made")
}
