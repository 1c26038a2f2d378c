//! A whole node in one process: the one place where all rooms meet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use jetway_control::http::{Answers, Readiness, Router, System, Transfers};
use jetway_control::{
    AccessTokens, Accounts, Authentication, Clock, FirstAdmin, LoginTokens, NodeKey, PublicAccounts, StorageCatalog,
};
use jetway_flight::{
    AdmissionOptions, FlightGateway, FlightOptions, Queries, Sessions, Spool, SpoolOptions, TicketKey, WebOrigins,
};
use jetway_odf::proof::NodeIdentity;
use jetway_planner::{DatasetCatalog, PlanCacheOptions, Planner, PlannerOptions};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use crate::authenticator::ControlAuthenticator;
use crate::config::Config;
use crate::tls::{Clients, Identity};
use flight::FlightPort;

mod flight;
mod memory;
mod storage;

pub(crate) use storage::{open_catalog, repository_options};

/// How long HTTP requests may take to finish once everything else has stopped. They are short, but for copies of datasets, which go
/// on where they were cut off.
const HTTP_GRACE: Duration = Duration::from_secs(2);

/// How long storage may take to answer before the node counts as not ready.
const STORAGE_PATIENCE: Duration = Duration::from_secs(5);

/// Largest value of flight.max_upload_message: a gRPC message has less than 4 GiB, and each one is held in memory.
const MAX_UPLOAD_MESSAGE: usize = 1 << 30;

/// How often histograms are tidied up.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// How often transactions are looked for that are too old.
const TRANSACTION_UPKEEP: Duration = Duration::from_secs(10 * 60);

/// A running node.
#[derive(Debug)]
pub struct Node {
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where Arrow Flight listens.
    pub flight: SocketAddr,
    /// What the start did about the first account. A generated password is nowhere else.
    pub first_admin: FirstAdmin,
    /// Whether both speak TLS.
    pub tls: bool,
    readiness: Readiness,
    health: HealthReporter,
    grace_period: Duration,
    stop_flight: CancellationToken,
    stop_http: CancellationToken,
    flight_server: JoinHandle<Result<()>>,
    http_server: JoinHandle<Result<()>>,
    upkeep: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts everything; when it returns, requests are served.
    ///
    /// # Errors
    /// When an address is in use, storage cannot be opened, or the configuration does not fit.
    pub async fn start(config: &Config) -> Result<Self> {
        let http_listener = listen("HTTP", "http.address", &config.http.address).await?;
        let flight_listener = listen("Arrow Flight", "flight.address", &config.flight.address).await?;
        let (http, flight) = (http_listener.local_addr()?, flight_listener.local_addr()?);

        let identity = Identity::load(&config.tls)?;
        let origins = web_origins(config, http, identity.is_some())?;
        let metrics = crate::metrics::install()?;
        let clock = Clock::system();
        let accounts = Accounts::open(&config.data_dir, clock.clone())?;
        let node_key = match &config.node.key {
            Some(key) => NodeKey::parse(key.get()).context("node.key cannot be used")?,
            None => NodeKey::open(&config.data_dir)?,
        };
        let signer = Arc::new(signing_key(config)?);
        let login_tokens = LoginTokens::new(
            &node_key,
            config.accounts.login_token_lifetime.time_delta(),
            clock.clone(),
        );
        let access_tokens = AccessTokens::open(&config.data_dir, clock)?;
        let public: PublicAccounts = config
            .accounts
            .public
            .parse()
            .context("accounts.public cannot be used")?;
        let mut authentication = Authentication::new(accounts.clone(), access_tokens, login_tokens);
        if !public.is_empty() {
            authentication = authentication.with_anonymous()?;
        }

        let catalog = Arc::new(open_catalog(config).await?.with_public(public));
        let queries = Queries::new(config.query.history.get());
        let mut planner_options = planner_options(config);
        let (sessions, spool) = (Sessions::default(), open_spool(config)?);
        planner_options.system_tables = vec![
            Arc::new(queries.clone()),
            Arc::new(sessions.clone()),
            Arc::new(spool.clone()),
        ];
        planner_options.transactions = Some(storage::transactions(config).await?);
        let planner = Planner::new(Arc::clone(&catalog) as Arc<dyn DatasetCatalog>, planner_options)?;
        let transactions = planner.clone();
        let ticket_key = TicketKey::new(&node_key.derive("flight ticket, version 1"))?;
        let transfers = Transfers {
            catalog: Arc::clone(&catalog),
            authentication: authentication.clone(),
            anonymous_read: config.http.anonymous_read.0,
            max_upload: config.http.max_upload.bytes(),
        };
        let answers = answers(config, &planner, &transfers, &signer);
        let authenticator = Arc::new(ControlAuthenticator(authentication));
        let gateway = FlightGateway::new(
            planner.clone(),
            authenticator,
            FlightOptions {
                identity: Some(Arc::clone(&signer)),
                queries,
                sessions,
                spool,
                ..flight_options(config, ticket_key)?
            },
        );

        // The last step that can fail: a password that was generated must be handed out.
        let first_admin =
            accounts.ensure_admin(config.accounts.admin_password.as_ref().map(|password| password.get()))?;

        let traced = config.telemetry.otlp_endpoint.is_some();
        let (stop_flight, stop_http) = (CancellationToken::new(), CancellationToken::new());
        let health = HealthReporter::new();
        flight::report(&health, true).await;
        let port = FlightPort {
            listener: flight_listener,
            gateway,
            identity: identity.clone(),
            origins,
            health: health.clone(),
            traced,
        };
        let flight_server = tokio::spawn(port.serve(stop_flight.clone()));
        let readiness = Readiness::default();
        let mut upkeep = Vec::from_iter(identity.clone().map(|identity| tokio::spawn(identity.follow())));
        upkeep.push(tokio::spawn(forget_old_transactions(transactions)));
        upkeep.push(tokio::spawn({
            let metrics = metrics.clone();
            async move {
                loop {
                    tokio::time::sleep(METRICS_UPKEEP).await;
                    metrics.run_upkeep();
                }
            }
        }));
        let system = System {
            version: env!("CARGO_PKG_VERSION"),
            http,
            flight,
            tls: identity.is_some(),
            identity: signer.did().to_string(),
            readiness: readiness.clone(),
            storage: Arc::new(move || check_storage(Arc::clone(&catalog)).boxed()),
            metrics: Arc::new(move || crate::metrics::render(&metrics, &planner)),
        };
        let router = jetway_control::http::router(system)
            .merge(jetway_control::http::transfer_router(transfers))
            .merge(jetway_control::http::answer_router(answers));
        let tls = identity.is_some();
        let http_server = tokio::spawn(serve_http(http_listener, http, identity, router, stop_http.clone()));
        readiness.set(true);
        tracing::info!(http.address = %http, flight.address = %flight, identity = %signer.did(), "the node is up");
        Ok(Self {
            http,
            flight,
            first_admin,
            tls,
            readiness,
            health,
            grace_period: config.shutdown.grace_period.duration(),
            stop_flight,
            stop_http,
            flight_server,
            http_server,
            upkeep,
        })
    }

