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

mod download;

/// The Flight service, for [`tonic::transport::Server::add_service`].
///
/// It stands between the transport and tonic's own service for two reasons: tonic takes a request stream that the client
/// canceled for one that ended, so that an upload that is cut off in the middle would look complete, and would be committed;
/// and its codec copies every message once more, which for rows is most of what the network side does.
#[derive(Debug, Clone)]
pub struct FlightEndpoint {
    service: FlightServiceServer<FlightGateway>,
    gateway: FlightGateway,
    max_request: usize,
}

impl FlightEndpoint {
    /// An endpoint that takes in messages of up to `max_request` bytes.
    pub(crate) fn new(gateway: FlightGateway, max_request: usize) -> Self {
        let service = FlightServiceServer::new(gateway.clone())
            .max_decoding_message_size(max_request)
            .max_encoding_message_size(usize::MAX);
        Self {
            service,
            gateway,
            max_request,
        }
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
        let request = request.map(|body| Body::new(body.map_err(|error| cut_off(&error))));
        if request.uri().path() == download::PATH {
            let answer = download::answer(self.gateway.clone(), request, self.max_request);
            return Box::pin(async move { Ok(answer.await) });
        }
        self.service.call(request)
    }
}

/// Any code but CANCELLED reaches those who read the stream.
fn cut_off(error: &Status) -> Status {
    Status::aborted(format!(
        "the client canceled the request or its connection broke: {}",
        error.message()
    ))
}
