use axum::body::Body;
use axum::http::Request;
use futures::FutureExt;
use tower::ServiceExt;

use super::*;

fn system(storage: Result<(), String>) -> System {
    System {
        version: "1.2.3",
        http: ([127, 0, 0, 1], 8080).into(),
        flight: ([127, 0, 0, 1], 50050).into(),
        tls: false,
        identity: "did:key:z6Mk".to_owned(),
        readiness: Readiness::default(),
        storage: Arc::new(move || futures::future::ready(storage.clone()).boxed()),
        metrics: Arc::new(|| "up 1\n".to_owned()),
    }
}

async fn get_page(system: &System, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(system.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn readiness_follows_the_switch_and_storage_but_liveness_does_not() {
    let node = system(Ok(()));
    for (path, status) in [
        ("/system/health", 200),
        ("/system/health?type=liveness", 200),
        ("/system/health?type=readiness", 503),
        ("/system/health?type=startup", 503),
        ("/system/health?type=mood", 400),
    ] {
        assert_eq!(get_page(&node, path).await.0.as_u16(), status, "{path}");
    }
    node.readiness.set(true);
    assert_eq!(
        get_page(&node, "/system/health?type=readiness").await,
        (StatusCode::OK, r#"{"ok":true}"#.to_owned())
    );

    let broken = system(Err("the bucket is gone".to_owned()));
    broken.readiness.set(true);
    let (status, body) = get_page(&broken, "/system/health?type=readiness").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("the bucket is gone"), "{body}");
    assert_eq!(
        get_page(&broken, "/system/health?type=liveness").await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn the_other_pages_tell_version_and_addresses() {
    let node = system(Ok(()));
    assert_eq!(
        get_page(&node, "/system/metrics").await,
        (StatusCode::OK, "up 1\n".to_owned())
    );
    let info: serde_json::Value = serde_json::from_str(&get_page(&node, "/system/info").await.1).unwrap();
    assert_eq!(
        info,
        serde_json::json!({"name": "jetway", "version": "1.2.3", "http": "http://127.0.0.1:8080", "flight": "grpc://127.0.0.1:50050", "identity": "did:key:z6Mk"})
    );
    let (_, home) = get_page(&node, "/").await;
    assert!(home.contains("grpc://127.0.0.1:50050") && !home.contains("{flight}"));
    assert_eq!(get_page(&node, "/nothing").await.0, StatusCode::NOT_FOUND);
}
