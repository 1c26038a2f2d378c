//! Merged files in the place of small slices: the same rows, fewer files, and never a wrong answer.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use futures::TryStreamExt;
use jetway_odf::verify::{VerifyOptions, verify};
use jetway_planner::{Clock, CompactOutcome, PlannerOptions, TableName};

use crate::catalog::Fixture;

const QUERIES: [&str; 7] = [
    "SELECT \"offset\", op, event_time, v, name FROM d ORDER BY \"offset\"",
    "SELECT count(*), sum(v), min(\"offset\"), max(\"offset\") FROM d",
    "SELECT v FROM d WHERE \"offset\" BETWEEN 70 AND 75 ORDER BY v",
    "SELECT count(*) FROM d WHERE system_time >= (SELECT system_time FROM d WHERE \"offset\" = 100)",
    "SELECT v, name FROM d WHERE name = 'n7' ORDER BY v",
    "SELECT count(*) FROM to_table('d')",
    "SELECT max(v) FROM at('d', 99)",
];

fn row(value: i64) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("v", Arc::new(Int64Array::from(vec![value])) as ArrayRef),
        ("name", Arc::new(StringArray::from(vec![format!("n{}", value % 10)]))),
    ])
    .unwrap()
}

/// With a planner that knows nothing yet, and compacts only when asked.
fn restarted(fixture: Fixture) -> Fixture {
    fixture.restarted(PlannerOptions {
        compact_in_background: false,
        ..PlannerOptions::default()
    })
}

/// A dataset of one-row slices.
async fn dataset(slices: i64) -> Fixture {
    let fixture = restarted(Fixture::new().await);
    for value in 0..slices {
        fixture.push("d", vec![row(value)]).await.unwrap();
    }
    fixture
}

async fn answers(fixture: &Fixture) -> Vec<Vec<String>> {
    let mut answers = Vec::new();
    for query in QUERIES {
        answers.push(fixture.rows(query).await);
    }
    answers
}

async fn compact(fixture: &Fixture) -> CompactOutcome {
    let name = TableName::parse(None, None, "d").unwrap();
    fixture.planner.compact(&fixture.alice, &name).await.unwrap()
}

async fn reads_merged_files(fixture: &Fixture) -> bool {
    let plan = fixture.rows("EXPLAIN SELECT v FROM d").await.join("\n");
    assert!(plan.contains(" merged)"), "{plan}");
    !plan.contains("(0 merged)")
}

async fn files(fixture: &Fixture) -> Vec<String> {
    let storage = fixture.dataset("d").await.storage;
    let listed: Vec<_> = storage.derived().list("slices").try_collect().await.unwrap();
    let names = listed.iter().filter_map(|object| object.location.filename());
    names
        .filter(|name| name.ends_with(".parquet"))
        .map(|name| format!("slices/{name}"))
        .collect()
}

#[tokio::test]
async fn merged_files_give_the_same_answers_and_leave_the_chain_as_it_is() {
    let fixture = dataset(150).await;
    let before = answers(&fixture).await;
    let head = fixture.dataset("d").await.head;
    assert!(!reads_merged_files(&fixture).await);

    let outcome = compact(&fixture).await;
    assert_eq!(
        (outcome.slices, outcome.merged_slices, outcome.files_to_read),
        (150, 150, 1)
    );
    assert!(reads_merged_files(&fixture).await);
    assert_eq!(answers(&fixture).await, before);

    let dataset = fixture.dataset("d").await;
    assert_eq!(dataset.head, head);
    let report = verify(&dataset.storage, VerifyOptions::default(), |_| {})
        .await
        .unwrap();
    assert!(report.is_valid(), "{report:?}");
    // Another process finds the files as well.
    assert_eq!(answers(&restarted(fixture)).await, before);
}

#[tokio::test]
async fn rows_that_come_later_are_read_from_their_slices() {
    let fixture = dataset(100).await;
    compact(&fixture).await;
    for value in 100..130 {
        fixture.push("d", vec![row(value)]).await.unwrap();
    }
    assert!(reads_merged_files(&fixture).await);
    let found = answers(&fixture).await;
    assert_eq!(found[1], ["130 8385 0 129"]);
    assert_eq!(found[2], ["70", "71", "72", "73", "74", "75"]);
    assert_eq!(found[3], ["30"]);
    let again = compact(&fixture).await;
    assert_eq!((again.merged_slices, again.files_to_read), (130, again.files));
    assert_eq!(answers(&fixture).await, found);
}

#[tokio::test]
async fn a_statement_at_an_older_head_does_not_see_rows_of_a_newer_merged_file() {
    let fixture = dataset(80).await;
    let sql = "SELECT count(*), max(v) FROM d";
    let statement = fixture.planner.plan(&fixture.alice, sql, None).await.unwrap();
    for value in 80..100 {
        fixture.push("d", vec![row(value)]).await.unwrap();
    }
    compact(&fixture).await;
    let pinned = fixture
        .planner
        .plan(&fixture.alice, sql, Some(statement.pins()))
        .await
        .unwrap();
    for statement in [statement, pinned] {
        let batches: Vec<RecordBatch> = statement.execute().await.unwrap().try_collect().await.unwrap();
        let text = arrow::util::pretty::pretty_format_batches(&batches)
            .unwrap()
            .to_string();
        assert!(text.contains("80") && text.contains("79"), "{text}");
    }
}

