//! Short statements from many clients: how many a second, beside other Flight SQL servers.
//!
//! Every client is the same for all servers: one connection, GetFlightInfo and DoGet for each statement, every row read. The
//! clients share the machine with the server that they measure. Prepared statements are bound before they run, which is a third
//! call; the other servers have none, so they get the text with its literal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_flight::FlightInfo;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::{FlightSqlServiceClient, PreparedStatement};
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::environment::Environment;
use crate::node::Node;
use crate::peers::Server;
use crate::python::{measure, percentile};
use crate::report::Report;

const CLIENTS: [usize; 3] = [1, 16, 128];
const ROWS: i64 = 1_000_000;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);

/// A server under measurement.
struct Target<'a> {
    uri: &'a str,
    token: Option<&'a str>,
    table: &'a str,
    prepares: bool,
}

/// What the clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    One,
    Lookup,
    Prepared,
}

impl Question {
    fn name(self) -> &'static str {
        match self {
            Self::One => "SELECT 1",
            Self::Lookup => "point lookups in 1,000,000 rows",
            Self::Prepared => "prepared point lookups in 1,000,000 rows",
        }
    }
}

/// What the clients of one server achieved.
struct Rate {
    a_second: f64,
    p50: f64,
    p99: f64,
}

pub(crate) async fn run(environment: &Environment, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = points(folder.path())?;
    let node = Node::start(environment)?;
    let file_name = file.to_string_lossy();
    let push = [
        ("uri", node.uri.as_str()),
        ("token", node.token.as_str()),
        ("file", &file_name),
        ("table", "points"),
    ];
    measure(environment, "put", &push)?;
    let ours = Target {
        uri: &node.uri,
        token: Some(&node.token),
        table: "\"points-0\"",
        prepares: true,
    };
    for question in [Question::One, Question::Lookup, Question::Prepared] {
        for clients in CLIENTS {
            let here = rate(&ours, question, clients).await?;
            let mut against = Vec::new();
            for peer in [Server::roapi, Server::sail] {
                let server = peer(environment, &file)?;
                let target = Target {
                    uri: &server.uri,
                    token: None,
                    table: &server.table,
                    prepares: false,
                };
                let there = rate(&target, question, clients)
                    .await
                    .with_context(|| format!("{} cannot be measured", server.name))?;
                let times = here.a_second / there.a_second;
                against.push(format!(
                    "{times:.1} times {} ({:.0}/s, p50 {:.2} ms, p99 {:.1} ms), latency {:.2} of it",
                    server.name,
                    there.a_second,
                    there.p50,
                    there.p99,
                    here.p50 / there.p50
                ));
            }
            report.add(
                format!("{}, {clients} clients", question.name()),
                format!("{:.0}/s, p50 {:.2} ms, p99 {:.2} ms", here.a_second, here.p50, here.p99),
                against.join("; "),
                "at least 3 times both, latency at most 0.33",
            );
        }
    }
    Ok(())
}

/// A table that is looked up by its first column.
fn points(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("points.parquet");
    let ids: Int64Array = (0..ROWS).collect();
    let names: StringArray = (0..ROWS).map(|id| Some(format!("point {id}"))).collect();
    let values: Float64Array = (0..ROWS).map(|id| id as f64 / 7.0).collect();
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as ArrayRef),
        ("name", Arc::new(names) as ArrayRef),
        ("value", Arc::new(values) as ArrayRef),
    ])?;
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path)?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(path)
}

/// Lets clients ask one thing after the other for some seconds.
async fn rate(target: &Target<'_>, question: Question, clients: usize) -> Result<Rate> {
    let mut tasks = JoinSet::new();
    let (counting, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    for number in 0..clients {
        let mut client = connect(target.uri, target.token).await?;
        let table = target.table.to_owned();
        let mut prepared = match question == Question::Prepared && target.prepares {
            true => {
                let sql = format!("SELECT id, name, value FROM {table} WHERE id = ?");
                Some(client.prepare(sql, None).await?)
            }
            false => None,
        };
        let (counting, over) = (Arc::clone(&counting), Arc::clone(&over));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            // Each client walks through the ids at its own place.
            let mut id = 7919 * i64::try_from(number)? % ROWS;
            while !over.load(Ordering::Relaxed) {
                id = (id + 104_729) % ROWS;
                let sql = match question {
                    Question::One => "SELECT 1".to_owned(),
                    _ => format!("SELECT id, name, value FROM {table} WHERE id = {id}"),
                };
                let start = Instant::now();
                let rows = match &mut prepared {
                    Some(prepared) => ask_prepared(&mut client, prepared, id).await?,
                    None => ask(&mut client, sql).await?,
                };
                anyhow::ensure!(rows == 1, "{rows} rows came where there is one");
                if counting.load(Ordering::Relaxed) {
                    latencies.push(start.elapsed().as_secs_f64() * 1e3);
                }
            }
            anyhow::Ok(latencies)
        });
    }
    tokio::time::sleep(WARM_UP).await;
    counting.store(true, Ordering::Relaxed);
    let start = Instant::now();
    tokio::time::sleep(MEASURED).await;
    let seconds = start.elapsed().as_secs_f64();
    counting.store(false, Ordering::Relaxed);
    over.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    Ok(Rate {
        a_second: latencies.len() as f64 / seconds,
        p50: percentile(&latencies, 0.5),
        p99: percentile(&latencies, 0.99),
    })
}

pub(crate) async fn connect(uri: &str, token: Option<&str>) -> Result<FlightSqlServiceClient<Channel>> {
    let channel = Endpoint::from_shared(uri.replace("grpc://", "http://"))?
        .tcp_nodelay(true)
        .connect()
        .await?;
    // Some servers send messages of any size.
    let client = FlightServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    let mut client = FlightSqlServiceClient::new_from_inner(client);
    if let Some(token) = token {
        client.set_token(token.to_owned());
    }
    Ok(client)
}

/// Runs a statement and reads its rows.
pub(crate) async fn ask(client: &mut FlightSqlServiceClient<Channel>, sql: String) -> Result<usize> {
    let info = client.execute(sql, None).await?;
    read(client, info).await
}

/// Binds an id, runs the statement and reads its rows.
async fn ask_prepared(
    client: &mut FlightSqlServiceClient<Channel>,
    prepared: &mut PreparedStatement<Channel>,
    id: i64,
) -> Result<usize> {
    let id: ArrayRef = Arc::new(Int64Array::from(vec![id]));
    prepared.set_parameters(RecordBatch::try_from_iter([("id", id)])?)?;
    let info = prepared.execute().await?;
    read(client, info).await
}

async fn read(client: &mut FlightSqlServiceClient<Channel>, info: FlightInfo) -> Result<usize> {
    let mut rows = 0;
    for endpoint in info.endpoint {
        let ticket = endpoint.ticket.context("an endpoint has no ticket")?;
        let mut batches = client.do_get(ticket).await?;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows();
        }
    }
    Ok(rows)
}
