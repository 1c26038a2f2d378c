//! Logs to standard error, and traces to an OpenTelemetry collector.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tonic::codegen::http;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{LogFormat, Telemetry};

/// How long the last spans may take to reach the collector.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps telemetry running; [`Self::flush`] it before the process ends.
#[derive(Debug)]
pub(crate) struct Running {
    tracer: Option<SdkTracerProvider>,
}

/// Starts logs and, when there is an endpoint, traces. Needs a Tokio runtime.
///
/// # Errors
/// When the filter or the endpoint cannot be understood.
pub(crate) fn start(config: &Telemetry) -> Result<Running> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| config.log.clone());
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = match config.log_format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
    };
    let tracer = config
        .otlp_endpoint
        .as_deref()
        .map(|endpoint| exporter(endpoint, &config.service_name))
        .transpose()?;
    let traces = tracer.as_ref().map(|provider| {
        // The exporter speaks HTTP/2 itself: spans about that would beget spans.
        let filter = EnvFilter::new("info,h2=off,hyper=off,tonic=off,tower=off,opentelemetry=off");
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("jetway"))
            .with_filter(filter)
    });
    tracing_subscriber::registry()
        .with(logs.with_filter(parse_filter(&filter)?))
        .with(traces)
        .try_init()
        .context("telemetry is running already")?;
    Ok(Running { tracer })
}

impl Running {
    /// Sends what has not been sent yet. A collector that does not answer is given up after some seconds.
    pub(crate) async fn flush(self) {
        let Some(provider) = self.tracer else { return };
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the last traces did not reach the collector");
        }
    }
}

/// A span for a call, which continues the trace of the client if the headers name one (`traceparent`).
pub(crate) fn call_span(request: &http::Request<()>) -> Span {
    let span = tracing::info_span!("call", rpc.system = "grpc", rpc.path = request.uri().path());
    let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
    if let Err(error) = span.set_parent(parent) {
        tracing::debug!(%error, "the trace of a client is not continued");
    }
    span
}

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

fn parse_filter(text: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(text).with_context(|| {
        format!("\"{text}\" is no log filter; write a level such as info, or info,jetway_planner=debug")
    })
}

fn exporter(endpoint: &str, service_name: &str) -> Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .context("telemetry.otlp_endpoint cannot be used; it must be the gRPC address of a collector, such as http://localhost:4317")?;
    let resource = Resource::builder()
        .with_service_name(service_name.to_owned())
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}
