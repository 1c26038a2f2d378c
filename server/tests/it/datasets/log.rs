use super::*;

#[test]
fn logs_are_to_the_byte_those_of_the_other_implementation() {
    let fixtures = fixtures();
    let mut logs = 0;
    for entry in std::fs::read_dir(fixtures.join("logs")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let shown = succeed(&mut on(&fixtures.join("datasets"), &["log", name]));
        assert_eq!(shown, std::fs::read_to_string(&path).unwrap(), "{name}");
        logs += 1;
    }
    assert_eq!(logs, 7);
}

#[test]
fn a_log_can_be_short_and_of_some_events_only() {
    let datasets = fixtures().join("datasets");
    let lines = |arguments: &[&str]| {
        let mut command = on(&datasets, &["log", "sensors.readings", "--output", "json"]);
        let text = succeed(command.args(arguments));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<Value>>()
    };
    let numbers = |lines: Vec<Value>| {
        lines
            .iter()
            .map(|line| line["sequenceNumber"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(lines(&["--limit", "2"])), [10, 9]);
    assert_eq!(numbers(lines(&["--event", "adddata", "-n", "3"])), [10, 9, 8]);
    assert_eq!(numbers(lines(&["--event", "Seed", "--event", "SetInfo"])), [1, 0]);
    let newest = lines(&["-n", "1"]).remove(0);
    assert_eq!(newest["event"]["newWatermark"], "2024-02-01T00:00:00Z");
    assert_eq!(
        newest["hash"],
        "f1620ef23685c0956ca9bbe9ff719d189ef74960e90a2379002db1bb92cdcd076ee17"
    );
    let table = succeed(&mut on(
        &datasets,
        &["log", "sensors.readings", "--output", "table", "-n", "2"],
    ));
    assert!(table.lines().nth(1).unwrap().contains("offsets 150-199"), "{table}");
    let (success, _, usage) = crate::harness::finish(&mut on(&datasets, &["log", "sensors.readings", "--event", "x"]));
    assert!(!success && usage.contains("ExecuteTransform"), "{usage}");
}
