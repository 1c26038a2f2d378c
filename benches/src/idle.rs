//! Clients that are connected and do nothing.

use anyhow::Result;

use crate::environment::Environment;
use crate::node::Node;
use crate::report::Report;
use crate::short::{ask, connect};

const SESSIONS: usize = 2000;

pub(crate) async fn run(environment: &Environment, report: &mut Report) -> Result<()> {
    let node = Node::start(environment)?;
    // What the first ones need stays in use afterwards, and is no session's.
    let mut sessions = Vec::with_capacity(SESSIONS);
    for _ in 0..50 {
        let mut client = connect(&node.uri, Some(&node.token)).await?;
        ask(&mut client, "SELECT 1".to_owned()).await?;
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let before = node.memory()?;
    for _ in 0..SESSIONS {
        let mut client = connect(&node.uri, Some(&node.token)).await?;
        ask(&mut client, "SELECT 1".to_owned()).await?;
        sessions.push(client);
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let after = node.memory()?;
    report.add(
        format!("{SESSIONS} idle sessions"),
        format!("{:.0} KiB each", (after - before) * 1024.0 / SESSIONS as f64),
        format!("resident memory went from {before:.0} to {after:.0} MiB; each had run a statement"),
        "below 100 KiB",
    );
    Ok(())
}
