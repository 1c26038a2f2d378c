use http_body_util::BodyExt;

use super::*;

async fn inner(request: Request<Body>) -> Result<Response<Body>, std::convert::Infallible> {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let mut response = Response::new(Body::empty());
    response
        .headers_mut()
        .insert("seen", kind.unwrap_or(HeaderValue::from_static("none")));
    Ok(response)
}

async fn call(request: http::request::Builder) -> Response<Body> {
    let origins = WebOrigins::parse("https://app.example.org, http://localhost:8080").unwrap();
    let mut service = WebLayer::new(origins).layer(tower::service_fn(inner));
    service.call(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn grpc_passes_untouched() {
    let request = Request::post("/x")
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc");
    let response = call(request).await;
    assert_eq!(response.headers()["seen"], "application/grpc");
    assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
}

#[tokio::test]
async fn pages_of_named_origins_may_call_and_read_the_status() {
    let request = Request::post("/x")
        .header("origin", "https://app.example.org")
        .header("content-type", "application/grpc-web+proto");
    let response = call(request).await;
    assert_eq!(response.headers()["seen"], "application/grpc");
    assert_eq!(
        response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN],
        "https://app.example.org"
    );
    let exposed = response.headers()[header::ACCESS_CONTROL_EXPOSE_HEADERS]
        .to_str()
        .unwrap();
    assert!(exposed.contains("grpc-status") && exposed.contains("grpc-message"));
}

#[tokio::test]
async fn preflights_are_answered_for_named_origins_only() {
    let preflight = |origin: &str| {
        Request::options("/x")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,x-grpc-web,content-type",
            )
    };
    let response = call(preflight("http://localhost:8080")).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let allowed = &response.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS];
    assert_eq!(allowed, "authorization,x-grpc-web,content-type");
    assert!(
        !response
            .headers()
            .contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS)
    );
    assert_eq!(
        call(preflight("https://evil.example.org")).await.status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn other_pages_are_refused() {
    let request = Request::post("/x")
        .header("origin", "https://evil.example.org")
        .header("content-type", "application/grpc-web");
    assert_eq!(call(request).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_browser_on_the_wrong_port_is_told() {
    let response = call(Request::get("/")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("HTTP port"));
}

#[test]
fn origins_are_checked() {
    assert!(WebOrigins::parse("app.example.org").is_err());
    assert!(WebOrigins::parse("https://app.example.org/path").is_err());
    assert!(
        WebOrigins::parse("*")
            .unwrap()
            .allow(&HeaderValue::from_static("https://any.example.org"))
    );
    assert!(
        !WebOrigins::parse("")
            .unwrap()
            .allow(&HeaderValue::from_static("https://any.example.org"))
    );
}
