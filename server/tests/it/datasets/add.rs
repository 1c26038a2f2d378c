use std::io::Write;
use std::process::Stdio;

use super::*;
use crate::harness::finish;

const ROOT: &str = "\
kind: DatasetSnapshot
version: 1
content:
  name: trades
  kind: Root
  metadata:
    - kind: AddPushSource
      sourceName: default
      read:
        kind: NdJson
      merge:
        kind: Append
";

fn derivative(name: &str, input: &str) -> String {
    format!(
        "\
kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: Derivative
  metadata:
    - kind: SetTransform
      inputs:
        - datasetRef: {input}
          alias: source
      transform:
        kind: Sql
        engine: datafusion
        query: SELECT * FROM source
"
    )
}

/// A folder for manifests beside a repository.
struct Fresh(tempfile::TempDir);

impl Fresh {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn jetway(&self, arguments: &[&str]) -> Command {
        on(&self.0.path().join("datasets"), arguments)
    }

    fn names(&self) -> Vec<Value> {
        let list = json(&mut self.jetway(&["list"]));
        list.as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["name"].clone())
            .collect()
    }
}

#[test]
fn the_manifests_of_the_other_implementation_make_its_datasets() {
    let fresh = Fresh::new();
    let manifests = fixtures().join("manifests");
    let outcome = json(&mut fresh.jetway(&["add", manifests.to_str().unwrap(), "--recursive"]));
    assert_eq!(outcome.as_array().unwrap().len(), 7);
    assert!(
        outcome
            .as_array()
            .unwrap()
            .iter()
            .all(|made| made["outcome"] == "created")
    );
    let events = |repository: &Path, name: &str| {
        let text = succeed(&mut on(repository, &["log", name, "--output", "json"]));
        let blocks = text
            .lines()
            .rev()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let events = blocks.map(|block| block["event"].clone()).skip(1);
        events
            .take_while(|event| event["kind"] != "SetDataSchema")
            .collect::<Vec<_>>()
    };
    for name in ["sensors.readings", "files.polled", "weather.vocab"] {
        let ours = events(&fresh.0.path().join("datasets"), name);
        assert_eq!(ours, events(&fixtures().join("datasets"), name), "{name}");
    }
}

#[test]
fn datasets_are_made_after_their_inputs_whatever_the_order_of_files_and_documents() {
    let fresh = Fresh::new();
    let last = fresh.write("a.yaml", &derivative("last", "middle"));
    let both = format!("{}---\n{ROOT}", derivative("middle", "trades"));
    let both = fresh.write("b.yaml", &both);
    let outcome = json(&mut fresh.jetway(&["add", &last, &both]));
    let names: Vec<_> = outcome
        .as_array()
        .unwrap()
        .iter()
        .map(|made| made["name"].clone())
        .collect();
    assert_eq!(names, ["admin/trades", "admin/middle", "admin/last"]);
    let log = succeed(&mut fresh.jetway(&["log", "middle", "--event", "SetTransform", "--output", "json"]));
    let event: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(event["event"]["inputs"][0]["datasetRef"], outcome[0]["id"]);

    // What others are computed from is not deleted by accident.
    let used = fail(&mut fresh.jetway(&["delete", "trades", "--yes"]));
    assert!(used.contains("admin/middle") && used.contains("--force"), "{used}");
    let used = fail(&mut fresh.jetway(&["add", &fresh.write("trades.yaml", ROOT), "--replace", "--yes"]));
    assert!(used.contains("admin/middle"), "{used}");
    succeed(&mut fresh.jetway(&["delete", "trades", "middle", "last", "--yes"]));
    assert!(fresh.names().is_empty());
    succeed(&mut fresh.jetway(&["add", &both]));
    succeed(&mut fresh.jetway(&["delete", "trades", "--yes", "--force"]));
    assert_eq!(fresh.names(), ["middle"]);
}

#[test]
fn nothing_is_made_unless_everything_is_right() {
    let fresh = Fresh::new();
    let good = fresh.write("good.yaml", ROOT);
    let refused = |text: &str, expected: &[&str]| {
        let bad = fresh.write("bad.yaml", text);
        let message = fail(&mut fresh.jetway(&["add", &good, &bad]));
        for part in expected.iter().chain(&["bad.yaml"]) {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(!fresh.0.path().join("datasets").exists() || fresh.names().is_empty());
    };
    let typo = ROOT.replace("trades", "other").replace("merge:", "merg:");
    refused(
        &format!("{}---\n{typo}", derivative("x", "trades")),
        &["merg", "document: 2", "line: 26", "column: "],
    );
    refused(&derivative("x", "nowhere"), &["nowhere", "document 1"]);
    refused(
        &ROOT
            .replace("trades", "other")
            .replace("NdJson", "Parquet\n        schema: [\"a NO SUCH TYPE\"]"),
        &["line: "],
    );
    refused(
        "kind: MetadataEvent\nversion: 1\ncontent:\n  kind: SetInfo\n",
        &["SetInfo", "DatasetSnapshot"],
    );
    refused(
        &ROOT.replace("trades", "other").replace("Root", "Derivative"),
        &["AddPushSource"],
    );
    refused("not: a manifest", &["document: 1"]);
    let (one, two) = (derivative("one", "two"), derivative("two", "one"));
    let circle = fail(&mut fresh.jetway(&["add", &fresh.write("circle.yaml", &format!("{one}---\n{two}"))]));
    assert!(circle.contains("circle") && circle.contains("one <- two"), "{circle}");
}

#[test]
fn a_dataset_that_is_there_is_replaced_only_when_asked_for() {
    let fresh = Fresh::new();
    let file = fresh.write("trades.yaml", ROOT);
    let dry = json(&mut fresh.jetway(&["add", &file, "--dry-run"]));
    assert_eq!(dry[0]["outcome"], "wouldBeCreated");
    assert!(fresh.names().is_empty());
    let first = json(&mut fresh.jetway(&["add", &file]));
    let again = fail(&mut fresh.jetway(&["add", &file]));
    assert!(again.contains("already") && again.contains("trades.yaml"), "{again}");
    let unasked = fail(&mut fresh.jetway(&["add", &file, "--replace"]));
    assert!(
        unasked.contains("admin/trades") && unasked.contains("--yes"),
        "{unasked}"
    );
    let replaced = json(&mut fresh.jetway(&["add", &file, "--replace", "--yes"]));
    assert_eq!(replaced[0]["outcome"], "replaced");
    assert_ne!(replaced[0]["id"], first[0]["id"]);
    succeed(&mut fresh.jetway(&["add", &file, "--name", "bob/copy"]));
    assert_eq!(fresh.names(), ["trades", "copy"]);
    let two = fresh.write("two.yaml", &format!("{ROOT}---\n{}", derivative("x", "trades")));
    let named = fail(&mut fresh.jetway(&["add", &two, "--name", "y"]));
    assert!(named.contains("--name"), "{named}");
}

#[test]
fn manifests_come_from_standard_input_and_not_from_folders_by_accident() {
    let fresh = Fresh::new();
    let mut command = fresh.jetway(&["add", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(ROOT.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fresh.names(), ["trades"]);
    let folder = fail(&mut fresh.jetway(&["add", fresh.0.path().to_str().unwrap()]));
    assert!(folder.contains("--recursive"), "{folder}");
    let (_, stdout, _) = finish(&mut fresh.jetway(&["list"]));
    assert!(stdout.contains("trades"));
}