#[tokio::test]
async fn damaged_missing_and_foreign_files_are_not_believed() {
    let mut fixture = dataset(100).await;
    let before = answers(&fixture).await;
    compact(&fixture).await;
    let derived = fixture.dataset("d").await.storage.derived();
    let [name] = files(&fixture).await.try_into().unwrap();
    let good = derived.read(&name, u64::MAX).await.unwrap().unwrap();

    // A value changed, a piece cut off, nothing at all.
    let mut changed = good.to_vec();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for bytes in [Some(Bytes::from(changed)), Some(good.slice(..good.len() - 1)), None] {
        match bytes {
            Some(bytes) => derived.write(&name, bytes).await.unwrap(),
            None => derived.remove(&name).await.unwrap(),
        }
        fixture = restarted(fixture);
        assert!(!reads_merged_files(&fixture).await);
        assert_eq!(answers(&fixture).await, before);
    }

    derived.write(&name, good.clone()).await.unwrap();
    fixture = restarted(fixture);
    assert!(reads_merged_files(&fixture).await);
    // Gone after it was found to be good.
    derived.remove(&name).await.unwrap();
    assert_eq!(answers(&fixture).await, before);
    derived.write(&name, good).await.unwrap();

    let manifest = derived.read("slices/index.json", u64::MAX).await.unwrap().unwrap();
    let text = String::from_utf8(manifest.to_vec()).unwrap();
    for foreign in [
        text.replace("\"version\":1", "\"version\":2"),
        text[..40].to_owned(),
        String::new(),
    ] {
        derived.write("slices/index.json", Bytes::from(foreign)).await.unwrap();
        fixture = restarted(fixture);
        assert!(!reads_merged_files(&fixture).await);
        assert_eq!(answers(&fixture).await, before);
    }
    // And it is made anew.
    compact(&fixture).await;
    assert!(reads_merged_files(&fixture).await);
}

#[tokio::test]
async fn a_damaged_merged_file_does_not_get_into_the_next_one() {
    let fixture = dataset(100).await;
    compact(&fixture).await;
    let derived = fixture.dataset("d").await.storage.derived();
    let [name] = files(&fixture).await.try_into().unwrap();
    let mut bytes = derived.read(&name, u64::MAX).await.unwrap().unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    derived.write(&name, Bytes::from(bytes)).await.unwrap();
    for value in 100..200 {
        fixture.push("d", vec![row(value)]).await.unwrap();
    }
    let fixture = restarted(fixture);
    let outcome = compact(&fixture).await;
    assert_eq!((outcome.merged_slices, outcome.files), (200, 1));
    assert!(reads_merged_files(&fixture).await);
    assert_eq!(fixture.rows("SELECT count(*), sum(v) FROM d").await, ["200 19900"]);
}

/// Queries that began with a merged file can read it to its end, however old it is.
#[tokio::test]
async fn a_file_stays_for_a_while_when_another_has_taken_its_place() {
    let mut fixture = dataset(100).await;
    compact(&fixture).await;
    let old = files(&fixture).await.remove(0);
    let later = |fixture: Fixture, days: i64| {
        fixture.restarted(PlannerOptions {
            compact_in_background: false,
            clock: Clock::from_fn(move || Utc::now() + TimeDelta::days(days)),
            ..PlannerOptions::default()
        })
    };
    fixture = later(fixture, 5);
    for value in 100..200 {
        fixture.push("d", vec![row(value)]).await.unwrap();
    }
    assert_eq!(compact(&fixture).await.files, 1);
    assert!(files(&fixture).await.contains(&old));
    // A later compaction remembers it too.
    fixture = later(fixture, 5);
    compact(&fixture).await;
    assert!(files(&fixture).await.contains(&old));
    fixture = later(fixture, 7);
    compact(&fixture).await;
    assert_eq!(files(&fixture).await.len(), 1);
    assert!(!files(&fixture).await.contains(&old));
}

#[tokio::test]
async fn compactions_at_the_same_time_do_no_harm() {
    let fixture = dataset(100).await;
    let before = answers(&fixture).await;
    let name = TableName::parse(None, None, "d").unwrap();
    let planners = [
        fixture.another_planner(),
        fixture.another_planner(),
        fixture.another_planner(),
    ];
    let runs = planners.iter().map(|planner| planner.compact(&fixture.alice, &name));
    for outcome in futures::future::join_all(runs).await {
        assert_eq!(outcome.unwrap().merged_slices, 100);
    }
    for planner in planners {
        let fixture = Fixture {
            planner,
            catalog: Arc::clone(&fixture.catalog),
            alice: fixture.alice.clone(),
        };
        assert_eq!(answers(&fixture).await, before);
    }
}

/// Trap 38.
#[tokio::test]
async fn many_small_commits_are_merged_in_the_background() {
    let fixture = Fixture::new().await;
    for value in 0..200 {
        fixture.push("d", vec![row(value)]).await.unwrap();
    }
    // Nobody says when it is done, but it takes no more commits.
    while !reads_merged_files(&fixture).await {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.rows("SELECT count(*), sum(v) FROM d").await, ["200 19900"]);
}
