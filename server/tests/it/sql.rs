//! `jetway sql`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::harness::{NodeProcess, fail, finish, jetway, succeed};

#[test]
fn answers_are_printed_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    let statement = "SELECT * FROM (VALUES (1, 'one'), (2, NULL)) AS t (number, word) ORDER BY number";
    let print = |output: &str| succeed(&mut node.client(&["sql", statement, "--output", output]));
    assert_eq!(print("csv"), "number,word\n1,one\n2,\n");
    assert_eq!(
        print("ndjson"),
        "{\"number\":1,\"word\":\"one\"}\n{\"number\":2,\"word\":null}\n"
    );
    assert_eq!(
        print("json"),
        "[{\"number\":1,\"word\":\"one\"},{\"number\":2,\"word\":null}]\n"
    );
    let (success, table, footer) = finish(&mut node.client(&["sql", statement]));
    assert!(success && table.contains("| 1      | one  |"), "{table}");
    assert!(footer.starts_with("2 rows, "), "{footer}");
    let (_, table, footer) = finish(&mut node.client(&["sql", statement, "--max-rows", "1"]));
    assert!(table.contains("one") && !table.contains("| 2"), "{table}");
    assert!(footer.contains("--max-rows 0"), "{footer}");
}

#[test]
fn an_empty_answer_still_has_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    let statement = "SELECT 1 AS number, 'x' AS word WHERE false";
    let print = |output: &str| succeed(&mut node.client(&["sql", statement, "--output", output]));
    assert_eq!(print("csv"), "number,word\n");
    assert_eq!(print("json"), "[]\n");
    assert_eq!(print("ndjson"), "");
    assert!(print("table").contains("number"));
}

#[test]
fn mistakes_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    let syntax = fail(&mut node.client(&["sql", "SELEC 1"]));
    assert!(!syntax.contains("the node failed"), "{syntax}");
    let table = fail(&mut node.client(&["sql", "SELECT * FROM nothing_here"]));
    assert!(
        table.contains("nothing-here") || table.contains("nothing_here"),
        "{table}"
    );
    assert!(!table.contains("the node failed"), "{table}");
    let url = fail(node.client(&["sql", "SELECT 1"]).env("JETWAY_URL", "localhost:50050"));
    assert!(url.contains("grpc://HOST:PORT"), "{url}");
    let nobody = fail(jetway().args(["sql", "SELECT 1", "--url", "grpc://127.0.0.1:1", "--token", "x"]));
    assert!(nobody.contains("jetway serve"), "{nobody}");
}

#[test]
fn a_dry_run_tells_what_a_statement_would_read() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    node.sql("CREATE TABLE trips AS SELECT value AS n FROM generate_series(1, 100)");
    node.sql("INSERT INTO trips VALUES (101)");
    let cost = succeed(&mut node.client(&["sql", "--dry-run", "SELECT n FROM trips WHERE \"offset\" = 100"]));
    let (scan, memory) = cost.split_once('\n').unwrap();
    assert!(
        scan.starts_with("trips: 1 of 2 slices in 1 file (0 merged), 1 row, "),
        "{cost}"
    );
    assert!(memory.starts_with("memory: about "), "{cost}");
    fail(&mut node.client(&["sql", "--dry-run", "DROP TABLE trips"]));
    assert_eq!(node.sql("SELECT count(*) AS n FROM trips"), "n\n101\n");
}

#[test]
fn whoever_has_read_enough_ends_a_long_answer() {
    let dir = tempfile::tempdir().unwrap();
    let node = NodeProcess::start(dir.path());
    for output in ["csv", "json", "ndjson"] {
        let statement = "SELECT value FROM generate_series(1, 100000000)";
        let mut client = node.client(&["sql", statement, "--output", output]);
        let mut client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(client.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("value"), "{line}");
        let ended = client.wait_with_output().unwrap();
        assert!(ended.status.success() && ended.stderr.is_empty(), "{output}: {ended:?}");
    }
}
