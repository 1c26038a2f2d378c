//! Far more clients with hungry statements than the node has memory for: every answer is right or a clear refusal, the node
//! lives, stays within its memory, and goes on to tell about its catalog at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arrow::util::pretty::pretty_format_batches;
use arrow_flight::error::FlightError;
use arrow_flight::sql::CommandGetTables;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::environment::Environment;
use crate::node::Node;
use crate::python::percentile;
use crate::report::Report;
use crate::short::connect;

/// Memory that statements share.
const MEMORY_MIB: f64 = 2048.0;

/// What the node itself may have on top, as a part of that.
const ALLOWANCE: f64 = 1.25;

/// Rows of the large table.
const ROWS: usize = 2_000_000;

/// How long the node may take to give memory back.
const SETTLING: Duration = Duration::from_secs(10);

/// Statements that join, sort and group most of the table.
const STATEMENTS: [&str; 5] = [
    "SELECT count(*) AS n, sum(a.amount) AS s, max(b.note) AS m FROM lines a JOIN lines b ON a.line = b.line",
    "SELECT sum(place * line % 1000) AS s FROM (SELECT line, row_number() OVER (ORDER BY note, line) AS place FROM lines)",
    "SELECT count(*) AS n, sum(c) AS s FROM (SELECT note, count(*) AS c, max(amount) AS m FROM lines GROUP BY note)",
    "SELECT line, note FROM lines ORDER BY shuffled LIMIT 50000",
    "SELECT count(*) AS n FROM (SELECT DISTINCT note, amount FROM lines)",
];

type Client = FlightSqlServiceClient<Channel>;

/// How the statements of all clients ended: right ones, and refusals by their code.
type Endings = Arc<Mutex<BTreeMap<String, usize>>>;

pub(crate) async fn run(environment: &Environment, clients: usize, seconds: u64, report: &mut Report) -> Result<()> {
    let limit = format!("{MEMORY_MIB}MiB");
    let node = Node::start_with(environment, &[("JETWAY_QUERY__MEMORY_LIMIT", limit.as_str())])?;
    let mut client = connect(&node.uri, Some(&node.token)).await?;
    make(&mut client).await?;
    let mut right = Vec::new();
    for statement in STATEMENTS {
        right.push(
            answer(&mut client, statement)
                .await
                .with_context(|| format!("alone: {statement}"))?,
        );
    }
    let right = Arc::new(right);
    // What a node keeps once it was busy is no leak.
    load(&node, &right, clients.min(16), Duration::from_secs(10)).await?;
    tokio::time::sleep(SETTLING).await;
    let before = node.memory()?;
    node.reset_peak()?;

    let stop = Arc::new(AtomicBool::new(false));
    let metadata = tokio::spawn(watch_metadata(
        connect(&node.uri, Some(&node.token)).await?,
        Arc::clone(&stop),
    ));
    let endings = load(&node, &right, clients, Duration::from_secs(seconds)).await?;
    stop.store(true, Ordering::Relaxed);
    let latencies = metadata.await??;
    let peak = node.peak_memory()?;
    tokio::time::sleep(SETTLING).await;
    let after = node.memory()?;
    for (statement, right) in STATEMENTS.iter().zip(right.iter()) {
        if answer(&mut client, statement).await? != *right {
            bail!("after the load, the node answers otherwise: {statement}");
        }
    }

    let done: usize = endings.values().sum();
    let how: Vec<String> = endings.iter().map(|(how, count)| format!("{count} {how}")).collect();
    report.add(
        format!("{clients} clients with joins, sorts and groups for {seconds} s"),
        how.join(", "),
        format!("{done} answers, each compared with the right one"),
        "right or refused",
    );
    report.add(
        "memory under that load",
        format!("{peak:.0} MiB at most"),
        format!("{:.0} % of the limit of {MEMORY_MIB:.0} MiB", 100.0 * peak / MEMORY_MIB),
        &format!("below {:.0} %", 100.0 * ALLOWANCE),
    );
    report.add(
        "memory afterwards",
        format!("{after:.0} MiB"),
        format!("{before:.0} MiB before"),
        "at most 10 % more",
    );
    report.add(
        "GetTables and SELECT 1 meanwhile",
        format!("p99 {:.0} ms", 1e3 * percentile(&latencies, 0.99)),
        format!("p50 {:.0} ms of {}", 1e3 * percentile(&latencies, 0.5), latencies.len()),
        "p99 below 100 ms",
    );
    Ok(())
}

