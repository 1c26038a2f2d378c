//! The command line as a client of a running node.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use secrecy::{ExposeSecret, SecretString};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::commands::account::ask;

/// Which node, and who is asking.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// Address of the node.
    #[arg(
        long,
        env = "JETWAY_URL",
        default_value = "grpc://127.0.0.1:50050",
        help_heading = "Connection"
    )]
    url: String,
    /// Account to log in with.
    #[arg(long, env = "JETWAY_USER", help_heading = "Connection")]
    user: Option<String>,
    /// Its password; asked for at the terminal unless given.
    #[arg(long, env = "JETWAY_PASSWORD", hide_env_values = true, help_heading = "Connection")]
    password: Option<SecretString>,
    /// An access token, instead of account and password.
    #[arg(long, env = "JETWAY_TOKEN", hide_env_values = true, help_heading = "Connection")]
    token: Option<SecretString>,
}

/// A Flight SQL client with credentials.
pub(crate) type Client = FlightSqlServiceClient<Channel>;

impl Connection {
    /// Connects and, with a password, logs in.
    pub(crate) async fn open(&self) -> Result<Client> {
        let endpoint = endpoint(&self.url)?
            .connect_timeout(Duration::from_secs(10))
            .tcp_nodelay(true)
            .initial_stream_window_size(8 * 1024 * 1024)
            .initial_connection_window_size(32 * 1024 * 1024)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .user_agent(concat!("jetway/", env!("CARGO_PKG_VERSION")))?;
        let channel = endpoint.connect().await.with_context(|| {
            format!(
                "no node answers at {}; start one with `jetway serve`, or give its address with --url",
                self.url
            )
        })?;
        let inner = FlightServiceClient::new(channel).max_decoding_message_size(usize::MAX);
        let mut client = FlightSqlServiceClient::new_from_inner(inner);
        match (&self.token, &self.user) {
            (Some(token), _) => client.set_token(token.expose_secret().to_owned()),
            (None, Some(user)) => self.log_in(&mut client, user).await?,
            (None, None) => bail!(
                "credentials are missing: give --user and --password, or --token (or set JETWAY_USER and JETWAY_PASSWORD, or JETWAY_TOKEN)"
            ),
        }
        Ok(client)
    }

    /// Exchanges the password for a token, so that it is sent once.
    async fn log_in(&self, client: &mut Client, user: &str) -> Result<()> {
        let password = match &self.password {
            Some(password) => password.clone(),
            None if std::io::stdin().is_terminal() => {
                let prompt = format!("Password for {user}: ");
                tokio::task::spawn_blocking(move || ask(&prompt)).await??
            }
            None => bail!("the password is missing: give --password or set JETWAY_PASSWORD"),
        };
        client
            .handshake(user, password.expose_secret())
            .await
            .map_err(explain)
            .context("the login failed")?;
        if client.token().is_none() {
            bail!("the node gave no token for the login; is {} a Jetway node?", self.url);
        }
        Ok(())
    }
}

fn endpoint(url: &str) -> Result<Endpoint> {
    let address = ["grpc://", "grpc+tcp://", "http://"]
        .into_iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let Some(address) = address else {
        bail!("\"{url}\" is not the address of a node; write grpc://HOST:PORT, such as grpc://127.0.0.1:50050");
    };
    Endpoint::from_shared(format!("http://{address}"))
        .with_context(|| format!("\"{url}\" is not the address of a node; write grpc://HOST:PORT"))
}

/// What a failed call means, in the node's own words.
pub(crate) fn explain(error: FlightError) -> anyhow::Error {
    match error {
        FlightError::Tonic(status) => explain_status(&status),
        FlightError::ExternalError(source) => anyhow::Error::from_boxed(source),
        other => anyhow!("{other}"),
    }
}

/// What a gRPC status means.
pub(crate) fn explain_status(status: &Status) -> anyhow::Error {
    let message = status.message();
    match status.code() {
        Code::Unauthenticated => anyhow!("{message} (check --user and --password, or --token)"),
        Code::Unavailable if message.is_empty() => anyhow!("the node cannot be reached"),
        Code::Internal | Code::Unknown | Code::DataLoss => anyhow!("the node failed: {message}"),
        _ => anyhow!("{message}"),
    }
}