    /// Waits until a server fails, which it should never do.
    pub async fn failed(&mut self) -> anyhow::Error {
        let ended = tokio::select! {
            ended = &mut self.flight_server => ended,
            ended = &mut self.http_server => ended,
        };
        match ended {
            Ok(Ok(())) => anyhow::anyhow!("a server stopped by itself"),
            Ok(Err(error)) => error,
            Err(error) => anyhow::Error::new(error).context("a server stopped by itself"),
        }
    }

    /// Takes no more requests, waits for running streams up to the grace period, and stops.
    pub async fn shutdown(mut self) {
        self.readiness.set(false);
        flight::report(&self.health, false).await;
        self.stop_flight.cancel();
        if tokio::time::timeout(self.grace_period, &mut self.flight_server)
            .await
            .is_err()
        {
            tracing::warn!("streams that were still running after the grace period are cut off");
            self.flight_server.abort();
        }
        // Health is served until the end, so that whoever watches sees the node drain.
        self.stop_http.cancel();
        if tokio::time::timeout(HTTP_GRACE, &mut self.http_server).await.is_err() {
            self.http_server.abort();
        }
        for task in self.upkeep {
            task.abort();
        }
        tracing::info!("the node is down");
    }
}

async fn listen(what: &str, key: &str, address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen for {what} on {address}; is another node running? Set {key} to HOST:PORT with a free port"
        )
    })
}

/// The limits that the configuration sets.
pub(crate) fn planner_options(config: &Config) -> PlannerOptions {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = config
        .query
        .memory_limit
        .map_or_else(|| memory::available() / 2, |limit| limit.bytes());
    PlannerOptions {
        memory_limit: usize::try_from(memory).unwrap_or(usize::MAX),
        statement_memory_limit: Some(statement_memory(config, memory)),
        statement_spill_limit: config.query.spill_limit.bytes(),
        spill_limit: config.query.total_spill_limit.bytes(),
        large_ingests: config
            .query
            .large_ingests
            .map_or_else(|| PlannerOptions::default().large_ingests, |count| count.get()),
        spill_dir: config.query.spill_dir.clone(),
        parallelism: config.query.parallelism.map_or(cores, |count| count.get()),
        plan_cache: PlanCacheOptions {
            plans: config.query.cached_plans.get(),
            memory: usize::try_from(config.query.cached_plans_memory.bytes()).unwrap_or(usize::MAX),
        },
        ..PlannerOptions::default()
    }
}

/// Memory of one statement, in bytes, if all have `all`: several large ones fit, and none is too small to sort.
fn statement_memory(config: &Config, all: u64) -> usize {
    const LEAST: u64 = 64 << 20;
    let configured = config.query.statement_memory_limit.map(|limit| limit.bytes());
    usize::try_from(configured.unwrap_or_else(|| (all / 4).max(LEAST))).unwrap_or(usize::MAX)
}