/// Makes the table: a text that is unique for most lines, an amount and an order of its own.
async fn make(client: &mut Client) -> Result<()> {
    let statements = [
        "CREATE TABLE lines (line BIGINT, amount BIGINT, shuffled BIGINT, note VARCHAR)".to_owned(),
        format!(
            "INSERT INTO lines SELECT value, value % 997, (value * 7919) % 1000003, \
             concat('a note that takes some room in memory ', (value * 31337) % {ROWS}) FROM generate_series(1, {ROWS})"
        ),
    ];
    for statement in statements {
        client.execute_update(statement, None).await?;
    }
    Ok(())
}

/// Lets clients send statements, one after the other, until the time is over.
async fn load(
    node: &Node,
    right: &Arc<Vec<String>>,
    clients: usize,
    time: Duration,
) -> Result<BTreeMap<String, usize>> {
    let (endings, until) = (Endings::default(), Instant::now() + time);
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        let client = connect(&node.uri, Some(&node.token)).await?;
        tasks.spawn(hungry(client, number, Arc::clone(right), Arc::clone(&endings), until));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let endings = endings.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(endings)
}

async fn hungry(
    mut client: Client,
    number: usize,
    right: Arc<Vec<String>>,
    endings: Endings,
    until: Instant,
) -> Result<()> {
    for round in number.. {
        if Instant::now() >= until {
            break;
        }
        let index = round % STATEMENTS.len();
        let (Some(statement), Some(right)) = (STATEMENTS.get(index), right.get(index)) else {
            break;
        };
        let ending = match answer(&mut client, statement).await {
            Ok(answer) if answer == *right => "right".to_owned(),
            Ok(answer) => bail!("a wrong answer to {statement}:\n{answer}\ninstead of\n{right}"),
            Err(FlightError::Tonic(status)) => match status.code() {
                code @ (tonic::Code::ResourceExhausted | tonic::Code::Unavailable) if !status.message().is_empty() => {
                    // A client that comes back at once would only be refused again.
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    format!("{code:?}")
                }
                _ => bail!("no clear refusal of {statement}: {status}"),
            },
            Err(error) => bail!("no answer to {statement}: {error}"),
        };
        let mut endings = endings.lock().unwrap_or_else(PoisonError::into_inner);
        *endings.entry(ending).or_default() += 1;
    }
    Ok(())
}

async fn answer(client: &mut Client, statement: &str) -> Result<String, FlightError> {
    let info = client.execute(statement.to_owned(), None).await?;
    let (mut text, mut rows) = (String::new(), 0);
    for ticket in info.endpoint.into_iter().filter_map(|endpoint| endpoint.ticket) {
        let mut batches = client.do_get(ticket).await?;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows();
            if rows == 1 && batch.num_rows() == 1 {
                text = pretty_format_batches(&[batch])?.to_string();
            }
        }
    }
    Ok(format!("{rows} rows {text}"))
}

/// Asks for the catalog and for a constant, ten times a second.
async fn watch_metadata(mut client: Client, stop: Arc<AtomicBool>) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        if latencies.len() % 2 == 0 {
            let info = client.get_tables(CommandGetTables::default()).await?;
            for ticket in info.endpoint.into_iter().filter_map(|endpoint| endpoint.ticket) {
                let batches = client.do_get(ticket).await?;
                batches.try_collect::<Vec<_>>().await?;
            }
        } else {
            answer(&mut client, "SELECT 1").await?;
        }
        latencies.push(start.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}
