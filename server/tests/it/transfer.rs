//! Datasets copied between nodes, folders and back, by the command line and by plain HTTP.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jetway_odf::chain;
use jetway_odf::codec::ManifestVersion;
use jetway_odf::identity::DatasetId;
use jetway_odf::metadata::{MetadataEvent, SetInfo};
use jetway_odf::storage::{CommitOutcome, Repository, RepositoryOptions};
use serde_json::Value;

use crate::datasets::{Copied, fixtures, json, on};
use crate::harness::{NodeProcess, fail, jetway, succeed};

mod http;

/// A node with nothing in it, and a token of its admin.
struct Node {
    process: NodeProcess,
    token: String,
    folder: tempfile::TempDir,
}

impl Node {
    fn start() -> Self {
        Self::start_with(&mut jetway())
    }

    fn start_with(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = command.env("JETWAY_ADMIN_PASSWORD", crate::harness::PASSWORD);
        let process = NodeProcess::start_with(command, folder.path());
        let token = Self::token_of(folder.path(), "admin");
        Self { process, token, folder }
    }

    fn token_of(folder: &Path, account: &str) -> String {
        let mut command = jetway();
        command.args(["token", "create", "--account", account, "--name", "test", "--data-dir"]);
        succeed(command.arg(folder)).trim().to_owned()
    }

    fn url(&self, name: &str) -> String {
        format!("http://{}/admin/{name}", self.process.http)
    }

    /// A command with the token.
    fn with_token<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("JETWAY_TOKEN", &self.token)
    }
}

/// Every file of a dataset that a copy must bring.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in ["blocks", "data", "checkpoints", "refs"] {
        for entry in std::fs::read_dir(folder.join(name)).into_iter().flatten() {
            let entry = entry.unwrap();
            let key = format!("{name}/{}", entry.file_name().to_str().unwrap());
            files.insert(key, std::fs::read(entry.path()).unwrap());
        }
    }
    files
}

fn original(id: &str) -> BTreeMap<String, Vec<u8>> {
    content(&fixtures().join("datasets").join(id.trim_start_matches("did:odf:")))
}

/// Identity and name of each dataset.
fn datasets(copied: &Copied) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = copied.json(&["list"]);
    let entries = list.as_array().unwrap().iter();
    entries
        .map(|entry| (text(&entry["id"]), text(&entry["name"])))
        .collect()
}

/// Adds a block to a dataset.
fn extend(repository: &Path, id: &str, text: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = RepositoryOptions::default();
        let repository = Repository::open(repository.to_str().unwrap(), &options);
        let dataset = repository.await.unwrap().dataset(id.parse::<DatasetId>().unwrap());
        let head = dataset.head().await.unwrap().unwrap();
        let state = chain::load(&dataset, head, |_| {}).await.unwrap();
        let event = MetadataEvent::SetInfo(SetInfo {
            description: Some(text.to_owned()),
            keywords: None,
        });
        let time = state.next_system_time(chrono::Utc::now());
        let (blocks, _) = state.append(vec![event], time, ManifestVersion::V3).unwrap();
        let outcome = dataset.commit(Some(head), &blocks, Vec::new()).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }));
    });
}

