//! `jetway serve`: runs a node until a signal ends it.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Result;
use jetway_control::{ADMIN, FirstAdmin};
use secrecy::ExposeSecret;

use super::settings::Settings;
use crate::config::LogFormat;
use crate::signals::Signals;
use crate::{Node, telemetry};

const EXAMPLES: &str = "\
Examples:
  jetway serve
  jetway serve --data-dir /var/lib/jetway --http-address 0.0.0.0:8080 --flight-address 0.0.0.0:50050
  jetway serve --repository s3://bucket/prefix --config jetway.yaml

When the node is up it prints one line to standard output:
  jetway ready http=http://HOST:PORT flight=grpc://HOST:PORT
The first start also prints the password of the account \"admin\", once. SIGTERM or SIGINT lets
running streams finish within the grace period; a second signal ends the node at once.";

/// Run a node.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// Where HTTP listens; port 0 means any free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    http_address: Option<String>,
    /// Where Arrow Flight listens; port 0 means any free one [default: 127.0.0.1:50050]
    #[arg(long, value_name = "HOST:PORT")]
    flight_address: Option<String>,
    /// Where datasets are: a folder, file:///folder or s3://bucket/prefix [default: DATA_DIR/datasets]
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let log_format = args.log_format.map(|format| match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    });
    let flags = args
        .settings
        .layer()
        .with(&["http", "address"], args.http_address)
        .with(&["flight", "address"], args.flight_address)
        .with(&["storage", "repository"], args.repository)
        .with(&["telemetry", "log_format"], log_format);
    let config = args.settings.load(flags)?;
    let mut signals = Signals::catch()?;
    let telemetry = telemetry::start(&config.telemetry)?;

    let mut node = tokio::select! {
        started = Node::start(&config) => started?,
        _ = signals.next() => return Ok(()),
    };
    announce_first_admin(&node.first_admin)?;
    if !node.tls {
        warn_if_exposed("HTTP", node.http)?;
        warn_if_exposed("Arrow Flight", node.flight)?;
    }
    let mut stdout = std::io::stdout();
    writeln!(
        stdout,
        "jetway ready http={}://{} flight={}://{}",
        if node.tls { "https" } else { "http" },
        node.http,
        if node.tls { "grpc+tls" } else { "grpc" },
        node.flight
    )?;
    stdout.flush()?;

    let failure = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping; a second signal ends the node at once");
            None
        }
        failure = node.failed() => Some(failure),
    };
    if let Some(failure) = failure {
        telemetry.flush().await;
        return Err(failure);
    }
    tokio::select! {
        () = async { node.shutdown().await; telemetry.flush().await } => Ok(()),
        signal = signals.next() => {
            tracing::warn!(signal, "stopped at once");
            std::process::exit(130)
        }
    }
}

/// The only time that a generated password is shown.
fn announce_first_admin(first: &FirstAdmin) -> Result<()> {
    let mut stderr = std::io::stderr();
    match first {
        FirstAdmin::NotNeeded => {}
        FirstAdmin::Given => writeln!(
            stderr,
            "First start: the account \"{ADMIN}\" was made with the configured password."
        )?,
        FirstAdmin::Generated(password) => writeln!(
            stderr,
            "\n\
             ===== first start: administrator account =====\n\
             account:  {ADMIN}\n\
             password: {}\n\
             Shown only now and stored nowhere: keep it.\n\
             `jetway account password {ADMIN}` sets another.\n\
             ==============================================\n",
            password.expose_secret()
        )?,
    }
    Ok(())
}

fn warn_if_exposed(what: &str, address: SocketAddr) -> Result<()> {
    if !address.ip().is_loopback() {
        writeln!(
            std::io::stderr(),
            "warning: {what} listens on {address} without TLS: passwords and data can be read on the network; \
             set tls.certificate and tls.key, or put a proxy with TLS in front"
        )?;
    }
    Ok(())
}
