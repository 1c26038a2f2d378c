//! Tells an upload that was cut off from one that has ended.
//!
//! When a client cancels a call, or dies, its request stream is reset. tonic shows that to a service as the regular end of the
//! stream, so a service that commits at the end would commit half an upload. Here the reset becomes an error again.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::codegen::{Body as HttpBody, Service};
use tonic::{Code, Status};

/// A service whose requests fail when they are cut off.
#[derive(Debug, Clone)]
pub(super) struct CutOff<S>(pub(super) S);

impl<S: Service<Request<Body>>> Service<Request<Body>> for CutOff<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.0.call(request.map(|body| Body::new(Upload(body))))
    }
}

#[derive(Debug)]
struct Upload(Body);

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        Pin::new(&mut self.0)
            .poll_frame(context)
            .map_err(|status| match status.code() {
                // tonic swallows exactly this code, see `tonic::codec::Streaming`.
                Code::Cancelled => Status::aborted("the client cut off its upload"),
                _ => status,
            })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}
