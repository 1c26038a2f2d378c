//! SQL logic tests over the wire: every `*.slt` file of this folder against a real node, through a Flight SQL client.
//! README.md says how to write and to complete them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod client;
mod text;

#[path = "../it/harness.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod harness;

use std::path::{Path, PathBuf};

use sqllogictest::{Record, Runner, default_column_validator, strict_column_validator};
use tokio::task::JoinSet;

use crate::client::Session;
use crate::harness::{NodeProcess, PASSWORD, jetway};
use crate::text::{same_lines, trim_end};

/// Set to write the results that the node gives into the files, instead of comparing them.
const COMPLETE: &str = "JETWAY_SLT_COMPLETE";

/// Set to a part of a file's name to run only such files.
const ONLY: &str = "JETWAY_SLT_ONLY";

/// How many files run side by side.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_gives_the_answers_that_it_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let only = std::env::var(ONLY).unwrap_or_default();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "slt"))
        .filter(|path| path.to_string_lossy().contains(&only))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no file has a name with {only:?}");
    let complete = std::env::var_os(COMPLETE).is_some();

    let data = tempfile::tempdir().unwrap();
    // Plans depend on the number of cores.
    let mut command = jetway();
    command
        .env("JETWAY_ADMIN_PASSWORD", PASSWORD)
        .env("JETWAY_QUERY__PARALLELISM", "2");
    let node = NodeProcess::start_with(&mut command, data.path());
    let (mut running, mut failures) = (JoinSet::new(), Vec::new());
    for file in files {
        if running.len() == AT_ONCE {
            failures.extend(running.join_next().await.unwrap().unwrap());
        }
        let account = client::make_account(data.path(), &file);
        let url = node.flight.clone();
        running.spawn(async move {
            if complete {
                fill(&file, url, account).await;
                return Vec::new();
            }
            run(&file, url, account).await
        });
    }
    while let Some(found) = running.join_next().await {
        failures.extend(found.unwrap());
    }
    assert!(
        failures.is_empty(),
        "{} records failed\n\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Runs all records of a file, whichever of them fail, and tells the failures with their places.
async fn run(file: &Path, url: String, account: String) -> Vec<String> {
    let records = match sqllogictest::parse_file(file) {
        Ok(records) => records,
        Err(error) => return vec![error.to_string()],
    };
    let mut runner = Runner::new(|| Session::open(url.clone(), account.clone()));
    runner.with_normalizer(trim_end);
    runner.with_validator(same_lines);
    runner.with_column_validator(strict_column_validator);
    let mut failures = Vec::new();
    for record in records {
        if matches!(record, Record::Halt { .. }) {
            break;
        }
        if let Err(error) = runner.run_async(record).await {
            failures.push(error.to_string());
        }
    }
    failures
}

/// Writes the results that the node gives into a file.
async fn fill(file: &Path, url: String, account: String) {
    let mut runner = Runner::new(|| Session::open(url.clone(), account.clone()));
    let filled = runner.update_test_file(file, " ", same_lines, trim_end, default_column_validator);
    if let Err(error) = filled.await {
        panic!("{} cannot be completed: {error}", file.display());
    }
}
