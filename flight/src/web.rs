//! gRPC-Web: the same service for browsers, which cannot speak gRPC itself.
//!
//! Only pages of origins that the operator named may call. Programs, which send no `Origin`, may use gRPC-Web as they like:
//! they authenticate as everybody does.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service};

#[cfg(test)]
mod tests;

/// How long browsers remember what they may do, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("7200");

/// What pages may read of an answer.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("grpc-status,grpc-message,grpc-status-details-bin,authorization,jetway-session");

const NOT_HTTP: &str = "This is the Arrow Flight port of a Jetway node. It speaks gRPC and, for browsers, gRPC-Web; health, metrics and \
                        pages are on its HTTP port.\n";

/// The origins whose pages may call, such as `https://app.example.org`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebOrigins {
    any: bool,
    names: BTreeSet<String>,
}

impl WebOrigins {
    /// Origins from a list with commas; `*` stands for any.
    ///
    /// # Errors
    /// When one has no scheme or has a path.
    pub fn parse(list: &str) -> crate::Result<Self> {
        let mut origins = Self::default();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name == "*" {
                origins.any = true;
                continue;
            }
            let host = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://"));
            match host {
                Some(host) if !host.is_empty() && !host.contains('/') => {
                    origins.names.insert(name.to_ascii_lowercase());
                }
                _ => {
                    return Err(crate::Error::invalid_argument(format!(
                        "\"{name}\" is no origin: write scheme and host as browsers do, such as https://app.example.org, or *"
                    )));
                }
            }
        }
        Ok(origins)
    }

    /// The same origins and one more.
    #[must_use]
    pub fn and(mut self, origin: &str) -> Self {
        self.names.insert(origin.to_ascii_lowercase());
        self
    }

    fn allow(&self, origin: &HeaderValue) -> bool {
        self.any
            || origin
                .to_str()
                .is_ok_and(|origin| self.names.contains(&origin.to_ascii_lowercase()))
    }
}

/// Lets browsers call the services of a server, see [`tonic::transport::Server::layer`]. The server must accept HTTP/1.1.
#[derive(Debug, Clone)]
pub struct WebLayer {
    origins: Arc<WebOrigins>,
}

impl WebLayer {
    /// A layer for pages of the given origins.
    #[must_use]
    pub fn new(origins: WebOrigins) -> Self {
        Self {
            origins: Arc::new(origins),
        }
    }
}

impl<S: Clone> Layer<S> for WebLayer {
    type Service = Web<S>;

    fn layer(&self, inner: S) -> Web<S> {
        Web {
            web: GrpcWebLayer::new().layer(inner.clone()),
            inner,
            origins: Arc::clone(&self.origins),
        }
    }
}

/// Services that browsers can call as well.
#[derive(Debug, Clone)]
pub struct Web<S> {
    inner: S,
    web: GrpcWebService<S>,
    origins: Arc<WebOrigins>,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Web<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone,
    S::Future: Send + 'static,
    S::Error: fmt::Debug + Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_web = is_grpc_web(request.headers());
        if request.version() == Version::HTTP_2 && !is_web && request.method() != Method::OPTIONS {
            return Box::pin(self.inner.call(request));
        }
        let origin = request.headers().get(header::ORIGIN).cloned();
        if let Some(origin) = &origin
            && !self.origins.allow(origin)
        {
            return immediate(
                StatusCode::FORBIDDEN,
                "pages of this origin may not call this node; its operator can allow them\n",
            );
        }
        match origin {
            Some(origin) if request.method() == Method::OPTIONS => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                allow(response.headers_mut(), origin);
                preflight(request.headers(), response.headers_mut());
                Box::pin(std::future::ready(Ok(response)))
            }
            _ if !is_web => immediate(StatusCode::BAD_REQUEST, NOT_HTTP),
            origin => {
                let answer = self.web.call(request);
                Box::pin(async move {
                    let mut response = answer.await?;
                    if let Some(origin) = origin {
                        allow(response.headers_mut(), origin);
                    }
                    Ok(response)
                })
            }
        }
    }
}

fn is_grpc_web(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/grpc-web"))
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

/// What a page may send: the headers that it asks for, since all that have a meaning here are checked like those of programs. No
/// cookies: a page has its token.
fn preflight(request: &HeaderMap, response: &mut HeaderMap) {
    response.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    if let Some(headers) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        response.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
    }
    response.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
}

fn immediate<E: Send + 'static>(status: StatusCode, text: &'static str) -> Answer<E> {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
    const NO_SNIFFING: (HeaderName, HeaderValue) =
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let mut response = Response::new(Body::new(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    response.headers_mut().insert(NO_SNIFFING.0, NO_SNIFFING.1);
    Box::pin(std::future::ready(Ok(response)))
}
