//! The command line.

use std::error::Error as StdError;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    account, add, compact, config, delete, gc, identity, ingest, inspect, list, log, pull, push, queries, reindex,
    rename, reset, serve, set_watermark, sql, tail, token, verify, verify_query,
};

/// How long background threads may take once a command is done.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// The stack of each thread, in bytes: more than usual, since a deep plan that is dropped takes some of it for each level.
const STACK: usize = 16 * 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  jetway serve                                     start a node; its state goes to ./jetway-data
  jetway ingest trades.csv --dataset admin/trades  push a file into a dataset
  jetway sql \"SELECT count(*) FROM trades\"         ask it
  jetway add trades.yaml                           make a dataset from its manifest
  jetway list                                      which datasets there are; also log, tail, inspect
  jetway verify                                    check every hash, size and row of them
  jetway config > jetway.yaml                      all options with their defaults

Commands on datasets work without a node, or beside one, on the folder or bucket of --repository.
Those that talk to a node take its address and your credentials from --url, --user, --password
and --token, or from JETWAY_URL, JETWAY_USER, JETWAY_PASSWORD and JETWAY_TOKEN.";

/// An Arrow Flight data gateway: datasets as verifiable chains in object storage, SQL over them at wire speed.
#[derive(Debug, Parser)]
#[command(name = "jetway", version, after_help = EXAMPLES, max_term_width = 110, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Sql(sql::Args),
    Queries(queries::Args),
    Ingest(ingest::Args),
    Add(add::Args),
    List(list::Args),
    Log(log::Args),
    Tail(tail::Args),
    /// See what a dataset is made of: its schema, its lineage, its query.
    #[command(subcommand, after_help = "Example:\n  jetway inspect schema trades --output ddl")]
    Inspect(inspect::Action),
    Verify(verify::Args),
    VerifyQuery(verify_query::Args),
    Reindex(reindex::Args),
    Rename(rename::Args),
    Delete(delete::Args),
    Reset(reset::Args),
    SetWatermark(set_watermark::Args),
    Pull(pull::Args),
    Push(push::Args),
    Compact(compact::Args),
    Gc(gc::Args),
    /// Make, list and revoke access tokens, on the machine of the node.
    #[command(subcommand)]
    Token(token::Action),
    /// Make accounts and set passwords, on the machine of the node.
    #[command(subcommand)]
    Account(account::Action),
    Identity(identity::Args),
    Config(config::Args),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  jetway completions bash > ~/.local/share/bash-completion/completions/jetway")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Parses the command line and runs the command. The exit code is 0 for success, 1 for failure and 2 for wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is gone too, the exit code is all that can be said.
            let _ = writeln!(std::io::stderr(), "error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    // The only other provider would be one that somebody installed before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK)
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => Box::pin(serve::run(args)).await,
            Command::Sql(args) => Box::pin(sql::run(args)).await,
            Command::Queries(args) => Box::pin(queries::run(args)).await,
            Command::Ingest(args) => Box::pin(ingest::run(args)).await,
            Command::Add(args) => Box::pin(add::run(args)).await,
            Command::Pull(args) => Box::pin(pull::run(args)).await,
            Command::Push(args) => Box::pin(push::run(args)).await,
            Command::List(args) => Box::pin(list::run(args)).await,
            Command::Log(args) => Box::pin(log::run(args)).await,
            Command::Tail(args) => Box::pin(tail::run(args)).await,
            Command::Inspect(action) => Box::pin(inspect::run(action)).await,
            Command::Reindex(args) => Box::pin(reindex::run(args)).await,
            Command::Verify(args) => Box::pin(verify::run(args)).await,
            Command::VerifyQuery(args) => Box::pin(verify_query::run(args)).await,
            Command::Rename(args) => Box::pin(rename::run(args)).await,
            Command::Delete(args) => Box::pin(delete::run(args)).await,
            Command::Reset(args) => Box::pin(reset::run(args)).await,
            Command::SetWatermark(args) => Box::pin(set_watermark::run(args)).await,
            Command::Compact(args) => Box::pin(compact::run(args)).await,
            Command::Gc(args) => Box::pin(gc::run(args)).await,
            Command::Token(action) => token::run(action),
            Command::Account(action) => account::run(action),
            Command::Identity(args) => identity::run(&args),
            Command::Config(args) => config::run(&args),
            Command::Completions { shell } => completions(shell),
        }
    });
    runtime.shutdown_timeout(LEFTOVERS);
    outcome
}

fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "jetway", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}

/// An error with all its causes on one line, each said once.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == ErrorKind::BrokenPipe)
}
