//! Traces reach a collector and continue the client's own.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::{Body as _, Service, http};
use tonic::server::NamedService;
use tonic::transport::{Endpoint, Server};

use crate::harness::{NodeProcess, PASSWORD, jetway};

/// A collector that keeps the bytes of every request.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<u8>>>);

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let received = Arc::clone(&self.0);
        Box::pin(async move {
            let mut body = pin!(request.into_body());
            while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
                if let Ok(bytes) = frame.unwrap().into_data() {
                    received.lock().unwrap().extend_from_slice(&bytes);
                }
            }
            let answer = http::Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "0");
            Ok(answer.body(Body::empty()).unwrap())
        })
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_a_call_belong_to_the_trace_of_the_client() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = collector.clone();
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );

    let dir = tempfile::tempdir().unwrap();
    let mut command = jetway();
    command
        .env("JETWAY_ADMIN_PASSWORD", PASSWORD)
        .env("JETWAY_TELEMETRY__OTLP_ENDPOINT", &endpoint);
    let node = NodeProcess::start_with(&mut command, dir.path());
    let channel = Endpoint::from_shared(node.flight.replace("grpc://", "http://"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = FlightSqlServiceClient::new(channel);
    client.handshake("admin", PASSWORD).await.unwrap();
    client.set_header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    client
        .execute_update("CREATE TABLE t AS SELECT 1 AS n".to_owned(), None)
        .await
        .unwrap();
    let info = client.execute("SELECT n + 1 FROM t".to_owned(), None).await.unwrap();
    for endpoint in info.endpoint {
        let rows = client.do_get(endpoint.ticket.unwrap()).await.unwrap();
        rows.try_collect::<Vec<_>>().await.unwrap();
    }
    drop(client);

    // What has not been sent yet is sent when the node stops.
    let ended = tokio::task::spawn_blocking(|| node.stop()).await.unwrap();
    assert!(ended.status.success(), "{}", ended.stderr);
    let received = collector.0.lock().unwrap();
    assert!(
        contains(&received, b"service.name") && contains(&received, b"GetFlightInfo"),
        "{}",
        ended.stderr
    );
    let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    assert!(contains(&received, &trace), "the client's trace is not continued");
    // A span holds the identity of its trace a few bytes before its name.
    let mut starts = (0..received.len()).filter(|&at| received[at..].starts_with(b"object_store.get"));
    assert!(
        starts.any(|at| contains(&received[at.saturating_sub(64)..at], &trace)),
        "the trace does not reach object storage"
    );
}