/// The key that answers are signed with: the configured one, or that of the data folder.
fn signing_key(config: &Config) -> Result<NodeIdentity> {
    match &config.node.signing_key {
        Some(key) => jetway_control::parse_signing_key(key.get()).context("node.signing_key cannot be used"),
        None => Ok(jetway_control::open_signing_key(&config.data_dir)?),
    }
}

/// What queries over HTTP need. They take turns apart from those over Arrow Flight.
fn answers(config: &Config, planner: &Planner, transfers: &Transfers, signer: &Arc<NodeIdentity>) -> Answers {
    let AdmissionOptions {
        concurrency,
        queue_timeout,
        ..
    } = admission(config);
    Answers {
        planner: planner.clone(),
        transfers: transfers.clone(),
        identity: Arc::clone(signer),
        running: Arc::new(tokio::sync::Semaphore::new(concurrency)),
        patience: queue_timeout,
        timeout: config.query.timeout.map(|time| time.duration()),
        max_answer: usize::try_from(config.http.max_answer.bytes()).unwrap_or(usize::MAX),
    }
}

/// How many statements run and wait.
fn admission(config: &Config) -> AdmissionOptions {
    let (query, defaults) = (&config.query, AdmissionOptions::default());
    let concurrency = query.concurrency.map_or(defaults.concurrency, |count| count.get());
    AdmissionOptions {
        concurrency,
        per_account: query.concurrency_per_account.map_or(concurrency, |count| count.get()),
        queue_length: query.queue_length.get(),
        queue_timeout: query.queue_timeout.duration(),
    }
}

/// Where answers are kept.
fn open_spool(config: &Config) -> Result<Spool> {
    let flight = &config.flight;
    Ok(Spool::open(SpoolOptions {
        memory: flight.spool_memory.bytes(),
        disk: flight.spool_disk.bytes(),
        folder: (flight.spool_disk.bytes() > 0).then(|| config.data_dir.join("spool")),
        largest_in_memory: flight.spool_memory.bytes() / 4,
        lifetime: flight.spool_lifetime.duration(),
        ..SpoolOptions::default()
    })?)
}

fn flight_options(config: &Config, ticket_key: TicketKey) -> Result<FlightOptions> {
    let flight = &config.flight;
    let max_upload_message = usize::try_from(flight.max_upload_message.bytes())
        .ok()
        .filter(|bytes| *bytes <= MAX_UPLOAD_MESSAGE)
        .with_context(|| format!("flight.max_upload_message can be {MAX_UPLOAD_MESSAGE} bytes at most"))?;
    Ok(FlightOptions {
        ticket_ttl: flight.ticket_lifetime.duration(),
        session_ttl: flight.session_lifetime.duration(),
        prepared_ttl: flight.prepared_lifetime.duration(),
        transaction_ttl: flight.transaction_lifetime.duration(),
        max_upload_message,
        admission: admission(config),
        query_timeout: config.query.timeout.map(|time| time.duration()),
        max_result_rows: config.query.max_result_rows.map(|count| count.get() as u64),
        max_result_bytes: config.query.max_result_bytes.map(|size| size.bytes()),
        ..FlightOptions::new(ticket_key)
    })
}

/// The origins that the configuration names, and the node's own pages.
fn web_origins(config: &Config, http: SocketAddr, tls: bool) -> Result<WebOrigins> {
    let scheme = if tls { "https" } else { "http" };
    let origins = WebOrigins::parse(&config.flight.web_origins).context("flight.web_origins cannot be used")?;
    let origins = origins.and(&format!("{scheme}://{http}"));
    Ok(if http.ip().is_loopback() {
        origins.and(&format!("{scheme}://localhost:{}", http.port()))
    } else {
        origins
    })
}

async fn serve_http(
    listener: TcpListener,
    address: SocketAddr,
    identity: Option<Identity>,
    router: Router,
    stop: CancellationToken,
) -> Result<()> {
    let (connections, stop) = (flight::connections(listener), stop.cancelled_owned());
    match identity {
        Some(identity) => {
            let connections = identity.accept(Clients::Unasked, connections);
            jetway_control::http::serve(address, Box::pin(connections), router, stop).await
        }
        None => jetway_control::http::serve(address, connections, router, stop).await,
    }
    .context("the HTTP server failed")
}

/// Removes what is left of transactions that nobody can end any more.
async fn forget_old_transactions(planner: Planner) {
    loop {
        match planner.collect_transactions().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old transactions were removed"),
            Err(error) => tracing::warn!(%error, "old transactions cannot be removed"),
        }
        tokio::time::sleep(TRANSACTION_UPKEEP).await;
    }
}

async fn check_storage(catalog: Arc<StorageCatalog>) -> Result<(), String> {
    match tokio::time::timeout(STORAGE_PATIENCE, catalog.check()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(error = %crate::cli::chain(&error), "storage does not answer");
            Err(error.message().to_owned())
        }
        Err(_) => Err(format!("storage has not answered for {} s", STORAGE_PATIENCE.as_secs())),
    }
}
