use super::{Count, cargo_result, pytest_result};

#[test]
fn the_outcome_of_a_test_binary_is_counted() {
    let line = "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.1s";
    assert_eq!(
        cargo_result(line),
        Some(Count {
            passed: 12,
            failed: 1,
            skipped: 2
        })
    );
    assert_eq!(cargo_result("test name ... ok"), None);
}

#[test]
fn the_outcome_of_pytest_is_counted() {
    let report = r#"<?xml version="1.0"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
        failures="2" skipped="3" tests="10" time="1.0"><testcase/></testsuite></testsuites>"#;
    assert_eq!(
        pytest_result(report),
        Some(Count {
            passed: 4,
            failed: 3,
            skipped: 3
        })
    );
    assert_eq!(pytest_result(""), None);
}