#[test]
fn datasets_travel_over_nodes_and_come_back_as_they_were() {
    let (here, node, there) = (Copied::new(), Node::start(), tempfile::tempdir().unwrap());
    let datasets = datasets(&here);
    assert_eq!(datasets.len(), 7);
    for (id, name) in &datasets {
        let url = node.url(name);
        let pushed = json(node.with_token(&mut here.jetway(&["push", name, "--to", &url])));
        assert_eq!(pushed["outcome"], "created");
        let files = original(id);
        let count = |folder: &str| files.keys().filter(|name| name.starts_with(folder)).count();
        assert_eq!(pushed["blocks"], count("blocks/"));
        assert_eq!(pushed["objects"], count("data/") + count("checkpoints/"));
        let again = json(node.with_token(&mut here.jetway(&["push", id, "--to", &url])));
        assert_eq!(again["outcome"], "upToDate");

        let from = ["pull", "--from", &url, "--as", &format!("alice/{name}")];
        let pulled = json(node.with_token(&mut on(there.path(), &from)));
        assert_eq!(
            (&pulled["outcome"], &pulled["id"]),
            (&"created".into(), &id.as_str().into())
        );
        let copied = there.path().join(id.trim_start_matches("did:odf:"));
        assert!(content(&copied) == files, "{name}");
        assert_eq!(
            std::fs::read_to_string(copied.join("info/alias")).unwrap(),
            format!("alice/{name}")
        );

        // The node answers from it.
        let rows = node.process.sql(&format!("SELECT count(*) AS rows FROM \"{name}\""));
        assert!(
            rows.trim().lines().last().unwrap().parse::<u64>().unwrap() > 0,
            "{rows}"
        );
    }
    // What came later follows.
    let (id, name) = &datasets[0];
    extend(here.path(), id, "more");
    let pushed = json(node.with_token(&mut here.jetway(&["push", name, "--to", &node.url(name)])));
    assert_eq!(
        (&pushed["outcome"], &pushed["blocks"]),
        (&"forwarded".into(), &1.into())
    );
    let pulled = json(node.with_token(&mut on(there.path(), &["pull", "--from", &node.url(name)])));
    assert_eq!(
        (&pulled["outcome"], &pulled["head"]),
        (&"forwarded".into(), &pushed["head"])
    );
}

#[test]
fn folders_are_places_too() {
    let (here, there) = (Copied::new(), tempfile::tempdir().unwrap());
    let (id, name) = &datasets(&here)[0];
    let folder = id.trim_start_matches("did:odf:");
    let to = format!("file://{}", there.path().display());
    let pushed = json(&mut here.jetway(&["push", name, "--to", &to, "--dataset", "bob/copy"]));
    assert_eq!(pushed["outcome"], "created");
    assert!(content(&there.path().join(folder)) == original(id));
    assert_eq!(
        std::fs::read_to_string(there.path().join(folder).join("info/alias")).unwrap(),
        "bob/copy"
    );

    for from in [
        to.clone(),
        format!("{to}/{folder}"),
        there.path().join(folder).display().to_string(),
    ] {
        let end = tempfile::tempdir().unwrap();
        succeed(&mut on(end.path(), &["pull", "--from", &from]));
        assert!(content(&end.path().join(folder)) == original(id), "{from}");
        assert_eq!(
            std::fs::read_to_string(end.path().join(folder).join("info/alias")).unwrap(),
            "admin/copy"
        );
    }
    let many = here.path().display().to_string();
    let end = tempfile::tempdir().unwrap();
    let error = fail(&mut on(end.path(), &["pull", "--from", &many]));
    assert!(error.contains("--dataset"), "{error}");
    succeed(&mut on(end.path(), &["pull", "--from", &many, "--dataset", name]));
    assert!(content(&end.path().join(folder)) == original(id));
    let error = fail(&mut on(end.path(), &["pull", "--from", "/nonexistent/folder"]));
    assert!(error.contains("no folder"), "{error}");
    let mistyped = end.path().join("mistyped");
    fail(&mut on(
        end.path(),
        &["pull", "--from", &format!("file://{}", mistyped.display())],
    ));
    assert!(!mistyped.exists());
}

