//! The command line as a client of a running node.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use base64::Engine;
use secrecy::{ExposeSecret, SecretString};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
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
    /// File with the authorities that sign the node's certificate, in PEM; those of the system unless given.
    #[arg(long, env = "JETWAY_TLS_CA", value_name = "FILE", help_heading = "Connection")]
    tls_ca: Option<PathBuf>,
    /// File with a certificate of the client, in PEM, for nodes that ask for one.
    #[arg(
        long,
        env = "JETWAY_TLS_CERTIFICATE",
        value_name = "FILE",
        requires = "tls_key",
        help_heading = "Connection"
    )]
    tls_certificate: Option<PathBuf>,
    /// File with its private key, in PEM.
    #[arg(
        long,
        env = "JETWAY_TLS_KEY",
        value_name = "FILE",
        requires = "tls_certificate",
        help_heading = "Connection"
    )]
    tls_key: Option<PathBuf>,
}

/// A Flight SQL client with credentials.
pub(crate) type Client = FlightSqlServiceClient<Channel>;

impl Connection {
    /// Connects and, with a password, logs in.
    pub(crate) async fn open(&self) -> Result<Client> {
        let endpoint = self
            .endpoint()?
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

    fn endpoint(&self) -> Result<Endpoint> {
        let url = &self.url;
        let after = |schemes: &[&str]| schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
        let wrong = || {
            format!(
                "\"{url}\" is not the address of a node; write grpc://HOST:PORT, such as grpc://127.0.0.1:50050, or grpc+tls://HOST:PORT"
            )
        };
        if let Some(address) = after(&["grpc://", "grpc+tcp://", "http://"]) {
            return Endpoint::from_shared(format!("http://{address}")).with_context(wrong);
        }
        let Some(address) = after(&["grpc+tls://", "https://"]) else {
            bail!(wrong());
        };
        Endpoint::from_shared(format!("https://{address}"))
            .with_context(wrong)?
            .tls_config(self.tls()?)
            .context("TLS cannot be set up")
    }

    fn tls(&self) -> Result<ClientTlsConfig> {
        let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let mut config = match &self.tls_ca {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
            None => ClientTlsConfig::new().ca_certificates(system_authorities()?),
        };
        if let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) {
            config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(config)
    }
}

/// The authorities that the system trusts.
fn system_authorities() -> Result<Vec<Certificate>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        bail!("the system has no list of certificate authorities; give the one of the node with --tls-ca");
    }
    let pem = |der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        Certificate::from_pem(format!(
            "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
        ))
    };
    Ok(found.certs.iter().map(|certificate| pem(certificate)).collect())
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
