//! Health, metrics and stopping.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption};
use futures::StreamExt;
use tonic::transport::{Channel, Endpoint};

use crate::harness::{NodeProcess, PASSWORD, jetway};

async fn client(flight: &str) -> FlightSqlServiceClient<Channel> {
    let channel = Endpoint::from_shared(flight.replace("grpc://", "http://"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = FlightSqlServiceClient::new(channel);
    client.handshake("admin", PASSWORD).await.unwrap();
    client
}

/// An ingest of `batches` batches of one row, with a pause before each.
async fn slow_ingest(flight: &str, batches: i64, pause: Duration) -> Result<i64, FlightError> {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let rows = futures::stream::iter(0..batches).then(move |id| {
        let schema = Arc::clone(&schema);
        async move {
            tokio::time::sleep(pause).await;
            Ok(RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![id]))]).unwrap())
        }
    });
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Create.into(),
            if_exists: TableExistsOption::Append.into(),
        }),
        table: "slow".to_owned(),
        ..CommandStatementIngest::default()
    };
    client(flight).await.execute_ingest(command, rows).await
}

#[test]
fn health_metrics_and_info_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    for probe in ["", "?type=liveness", "?type=readiness", "?type=startup"] {
        assert_eq!(
            node.get(&format!("/system/health{probe}")).unwrap(),
            (200, r#"{"ok":true}"#.to_owned())
        );
    }
    node.sql("SELECT 1");
    let (status, metrics) = node.get("/system/metrics").unwrap();
    assert_eq!(status, 200);
    let resident = metrics
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes "))
        .unwrap();
    assert!(resident.parse::<f64>().unwrap() > 1e6, "{metrics}");
    assert!(metrics.contains("jetway_info{version="), "{metrics}");
    let (_, info) = node.get("/system/info").unwrap();
    assert!(info.contains(&node.flight), "{info}");
    assert!(node.get("/").unwrap().1.contains(&node.flight));
    assert_eq!(node.get("/nothing").unwrap().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_finishes_what_it_has_begun_and_takes_nothing_new() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    let flight = node.flight.clone();
    let running = tokio::spawn(async move { slow_ingest(&flight, 20, Duration::from_millis(150)).await });
    tokio::time::sleep(Duration::from_millis(1000)).await;
    node.signal("-TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (status, body) = node.get("/system/health?type=readiness").unwrap();
    assert_eq!(status, 503, "{body}");
    assert_eq!(node.get("/system/health?type=liveness").unwrap().0, 200);
    assert!(
        Endpoint::from_shared(node.flight.replace("grpc://", "http://"))
            .unwrap()
            .connect()
            .await
            .is_err()
    );
    assert_eq!(running.await.unwrap().unwrap(), 20);
    assert!(node.wait().status.success());
    let node = NodeProcess::start(dir.path());
    assert_eq!(node.sql("SELECT count(*) AS n FROM slow"), "n\n20\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_outlive_the_grace_period_are_cut_off_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start_with(
        jetway()
            .env("JETWAY_ADMIN_PASSWORD", PASSWORD)
            .env("JETWAY_SHUTDOWN__GRACE_PERIOD", "1s"),
        dir.path(),
    );
    let flight = node.flight.clone();
    let running = tokio::spawn(async move { slow_ingest(&flight, 600, Duration::from_millis(100)).await });
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let asked = Instant::now();
    assert!(node.stop().status.success());
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert!(running.await.unwrap().is_err());
    let node = NodeProcess::start(dir.path());
    let (success, _, message) = crate::harness::finish(&mut node.client(&["sql", "SELECT count(*) FROM slow"]));
    assert!(!success, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_node_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    let flight = node.flight.clone();
    let running = tokio::spawn(async move { slow_ingest(&flight, 600, Duration::from_millis(100)).await });
    tokio::time::sleep(Duration::from_millis(1000)).await;
    node.signal("-INT");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let asked = Instant::now();
    node.signal("-INT");
    assert_eq!(node.wait().status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert!(running.await.unwrap().is_err());
}

#[test]
fn a_port_that_is_taken_is_explained_and_makes_no_account() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(&dir.path().join("one"));
    let taken = node.http.to_string();
    let other = dir.path().join("other");
    let message = crate::harness::fail(
        jetway()
            .args([
                "serve",
                "--http-address",
                &taken,
                "--flight-address",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(&other),
    );
    assert!(
        message.contains("http.address") && message.contains(&taken),
        "{message}"
    );
    assert!(!other.join("accounts.json").exists());
}

#[test]
fn listening_for_everybody_without_tls_is_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let local = NodeProcess::start(&dir.path().join("local"));
    assert!(!local.stop().stderr.contains("without TLS"));
    let config = dir.path().join("jetway.yaml");
    std::fs::write(&config, "telemetry:\n  log_format: json\n").unwrap();
    let mut command = jetway();
    command
        .env("JETWAY_ADMIN_PASSWORD", PASSWORD)
        .env("JETWAY_CONFIG", &config);
    let mut child = command
        .args([
            "serve",
            "--http-address",
            "127.0.0.1:0",
            "--flight-address",
            "0.0.0.0:0",
            "--data-dir",
        ])
        .arg(dir.path().join("open"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut ready).unwrap();
    assert!(ready.starts_with("jetway ready"), "{ready}");
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let stderr = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(stderr.contains("without TLS"), "{stderr}");
    assert!(stderr.contains("\"message\":\"the node is up\""), "{stderr}");
}
