use super::*;

#[test]
fn the_last_rows_are_shown_by_offset_with_their_operations() {
    let datasets = fixtures().join("datasets");
    let tail = |arguments: &[&str]| {
        let mut command = on(&datasets, &["tail", "registry.changes", "--output", "csv"]);
        succeed(command.args(arguments))
    };
    let rows = |text: String| text.lines().skip(1).map(|line| line.to_owned()).collect::<Vec<_>>();
    let all = rows(tail(&["-n", "100"]));
    assert_eq!(all.len(), 9);
    assert_eq!(rows(tail(&["-n", "3"])), all[6..]);
    assert_eq!(rows(tail(&["-n", "3", "--skip", "2"])), all[4..7]);
    assert_eq!(rows(tail(&["--skip", "8"])), all[..1]);
    assert!(rows(tail(&["--skip", "9"])).is_empty());

    let table = succeed(&mut on(&datasets, &["tail", "registry.changes", "-n", "3"]));
    let signs: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split('|').nth(2))
        .map(str::trim)
        .collect();
    assert_eq!(signs, ["op", "-C", "+C", "-R"], "{table}");
}

#[test]
fn system_columns_may_have_other_names() {
    let datasets = fixtures().join("datasets");
    let rows = succeed(&mut on(
        &datasets,
        &["tail", "weather.vocab", "-n", "1", "--output", "ndjson"],
    ));
    let row: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(
        (&row["offset"], &row["day"]),
        (&Value::from(4), &Value::from("2024-01-05"))
    );
}

#[test]
fn only_the_newest_slices_are_read() {
    let copied = Copied::new();
    let slices = copied.slices("sensors.readings");
    assert_eq!(slices.len(), 4);
    for older in &slices[1..] {
        std::fs::remove_file(older).unwrap();
    }
    let newest = succeed(&mut copied.jetway(&["tail", "sensors.readings", "-n", "50", "--output", "ndjson"]));
    assert_eq!(newest.lines().count(), 50);
    fail(&mut copied.jetway(&["tail", "sensors.readings", "-n", "51", "--output", "ndjson"]));
}
