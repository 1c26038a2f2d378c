//! The HTTP side: health, metrics, a page that tells where to connect, datasets to copy, and queries.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
pub use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures::Stream;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

mod answers;
mod connections;
mod transfer;

pub use answers::{Answers, router as answer_router};
use connections::Connections;
pub use transfer::{Transfers, router as transfer_router};

#[cfg(test)]
mod tests;

/// Whether the node wants new requests. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether new requests are wanted.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::SeqCst);
    }

    /// Whether new requests are wanted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What the pages show. Cheap to clone.
#[derive(Clone)]
pub struct System {
    /// Version of the node.
    pub version: &'static str,
    /// Where this side listens.
    pub http: SocketAddr,
    /// Where Arrow Flight listens.
    pub flight: SocketAddr,
    /// Whether both speak TLS.
    pub tls: bool,
    /// Who signs answers, as a did:key.
    pub identity: String,
    /// Whether new requests are wanted.
    pub readiness: Readiness,
    /// Finds out whether storage answers; the error says what is wrong.
    pub storage: Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
    /// Renders the metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("http", &self.http)
            .field("flight", &self.flight)
            .finish_non_exhaustive()
    }
}

impl System {
    /// Where Flight clients connect.
    fn flight_url(&self) -> String {
        format!("{}://{}", if self.tls { "grpc+tls" } else { "grpc" }, self.flight)
    }
}

/// All pages.
pub fn router(system: System) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/system/health", get(health))
        .route("/system/metrics", get(metrics))
        .route("/system/info", get(info))
        .fallback(missing)
        .with_state(system)
}

/// Serves the connections until `stop` is done, then lets running requests finish.
///
/// # Errors
/// When the listener fails.
pub async fn serve<I, C>(
    address: SocketAddr,
    connections: I,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    I: Stream<Item = io::Result<C>> + Send + Unpin + 'static,
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let listener = Connections::new(address, connections);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

#[derive(Debug, Deserialize)]
struct HealthQuery {
    #[serde(rename = "type")]
    probe: Option<String>,
}

#[derive(Debug, Serialize)]
struct Health {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Liveness says that the process answers; readiness and startup that it wants requests and that storage answers.
async fn health(State(system): State<System>, Query(query): Query<HealthQuery>) -> Response {
    let answer = |status: StatusCode, message: Option<String>| {
        (
            status,
            [NO_STORE],
            Json(Health {
                ok: status == StatusCode::OK,
                message,
            }),
        )
            .into_response()
    };
    match query.probe.as_deref() {
        None | Some("liveness") => answer(StatusCode::OK, None),
        Some("readiness" | "startup") if !system.readiness.is_ready() => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            Some("the node is starting or shutting down".to_owned()),
        ),
        Some("readiness" | "startup") => match (system.storage)().await {
            Ok(()) => answer(StatusCode::OK, None),
            Err(reason) => answer(StatusCode::SERVICE_UNAVAILABLE, Some(reason)),
        },
        Some(_) => answer(
            StatusCode::BAD_REQUEST,
            Some("there is no such type of health; use liveness, readiness or startup".to_owned()),
        ),
    }
}

async fn metrics(State(system): State<System>) -> Response {
    let kind = (
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    ([kind, NO_STORE], (system.metrics)()).into_response()
}

#[derive(Debug, Serialize)]
struct Info {
    name: &'static str,
    version: &'static str,
    http: String,
    flight: String,
    identity: String,
}

async fn info(State(system): State<System>) -> Json<Info> {
    Json(Info {
        name: "jetway",
        version: system.version,
        http: format!("{}://{}", if system.tls { "https" } else { "http" }, system.http),
        flight: system.flight_url(),
        identity: system.identity.clone(),
    })
}

async fn home(State(system): State<System>) -> Html<String> {
    Html(
        include_str!("http/home.html")
            .replace("{version}", system.version)
            .replace("{flight}", &system.flight_url()),
    )
}

async fn missing() -> Response {
    let message = "there is no such page; see / for what is here".to_owned();
    (
        StatusCode::NOT_FOUND,
        Json(Health {
            ok: false,
            message: Some(message),
        }),
    )
        .into_response()
}

const NO_STORE: (header::HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
