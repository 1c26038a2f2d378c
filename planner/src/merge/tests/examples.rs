//! The examples of `docs/merge-strategies.md`.

use jetway_odf::metadata::MergeStrategy;

use crate::merge::tests::dataset::{Dataset, Pushed, Row, changelog, ledger, names, row, upsert};

async fn with_history() -> Dataset {
    let mut dataset = Dataset::new().await;
    let cities = [("kyiv", 3), ("seattle", 2), ("vancouver", 1)];
    let rows = cities.map(|(city, population)| row(0, 2020, city, 0, population));
    dataset.commit(&rows).await;
    dataset
}

async fn check(strategy: MergeStrategy, columns: Pushed, pushed: &[Row], events: &[Row]) {
    let merged = with_history().await.merge(&strategy, pushed, columns).await.unwrap();
    assert_eq!(merged, events);
}

#[tokio::test]
async fn append() {
    let pushed = [row(0, 2021, "seattle", 0, 2)];
    check(MergeStrategy::Append {}, Pushed::TIME, &pushed, &pushed).await;
}

#[tokio::test]
async fn ledgers() {
    let pushed = [row(0, 2021, "seattle", 0, 9), row(0, 2021, "odessa", 0, 5)];
    check(
        ledger(&["city"]),
        Pushed::TIME,
        &pushed,
        &[row(0, 2021, "odessa", 0, 5)],
    )
    .await;
}

#[tokio::test]
async fn snapshots() {
    let strategy = MergeStrategy::Snapshot {
        primary_key: names(&["city"]),
        compare_columns: Some(names(&["population"])),
    };
    let pushed = [("seattle", 2), ("kyiv", 4), ("odessa", 5)];
    let pushed = pushed.map(|(city, population)| row(0, None, city, 0, population));
    let events = [
        row(2, 2020, "kyiv", 0, 3),
        row(3, None, "kyiv", 0, 4),
        row(0, None, "odessa", 0, 5),
        row(1, 2020, "vancouver", 0, 1),
    ];
    check(strategy, Pushed::DATA, &pushed, &events).await;
}

#[tokio::test]
async fn changelogs() {
    let pushed = [
        row(2, 2020, "kyiv", 0, 3),
        row(3, 2021, "kyiv", 0, 4),
        row(0, 2021, "bergen", 0, 1),
    ];
    let events = [pushed[2].clone(), pushed[0].clone(), pushed[1].clone()];
    check(changelog(&["city"]), Pushed::ALL, &pushed, &events).await;
}

#[tokio::test]
async fn upserts() {
    let pushed = [
        row(0, 2021, "kyiv", 0, 4),
        row(0, 2021, "kyiv", 0, 5),
        row(0, 2020, "seattle", 0, 2),
        row(1, 2021, "vancouver", 0, 0),
        row(1, 2021, "oslo", 0, 0),
    ];
    let events = [
        row(2, 2020, "kyiv", 0, 3),
        row(3, 2021, "kyiv", 0, 5),
        row(1, 2020, "vancouver", 0, 1),
    ];
    check(upsert(&["city"]), Pushed::ALL, &pushed, &events).await;
}
