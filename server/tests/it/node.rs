//! A node inside the test's own process.

use jetway_control::FirstAdmin;
use jetway_server::config::Layer;
use jetway_server::{Config, Node};

fn config(data_dir: &std::path::Path) -> Config {
    let flags = Layer::flags()
        .with(&["data_dir"], Some(data_dir.display()))
        .with(&["http", "address"], Some("127.0.0.1:0"))
        .with(&["flight", "address"], Some("127.0.0.1:0"))
        .with(&["storage", "repository"], Some("memory:"));
    Config::load(None, std::iter::empty(), flags).unwrap()
}

#[tokio::test]
async fn it_starts_on_free_ports_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let one = Node::start(&config(&dir.path().join("one"))).await.unwrap();
    let other = Node::start(&config(&dir.path().join("other"))).await.unwrap();
    assert!(matches!(one.first_admin, FirstAdmin::Generated(_)));
    assert_ne!(one.flight, other.flight);
    tokio::net::TcpStream::connect(one.http).await.unwrap();
    let flight = one.flight;
    one.shutdown().await;
    assert!(tokio::net::TcpStream::connect(flight).await.is_err());
    other.shutdown().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let mut wrong_key = config(dir.path());
    wrong_key.node.key = Some("too short".to_owned().into());
    let message = format!("{:#}", Node::start(&wrong_key).await.unwrap_err());
    assert!(
        message.contains("node.key") && !message.contains("too short"),
        "{message}"
    );
    let mut wrong_repository = config(dir.path());
    wrong_repository.storage.repository = Some("gopher://nowhere".to_owned());
    let message = format!("{:#}", Node::start(&wrong_repository).await.unwrap_err());
    assert!(message.contains("storage.repository"), "{message}");
    let mut wrong_password = config(dir.path());
    wrong_password.accounts.admin_password = Some("short".to_owned().into());
    let message = format!("{:#}", Node::start(&wrong_password).await.unwrap_err());
    assert!(message.contains("8 characters"), "{message}");
}
