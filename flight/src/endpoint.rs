//! The service as the transport sees it.

use std::convert::Infallible;
use std::task::{Context, Poll};

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use crate::FlightGateway;

/// The Flight service, for [`tonic::transport::Server::add_service`].
///
/// It stands between the transport and tonic's own service for one reason: tonic takes a request stream that the client
/// canceled for one that ended. An upload that is cut off in the middle would look complete, and would be committed.
#[derive(Debug, Clone)]
pub struct FlightEndpoint {
    service: FlightServiceServer<FlightGateway>,
}

impl FlightEndpoint {
    pub(crate) fn new(service: FlightServiceServer<FlightGateway>) -> Self {
        Self { service }
    }
}

impl NamedService for FlightEndpoint {
    const NAME: &'static str = <FlightServiceServer<FlightGateway> as NamedService>::NAME;
}

impl Service<Request<Body>> for FlightEndpoint {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Request<Body>>::poll_ready(&mut self.service, context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.service
            .call(request.map(|body| Body::new(body.map_err(|error| cut_off(&error)))))
    }
}

/// Any code but CANCELLED reaches those who read the stream.
fn cut_off(error: &Status) -> Status {
    Status::aborted(format!(
        "the client canceled the request or its connection broke: {}",
        error.message()
    ))
}
