//! A large table in and out over Flight, and the smallest statement.

use anyhow::Result;

use crate::environment::Environment;
use crate::node::Node;
use crate::python::{Measured, Peer, measure, percentile};
use crate::report::Report;
use crate::{encode, scan};

const SELECT: &str = "SELECT * FROM \"lineitem-0\"";
const PINGS: &str = "2000";
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) async fn run(environment: &Environment, repeat: usize, report: &mut Report) -> Result<()> {
    let node = Node::start(environment)?;
    ingest(environment, &node, repeat, report)?;
    select(environment, &node, repeat, report).await?;
    ping(environment, &node, report)
}

fn ingest(environment: &Environment, node: &Node, repeat: usize, report: &mut Report) -> Result<()> {
    let file = environment.lineitem();
    let file_name = file.to_string_lossy();
    let repeat = repeat.to_string();
    let arguments = |table: &'static str| {
        [
            ("uri", node.uri.as_str()),
            ("token", node.token.as_str()),
            ("file", &file_name),
            ("table", table),
            ("repeat", &repeat),
        ]
    };
    let pushed = measure(environment, "put", &arguments("lineitem"))?;
    let memory = node.peak_memory()?;
    let parts = encode::measure(&file)?;
    report.add(
        "(b) ingest of lineitem SF1, pyarrow.flight client",
        format!("{:.2}", pushed.median() / parts.two_threads),
        format!(
            "{:.2} s against {:.2} s for encoding (one thread {:.2} s) and SHA3 ({:.2} s) beside the logical hash ({:.2} s)",
            pushed.median(),
            parts.two_threads,
            parts.encode,
            parts.physical,
            parts.logical
        ),
        "at most 1.3",
    );
    report.add(
        "(b) the same against an even split",
        format!("{:.2}", pushed.median() / parts.even()),
        format!(
            "{:.2} s for the same work divided evenly between two threads",
            parts.even()
        ),
        "",
    );
    report.add(
        "(b) rows taken in",
        throughput(&pushed, pushed.median()),
        "one client, one stream",
        "",
    );
    let by_adbc = measure(environment, "ingest", &arguments("by-adbc"))?;
    report.add(
        "(b) ingest of lineitem SF1, adbc_ingest",
        format!("{:.2}", by_adbc.median() / parts.two_threads),
        format!(
            "{:.2} s, of which the driver itself takes a good part on the same two cores",
            by_adbc.median()
        ),
        "",
    );
    report.add(
        "(c) peak memory during ingest",
        format!("{memory:.0} MiB"),
        "resident, VmHWM",
        "below 600 MiB",
    );
    Ok(())
}

async fn select(environment: &Environment, node: &Node, repeat: usize, report: &mut Report) -> Result<()> {
    let dataset = node.dataset("lineitem-0")?;
    let warm = (repeat + 1).to_string();
    let query = [
        ("uri", node.uri.as_str()),
        ("token", &node.token),
        ("sql", SELECT),
        ("repeat", &warm),
    ];
    node.reset_peak()?;
    let mut fetched = measure(environment, "fetch", &query)?;
    fetched.seconds.remove(0);
    let memory = node.peak_memory()?;
    let peer = Peer::start(environment, &query)?;
    let mut plain = measure(
        environment,
        "fetch-plain",
        &[("uri", peer.uri.as_str()), ("repeat", &warm)],
    )?;
    plain.seconds.remove(0);
    drop(peer);
    let scanned = scan::seconds(&dataset, repeat).await?;
    let scan = percentile(&scanned, 0.5);
    report.add(
        "(a) SELECT * of lineitem SF1",
        format!("{:.2}", fetched.median() / (scan + plain.median())),
        format!(
            "{:.2} s against {scan:.2} s for an in-process DataFusion scan plus {:.2} s for a pyarrow.flight in-memory server",
            fetched.median(),
            plain.median()
        ),
        "at most 1.15",
    );
    report.add(
        "(a) rows sent",
        throughput(&fetched, fetched.median()),
        format!("{} messages, one stream", fetched.messages),
        "",
    );
    report.add(
        "(a) the peer",
        throughput(&plain, plain.median()),
        "the same batches from memory",
        "",
    );
    report.add(
        "(c) peak memory during SELECT *",
        format!("{memory:.0} MiB"),
        "resident, VmHWM",
        "below 600 MiB",
    );
    Ok(())
}

fn ping(environment: &Environment, node: &Node, report: &mut Report) -> Result<()> {
    let query = [
        ("uri", node.uri.as_str()),
        ("token", &node.token),
        ("sql", "SELECT 1"),
        ("repeat", PINGS),
    ];
    let pings = measure(environment, "ping", &query)?;
    let settled = pings.seconds.get(200..).unwrap_or_default();
    report.add(
        "(d) SELECT 1 round trip",
        format!(
            "p50 {:.2} ms, p99 {:.2} ms",
            1e3 * percentile(settled, 0.5),
            1e3 * percentile(settled, 0.99)
        ),
        "GetFlightInfo and DoGet, one client",
        "",
    );
    Ok(())
}

fn throughput(measured: &Measured, seconds: f64) -> String {
    format!(
        "{:.2} M rows/s, {:.0} MiB/s",
        measured.rows as f64 / seconds / 1e6,
        measured.bytes as f64 / seconds / MIB
    )
}
