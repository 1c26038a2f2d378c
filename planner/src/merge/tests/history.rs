//! Random histories, with all strategies in turn, against a model that knows all rows and nothing of indexes.

use std::collections::BTreeMap;
use std::time::Duration;

use jetway_odf::metadata::MergeStrategy;
use proptest::prelude::*;

use crate::merge::Merger;
use crate::merge::index::Options;
use crate::merge::tests::dataset::{
    Dataset, Pushed, Row, changelog, fallback_time, ledger, names, row, snapshot, upsert,
};

const KEY: [&str; 2] = ["city", "number"];

/// One write.
#[derive(Debug, Clone)]
struct Step {
    strategy: usize,
    rows: Vec<Row>,
    event_time: bool,
    /// Forget what is in memory before.
    reopen: bool,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let one = (
        0..4,
        prop::option::of(0..5_i64),
        0..4_usize,
        0..3_i64,
        prop::option::of(0..3_i64),
    );
    let one = one
        .prop_map(|(op, time, city, number, population)| row(op, time, ["", "a", "aa", "b"][city], number, population));
    prop::collection::vec(one, 0..14)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..6_usize, rows(), any::<bool>(), prop::bool::weighted(0.2));
    let step = step.prop_map(|(strategy, rows, event_time, reopen)| Step {
        strategy,
        rows,
        event_time,
        reopen,
    });
    prop::collection::vec(step, 1..16)
}

fn strategy(number: usize) -> (MergeStrategy, bool) {
    match number {
        0 => (MergeStrategy::Append {}, false),
        1 => (ledger(&KEY), false),
        2 => (snapshot(&KEY), false),
        3 => {
            let strategy = MergeStrategy::Snapshot {
                primary_key: names(&KEY),
                compare_columns: Some(names(&["population"])),
            };
            (strategy, false)
        }
        4 => (changelog(&KEY), true),
        _ => (upsert(&KEY), true),
    }
}

fn key(row: &Row) -> (String, i64) {
    (row.city.clone(), row.number)
}

/// The newest row of each key that is not retracted.
fn state(history: &[Row]) -> BTreeMap<(String, i64), Row> {
    let mut state = BTreeMap::new();
    for row in history {
        match row.op {
            1 => state.remove(&key(row)),
            _ => state.insert(key(row), row.clone()),
        };
    }
    state
}

fn last_of_each(rows: &[Row]) -> BTreeMap<(String, i64), Row> {
    rows.iter().map(|row| (key(row), row.clone())).collect()
}

fn with_op(row: &Row, op: i32) -> Row {
    Row { op, ..row.clone() }
}

fn correct(old: &Row, new: &Row, compares_time: bool, events: &mut Vec<Row>) {
    let later = compares_time && new.time.is_some() && new.time != old.time;
    if later || new.population != old.population {
        events.extend([with_op(old, 2), with_op(new, 3)]);
    }
}

/// What a strategy has to give.
fn model(number: usize, history: &[Row], rows: &[Row]) -> Vec<Row> {
    let mut events = rows.to_vec();
    match number {
        0 => events.sort_by_key(|row| row.time),
        1 => {
            events.retain(|row| !history.iter().any(|old| key(old) == key(row)));
            events.sort_by_key(|row| row.time);
        }
        2 | 3 if history.is_empty() => events.sort_by_key(key),
        2 | 3 => {
            let (mut old, new) = (state(history), last_of_each(rows));
            events.clear();
            for (key, new) in &new {
                match old.remove(key) {
                    None => events.push(new.clone()),
                    Some(old) => correct(&old, new, number == 2, &mut events),
                }
            }
            events.extend(old.values().map(|old| with_op(old, 1)));
            events.sort_by_key(key);
        }
        4 => events.sort_by_key(|row| (key(row), row.op)),
        _ => {
            let old = state(history);
            events.clear();
            for (key, new) in &last_of_each(rows) {
                match (old.get(key), new.op) {
                    (None, 1) => {}
                    (None, _) => events.push(with_op(new, 0)),
                    (Some(old), 1) => events.push(with_op(old, 1)),
                    (Some(old), _) => correct(old, new, true, &mut events),
                }
            }
        }
    }
    events
}

async fn replay(steps: Vec<Step>, options: Options) {
    let mut dataset = Dataset::new().await;
    dataset.merger = Merger::with_options(dataset.engine.clone(), options);
    let mut history: Vec<Row> = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        if step.reopen {
            dataset.reopen();
        }
        let (strategy, operation) = strategy(step.strategy);
        let pushed = Pushed {
            operation,
            event_time: step.event_time,
        };
        let arrive = step.rows.into_iter().map(|row| Row {
            op: if operation { row.op } else { 0 },
            time: row.time.filter(|_| step.event_time),
            ..row
        });
        let arrive: Vec<Row> = arrive.collect();
        let expected = model(step.strategy, &history, &arrive);
        let merged = dataset.write(&strategy, &arrive, pushed).await;
        assert_eq!(merged, expected, "write {number}, {strategy:?}");
        let fallback = fallback_time(history.len() as u64);
        history.extend(merged.into_iter().map(|row| Row {
            time: row.time.or(Some(fallback)),
            ..row
        }));
    }
}

fn run(steps: Vec<Step>, options: Options) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(replay(steps, options));
}

/// So small that every history has files, blocks and merges of files.
fn tiny() -> Options {
    Options {
        block_rows: 2,
        memory_rows: 9,
        memory_blocks: 3,
        memory_bytes: 64 << 20,
        ratio: 2,
        in_background: false,
        grace: Duration::ZERO,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_gives_the_rows_of_the_model(steps in steps()) {
        run(steps, tiny());
    }

    #[test]
    fn it_does_so_while_files_are_written(steps in steps()) {
        run(steps, Options { in_background: true, ..tiny() });
    }

    #[test]
    fn it_does_so_in_memory_too(steps in steps()) {
        run(steps, Options::default());
    }
}
