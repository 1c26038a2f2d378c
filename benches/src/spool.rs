//! A large result again: in several streams, and from the spool.

use anyhow::Result;

use crate::environment::Environment;
use crate::node::Node;
use crate::python::{Measured, Peer, measure, percentile};
use crate::report::Report;
use crate::scan;

const SELECT: &str = "SELECT * FROM \"lineitem-0\"";

/// Measures against the peer with as many streams, in turns, so that both see the same machine.
pub(crate) async fn run(environment: &Environment, repeat: usize, report: &mut Report) -> Result<()> {
    let node = Node::start(environment)?;
    let file = environment.lineitem();
    let file_name = file.to_string_lossy();
    let login = [("uri", node.uri.as_str()), ("token", node.token.as_str())];
    measure(
        environment,
        "put",
        &[&login[..], &[("file", &file_name), ("table", "lineitem")]].concat(),
    )?;
    let dataset = node.dataset("lineitem-0")?;
    let scan = percentile(&scan::seconds(&dataset, repeat).await?, 0.5);
    let warm = (repeat + 1).to_string();
    let query = [&login[..], &[("sql", SELECT), ("repeat", &warm)]].concat();

    for streams in ["1", "4"] {
        let peer = Peer::start(environment, &[&query[..], &[("streams", streams)]].concat())?;
        let plain = plain(environment, &peer, &warm, streams)?;
        let ours = [&query[..], &[("streams", streams), ("spool", "never")]].concat();
        let fetched = settled(measure(environment, "fetch", &ours)?);
        report.add(
            format!("(a) SELECT * of lineitem SF1, streams: {streams}"),
            format!("{:.2}", fetched.median() / (scan + plain.median())),
            format!(
                "{:.2} s against {scan:.2} s for an in-process DataFusion scan plus {:.2} s for a pyarrow.flight in-memory server",
                fetched.median(),
                plain.median()
            ),
            "at most 1.0",
        );
        let ours = [&query[..], &[("streams", "1"), ("spool", "always")]].concat();
        if streams == "1" {
            let spooled = settled(measure(environment, "fetch", &ours)?);
            report.add(
                "(b) the same from the spool, speed",
                format!("{:.2}", plain.median() / spooled.median()),
                format!(
                    "{:.2} s against {:.2} s for the pyarrow.flight in-memory server",
                    spooled.median(),
                    plain.median()
                ),
                "at least 0.9",
            );
        }
    }
    Ok(())
}

fn plain(environment: &Environment, peer: &Peer, repeat: &str, streams: &str) -> Result<Measured> {
    let arguments = [("uri", peer.uri.as_str()), ("repeat", repeat), ("streams", streams)];
    Ok(settled(measure(environment, "fetch-plain", &arguments)?))
}

/// Without the first run, which warms the caches.
fn settled(mut measured: Measured) -> Measured {
    measured.seconds.remove(0);
    measured
}
