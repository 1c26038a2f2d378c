//! Whatever is done for a dataset's upkeep, in whatever order, its rows stay what they are.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use chrono::Utc;
use jetway_odf::verify::{VerifyOptions, verify};
use jetway_planner::{Clock, PlannerOptions, Rewrite, TableName};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::catalog::Fixture;

#[derive(Debug, Clone)]
enum Step {
    Push(Vec<i64>),
    Pushes(u8),
    Compact,
    Rewrite(u64),
    CollectGarbage,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => proptest::collection::vec(any::<i64>(), 1..20).prop_map(Step::Push),
        2 => (1_u8..40).prop_map(Step::Pushes),
        2 => Just(Step::Compact),
        1 => (1_u64..50).prop_map(Step::Rewrite),
        1 => Just(Step::CollectGarbage),
        1 => Just(Step::Restart),
    ]
}

/// Days ahead, so that all garbage is old.
fn options() -> PlannerOptions {
    PlannerOptions {
        compact_in_background: false,
        parallelism: 2,
        clock: Clock::from_fn(|| Utc::now() + chrono::TimeDelta::days(3)),
        ..PlannerOptions::default()
    }
}

async fn push(fixture: &Fixture, values: &[i64]) {
    let values = Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("v", values)]).unwrap();
    fixture.push("d", vec![batch]).await.unwrap();
}

async fn run(steps: Vec<Step>) {
    let mut fixture = Fixture::new().await.restarted(options());
    let name = TableName::parse(None, None, "d").unwrap();
    let mut expected: Vec<i64> = vec![0];
    push(&fixture, &[0]).await;
    for step in steps {
        let (planner, alice) = (&fixture.planner, &fixture.alice);
        match step {
            Step::Push(values) => {
                push(&fixture, &values).await;
                expected.extend(values);
            }
            Step::Pushes(count) => {
                for value in 0..i64::from(count) {
                    push(&fixture, &[value]).await;
                    expected.push(value);
                }
            }
            Step::Compact => {
                planner.compact(alice, &name).await.unwrap();
            }
            Step::Rewrite(max_rows) => {
                let rewrite = Rewrite::Slices {
                    max_bytes: u64::MAX,
                    max_rows,
                };
                planner.rewrite(alice, &name, rewrite).await.unwrap();
            }
            Step::CollectGarbage => {
                let grace = chrono::TimeDelta::days(1);
                let report = planner.collect_garbage(alice, &name, grace, false).await.unwrap();
                assert!(report.left_alone.is_empty(), "{report:?}");
            }
            Step::Restart => fixture = fixture.restarted(options()),
        }
        let rows = fixture.rows("SELECT \"offset\", v FROM d ORDER BY \"offset\"").await;
        let numbered = expected.iter().enumerate();
        let numbered: Vec<String> = numbered.map(|(offset, value)| format!("{offset} {value}")).collect();
        assert_eq!(rows, numbered);
        let middle = expected.len() / 2;
        let sql = format!("SELECT count(*) FROM d WHERE \"offset\" >= {middle}");
        assert_eq!(fixture.rows(&sql).await, [(expected.len() - middle).to_string()]);
    }
    let dataset = fixture.dataset("d").await;
    let report = verify(&dataset.storage, VerifyOptions::default(), |_| {})
        .await
        .unwrap();
    assert!(report.findings.is_empty(), "{report:?}");
}

#[test]
fn rows_stay_what_they_are() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config {
        cases: 32,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    )
    .run(&proptest::collection::vec(step(), 1..10), |steps| {
        runtime.block_on(run(steps));
        Ok(())
    })
    .unwrap();
}
