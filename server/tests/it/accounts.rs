//! First start, accounts and tokens, with a running node beside the command line.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::harness::{NodeProcess, PASSWORD, fail, jetway, succeed};

/// Every file under a folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(std::fs::read(path).unwrap())
        }
    }
    found
}

#[test]
fn the_first_start_shows_a_random_password_once_and_writes_it_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start_with(&mut jetway(), dir.path());
    let flight = node.flight.clone();
    let first = {
        // The password is on standard error, which can be read in full only when the node has ended.
        let ended = node.stop();
        assert!(ended.status.success());
        assert_eq!(ended.stdout.lines().count(), 1);
        assert!(ended.stdout.contains(&flight));
        ended.stderr
    };
    let password = first
        .lines()
        .find_map(|line| line.strip_prefix("password: "))
        .unwrap()
        .to_owned();
    assert!(password.len() >= 20);
    for file in files(dir.path()) {
        assert!(!file.windows(password.len()).any(|window| window == password.as_bytes()));
    }

    let node = NodeProcess::start_with(&mut jetway(), dir.path());
    let mut login = node.client(&["sql", "SELECT 1 AS one", "--output", "csv"]);
    assert_eq!(succeed(login.env("JETWAY_PASSWORD", &password)), "one\n1\n");
    let second = node.stop().stderr;
    assert!(!second.contains("first start") && !second.contains(&password));
}

#[test]
fn wrong_and_missing_credentials_are_refused_alike() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    let statement = ["sql", "SELECT 1"];
    let wrong = fail(node.client(&statement).env("JETWAY_PASSWORD", "a wrong password"));
    let nobody = fail(node.client(&statement).env("JETWAY_USER", "nobody"));
    let token = fail(node.client(&statement).env("JETWAY_TOKEN", "jw_nothing"));
    for message in [&wrong, &nobody, &token] {
        assert!(message.contains("wrong account, password or token"), "{message}");
    }
    assert_eq!(wrong, nobody);
    let missing = fail(
        node.client(&statement)
            .env_remove("JETWAY_USER")
            .env_remove("JETWAY_PASSWORD"),
    );
    assert!(missing.contains("--token"), "{missing}");
    let stderr = node.stop().stderr;
    assert!(
        !stderr.contains("a wrong password") && !stderr.contains(PASSWORD) && !stderr.contains("jw_nothing"),
        "{stderr}"
    );
}

#[test]
fn tokens_work_at_once_in_a_running_node_until_they_are_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    let token = |action: &[&str]| {
        let mut command = jetway();
        command.arg("token").args(action).arg("--data-dir").arg(dir.path());
        command
    };
    let text = succeed(&mut token(&[
        "create",
        "--account",
        "admin",
        "--name",
        "laptop",
        "--expires",
        "30d",
    ]));
    let text = text.trim();
    assert!(text.starts_with("jw_"));
    let with_token = || {
        let mut command = node.client(&["sql", "SELECT 1 AS one", "--output", "csv"]);
        command
            .env_remove("JETWAY_USER")
            .env_remove("JETWAY_PASSWORD")
            .env("JETWAY_TOKEN", text);
        command
    };
    assert_eq!(succeed(&mut with_token()), "one\n1\n");
    // Tools that know only passwords send the token as one.
    succeed(node.client(&["sql", "SELECT 1"]).env("JETWAY_PASSWORD", text));

    let list = succeed(&mut token(&["list"]));
    assert!(list.contains("laptop") && !list.contains(text), "{list}");
    assert!(fail(&mut token(&["create", "--account", "nobody", "--name", "x"])).contains("no account"));
    succeed(&mut token(&["revoke", "--account", "admin", "--name", "laptop"]));
    fail(&mut with_token());
    assert!(fail(&mut token(&["revoke", "--account", "admin", "--name", "laptop"])).contains("no token"));

    let short = succeed(&mut token(&[
        "create",
        "--account",
        "admin",
        "--name",
        "short",
        "--expires",
        "1s",
    ]));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    fail(with_token().env("JETWAY_TOKEN", short.trim()));
}

#[test]
fn accounts_made_beside_a_node_own_their_datasets() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    let create = |name: &str, password: &str| {
        let mut command = jetway();
        command.args(["account", "create", name, "--data-dir"]).arg(dir.path());
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
        child.wait_with_output().unwrap().status.success()
    };
    assert!(create("alice", "the password of alice"));
    assert!(create("bob", "the password of bob"));
    assert!(!create("carol", "short"));
    assert!(!create("ALICE", "the password of alice"));
    let list = succeed(jetway().args(["account", "list", "--data-dir"]).arg(dir.path()));
    assert_eq!(list.lines().count(), 4, "{list}");

    let file = dir.path().join("t.csv");
    std::fs::write(&file, "a\n1\n").unwrap();
    let file = file.to_str().unwrap();
    let as_user = |name: &str, arguments: &[&str]| {
        let mut command = node.client(arguments);
        command
            .env("JETWAY_USER", name)
            .env("JETWAY_PASSWORD", format!("the password of {name}"));
        command
    };
    succeed(&mut as_user("alice", &["ingest", file, "--dataset", "trades"]));
    assert_eq!(
        succeed(&mut as_user(
            "bob",
            &["sql", "SELECT a FROM alice.trades", "--output", "csv"]
        )),
        "a\n1\n"
    );
    let refused = fail(&mut as_user("bob", &["ingest", file, "--dataset", "alice/trades"]));
    assert!(refused.contains("alice/trades"), "{refused}");
    fail(&mut as_user("bob", &["ingest", file, "--dataset", "alice/more"]));
    assert_eq!(node.sql("SELECT count(*) AS n FROM alice.trades"), "n\n1\n");
}