#[test]
fn of_two_pushes_at_the_same_time_one_wins_and_the_other_is_told() {
    let (left, right, node) = (Copied::new(), Copied::new(), Node::start());
    let (id, name) = &datasets(&left)[0];
    let url = node.url(name);
    let push = |copied: &Copied| {
        let mut command = copied.jetway(&["push", name, "--to", &url, "--output", "json"]);
        let command = node.with_token(&mut command);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // Both make it.
    for child in [push(&left), push(&right)] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    extend(left.path(), id, "left");
    extend(right.path(), id, "right");
    let outputs = [push(&left), push(&right)].map(|child| child.wait_with_output().unwrap());
    let won: Vec<_> = outputs.iter().filter(|output| output.status.success()).collect();
    let lost: Vec<_> = outputs.iter().filter(|output| !output.status.success()).collect();
    assert_eq!((won.len(), lost.len()), (1, 1), "{outputs:?}");
    let error = String::from_utf8_lossy(&lost[0].stderr);
    assert!(
        error.contains("nothing was copied") && error.contains("--force"),
        "{error}"
    );
    let head = |output: &std::process::Output| serde_json::from_slice::<Value>(&output.stdout).unwrap()["head"].clone();
    let expected = head(won[0]);
    let (status, _, body) = http::request(&node, "GET", &format!("/admin/{name}/refs/head"), &[], b"");
    assert_eq!((status, Value::from(String::from_utf8(body).unwrap())), (200, expected));

    let loser = if outputs[0].status.success() { &right } else { &left };
    let forced = json(node.with_token(&mut loser.jetway(&["push", name, "--to", &url, "--force"])));
    assert_eq!(forced["outcome"], "overwritten");
}

#[test]
fn a_push_that_is_killed_leaves_nothing_visible_and_the_next_one_goes_on() {
    let (here, node) = (Copied::new(), Node::start());
    let sizes = |id: &str| {
        let files = original(id).into_iter();
        files
            .filter(|(name, _)| name.starts_with("data/"))
            .map(|(_, bytes)| bytes.len())
            .collect::<Vec<_>>()
    };
    let datasets = datasets(&here);
    let (id, name) = datasets.iter().find(|(id, _)| sizes(id).len() > 1).unwrap();
    // All blocks and one slice get through, then nothing more.
    let proxy = Proxy::start(node.process.http);
    let url = format!("http://{}/admin/{name}", proxy.address);
    let mut command = here.jetway(&["push", name, "--to", &url, "--parallel", "1"]);
    let mut child = node
        .with_token(&mut command)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    proxy.wait_for_puts(1);
    child.kill().unwrap();
    child.wait().unwrap();

    let (status, _, _) = http::request(&node, "GET", &format!("/admin/{name}/refs/head"), &[], b"");
    assert_eq!(status, 404);
    let pushed = json(node.with_token(&mut here.jetway(&["push", name, "--to", &node.url(name)])));
    assert_eq!(pushed["outcome"], "created");
    assert_eq!(pushed["objectsSkipped"], 1);
    assert_eq!(pushed["objects"], sizes(id).len() - 1);
    let stored = node
        .folder
        .path()
        .join("datasets")
        .join(id.trim_start_matches("did:odf:"));
    assert!(content(&stored) == original(id));
}

/// Passes bytes on until so many objects were answered for, then none any more.
struct Proxy {
    address: SocketAddr,
    puts: Arc<AtomicUsize>,
}

impl Proxy {
    fn start(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (puts, is_closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let counted = Arc::clone(&puts);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, counted, is_closed) = (client.unwrap(), Arc::clone(&counted), Arc::clone(&is_closed));
                let server = TcpStream::connect(node).unwrap();
                let (answers, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let requested = Arc::new(Mutex::new(Vec::new()));
                let asked = Arc::clone(&requested);
                let closed = Arc::clone(&is_closed);
                std::thread::spawn(move || {
                    pass(client, server, |bytes| {
                        asked.lock().unwrap().extend_from_slice(bytes);
                        !closed.load(Ordering::SeqCst)
                    })
                });
                std::thread::spawn(move || {
                    pass(answers, to_client, |bytes| {
                        let mut requested = requested.lock().unwrap();
                        let text = String::from_utf8_lossy(&requested);
                        let is_put = text
                            .lines()
                            .any(|line| line.starts_with("PUT ") && line.contains("/data/"));
                        requested.clear();
                        if is_put && bytes.starts_with(b"HTTP/1.1 204") {
                            is_closed.store(true, Ordering::SeqCst);
                            counted.fetch_add(1, Ordering::SeqCst);
                        }
                        true
                    })
                });
            }
        });
        Self { address, puts }
    }

    fn wait_for_puts(&self, count: usize) {
        let patience = Instant::now() + Duration::from_secs(30);
        while self.puts.load(Ordering::SeqCst) < count {
            assert!(Instant::now() < patience, "nothing was pushed");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut goes_on: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !goes_on(&buffer[..length]) {
            // Silence, until the client is gone.
            continue;
        }
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
