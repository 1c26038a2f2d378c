//! The Arrow Flight port: gRPC, gRPC-Web and the health service, with or without TLS.

use std::time::Duration;

use anyhow::{Context, Result};
use jetway_flight::{FlightEndpoint, FlightGateway, WebLayer, WebOrigins};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::server::HealthReporter;

use crate::tls::{Clients, Identity};

/// What the port is made of.
#[derive(Debug)]
pub(super) struct FlightPort {
    pub(super) listener: TcpListener,
    pub(super) gateway: FlightGateway,
    pub(super) identity: Option<Identity>,
    pub(super) origins: WebOrigins,
    pub(super) health: HealthReporter,
    pub(super) traced: bool,
}

impl FlightPort {
    /// Serves until `stop` is done, then lets running calls finish.
    pub(super) async fn serve(self, stop: CancellationToken) -> Result<()> {
        let connections = connections(self.listener);
        let mut server = jetway_flight::tune(Server::builder()).accept_http1(true);
        if self.traced {
            server = server.trace_fn(crate::telemetry::call_span);
        }
        let health = tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(self.health),
        );
        let server = server
            .layer(WebLayer::new(self.origins))
            .add_service(self.gateway.into_service())
            .add_service(health);
        let stop = stop.cancelled_owned();
        match self.identity {
            Some(identity) => {
                let connections = identity.accept(Clients::Verified, connections);
                server.serve_with_incoming_shutdown(connections, stop).await
            }
            None => server.serve_with_incoming_shutdown(connections, stop).await,
        }
        .context("the Arrow Flight server failed")
    }
}

/// The connections of a listener, set up for streams.
pub(super) fn connections(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .with_keepalive(Some(Duration::from_secs(60)))
}

/// Tells those who ask the health service whether calls are wanted.
pub(super) async fn report(health: &HealthReporter, wanted: bool) {
    let status = if wanted {
        tonic_health::ServingStatus::Serving
    } else {
        tonic_health::ServingStatus::NotServing
    };
    for service in ["", <FlightEndpoint as tonic::server::NamedService>::NAME] {
        health.set_service_status(service, status).await;
    }
}
