//! `jetway queries`: what a node is asked, and stopping it.

use std::io::Write;

use anyhow::{Context, Result};
use arrow_flight::Action;
use futures::TryStreamExt;

use super::sql::{Output, answer};
use crate::client::{Connection, explain, explain_status};

const EXAMPLES: &str = "\
Examples:
  jetway queries                    those that wait or run now
  jetway queries --all              also those that were planned or have ended
  jetway queries kill 0198c9a2-...  stop one";

const COLUMNS: &str = "id, account, state, coalesce(started_at, queued_at, planned_at) AS since, rows, bytes, memory_bytes, \
                       spilled_bytes, error_code, query";

/// See which queries run on a node, and stop them. Administrators see those of all accounts.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Command>,
    /// Also those that were planned or have ended.
    #[arg(long, short)]
    all: bool,
    /// How the list is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Stop a query, or keep a planned one from starting.
    Kill {
        /// Its id, as `jetway queries` shows it.
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(crate) async fn run(args: Args) -> Result<()> {
    if let Some(Command::Kill { id, connection }) = args.action {
        return kill(id, connection).await;
    }
    let wanted = if args.all {
        ""
    } else {
        "WHERE state IN ('queued', 'running') "
    };
    let statement = format!("SELECT {COLUMNS} FROM system.queries {wanted}ORDER BY id");
    answer(&mut args.connection.open().await?, statement, args.output, 0).await
}

async fn kill(id: String, connection: Connection) -> Result<()> {
    let mut client = connection.open().await?;
    let action = Action {
        r#type: "jetway.KillQuery".to_owned(),
        body: id.clone().into(),
    };
    let mut answers = client.do_action(action).await.map_err(explain)?;
    let answer = answers.try_next().await.map_err(|status| explain_status(&status))?;
    let answer = answer.context("the node did not say whether it stopped the query")?;
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    writeln!(std::io::stdout(), "{id}: {said}")?;
    Ok(())
}
