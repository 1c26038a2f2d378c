//! What keeps a node alive: queries are seen and stopped, and each has limits.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{NodeProcess, PASSWORD, fail, jetway, succeed};

/// Does not end by itself.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 10000000) AS a(x) CROSS JOIN generate_series(1, 10000000) AS b(y) \
                       WHERE (a.x * b.y) % 7 = 3";

/// Waits until something is so.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < patience, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One column of the endless queries in a state.
fn listed(node: &NodeProcess, column: &str, state: &str) -> Vec<String> {
    let statement = format!(
        "SELECT {column} AS c FROM system.queries WHERE query LIKE 'SELECT count(%' AND state = '{state}' ORDER BY id"
    );
    node.sql(&statement).lines().skip(1).map(ToOwned::to_owned).collect()
}

fn start_endless(node: &NodeProcess) -> Child {
    let mut command = node.client(&["sql", ENDLESS]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Processor time of the node in hundredths of a second.
fn ticks(node: &NodeProcess) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The node computes no more.
fn rests(node: &NodeProcess) {
    eventually("an end of the work", || {
        let before = ticks(node);
        std::thread::sleep(Duration::from_millis(500));
        (ticks(node) - before < 20).then_some(())
    });
}

#[test]
fn queries_are_listed_and_stopped_by_hand_or_when_their_client_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    let client = start_endless(&node);
    let id = eventually("a running query", || listed(&node, "id", "running").pop());
    let shown = succeed(&mut node.client(&["queries", "--output", "csv"]));
    assert!(shown.contains(&id) && shown.contains("running"), "{shown}");

    let said = succeed(&mut node.client(&["queries", "kill", &id]));
    assert_eq!(said, format!("{id}: stopped\n"));
    let output = client.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && stderr.contains("stopped by admin"),
        "{stderr}"
    );
    assert_eq!(
        eventually("its end", || listed(&node, "error_code", "cancelled").pop()),
        "CANCELLED"
    );
    rests(&node);
    let unknown = fail(&mut node.client(&["queries", "kill", "00000000-0000-0000-0000-000000000000"]));
    assert!(unknown.contains("system.queries"), "{unknown}");

    let mut client = start_endless(&node);
    eventually("a running query", || listed(&node, "id", "running").pop());
    client.kill().unwrap();
    client.wait().unwrap();
    eventually("a second end", || {
        (listed(&node, "id", "cancelled").len() == 2).then_some(())
    });
    rests(&node);
    let (_, metrics) = node.get("/system/metrics").unwrap();
    assert!(metrics.contains("\njetway_queries_running 0\n"), "{metrics}");
    assert!(
        metrics.contains("jetway_queries_total{state=\"cancelled\"} 2"),
        "{metrics}"
    );
    assert!(metrics.contains("\njetway_query_memory_bytes 0\n"), "{metrics}");
}

fn limited(settings: &[(&str, &str)], command: &mut Command) -> (tempfile::TempDir, NodeProcess) {
    let dir = tempfile::tempdir().unwrap();
    command
        .env("JETWAY_ADMIN_PASSWORD", PASSWORD)
        .envs(settings.iter().copied());
    let node = NodeProcess::start_with(command, dir.path());
    (dir, node)
}

#[test]
fn a_statement_that_takes_too_much_is_told_of_what() {
    let settings = [
        ("JETWAY_QUERY__STATEMENT_MEMORY_LIMIT", "64MiB"),
        ("JETWAY_QUERY__SPILL_LIMIT", "1MiB"),
        ("JETWAY_QUERY__MAX_RESULT_ROWS", "1000"),
    ];
    let (_dir, node) = limited(&settings, &mut jetway());
    for (statement, expected) in [
        (
            "SELECT max(length(a.t) + length(b.t)) FROM \
             (SELECT repeat('x', 100) || x AS t FROM generate_series(1, 1000000) AS g(x)) a CROSS JOIN \
             (SELECT repeat('y', 100) || y AS t FROM generate_series(1, 1000000) AS h(y)) b",
            "more memory than it may have",
        ),
        (
            "SELECT max(p) FROM (SELECT row_number() OVER (ORDER BY t) AS p FROM \
             (SELECT repeat('x', 100) || ((x * 7919) % 1000003) AS t FROM generate_series(1, 1000000) AS g(x)))",
            "query.spill_limit",
        ),
        (
            "SELECT x FROM generate_series(1, 1001) AS g(x)",
            "query.max_result_rows",
        ),
    ] {
        let error = fail(&mut node.client(&["sql", statement]));
        assert!(error.contains(expected), "{statement}: {error}");
    }
    assert_eq!(
        node.sql("SELECT count(*) AS n FROM generate_series(1, 1000) AS g(x)"),
        "n\n1000\n"
    );
    let failed = node.sql("SELECT count(*) AS n FROM system.queries WHERE error_code = 'RESOURCE_EXHAUSTED'");
    assert_eq!(failed, "n\n3\n");
}

#[test]
fn a_statement_has_its_time_and_waits_for_its_turn() {
    let settings = [
        ("JETWAY_QUERY__TIMEOUT", "3s"),
        ("JETWAY_QUERY__CONCURRENCY", "1"),
        ("JETWAY_QUERY__QUEUE_LENGTH", "1"),
    ];
    let (_dir, node) = limited(&settings, &mut jetway());
    let first = start_endless(&node);
    eventually("a running query", || listed(&node, "id", "running").pop());
    let second = start_endless(&node);
    eventually("a waiting query", || {
        listed(&node, "id", "queued")
            .pop()
            .or_else(|| listed(&node, "id", "failed").pop())
    });
    // What takes next to nothing does not wait.
    assert_eq!(node.sql("SELECT 1 AS one"), "one\n1\n");
    for client in [first, second] {
        let stderr = String::from_utf8(client.wait_with_output().unwrap().stderr).unwrap();
        assert!(stderr.contains("took longer than the 3 s"), "{stderr}");
    }
    rests(&node);
    assert_eq!(
        listed(&node, "error_code", "failed"),
        ["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"]
    );
}
