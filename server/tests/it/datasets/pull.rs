use super::*;
use crate::harness::finish;

/// A manifest of a dataset that polls CSV files.
fn polled(name: &str, files: &str) -> String {
    format!(
        "---\nkind: DatasetSnapshot\nversion: 1\ncontent:\n  name: {name}\n  kind: Root\n  metadata:\n  - kind: SetPollingSource\n    fetch:\n      kind: FilesGlob\n      path: {files}\n      order: ByName\n    read:\n      kind: Csv\n      header: true\n      ddlSchema: [id INT, name STRING]\n    merge:\n      kind: Snapshot\n      primaryKey: [id]\n"
    )
}

#[test]
fn sources_are_polled_for_what_is_new_and_one_that_fails_keeps_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let repository = dir.path().join("datasets");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("good-1.csv", "id,name\n1,one\n2,two\n");
    write("bad-1.csv", "id,name\nno number,one\n");
    let files = |pattern: &str| dir.path().join(pattern).to_str().unwrap().to_owned();
    write(
        "polled.yaml",
        &(polled("good", &files("good-*.csv")) + &polled("bad", &files("bad-*.csv"))),
    );
    succeed(&mut on(&repository, &["add", &files("polled.yaml")]));

    let (success, report, stderr) = finish(&mut on(&repository, &["pull", "--all", "--output", "json"]));
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!(!success && stderr.contains("1 of 2 datasets not pulled"), "{stderr}");
    assert_eq!(report[0]["outcome"], "failed");
    assert!(report[0]["error"].as_str().unwrap().contains("no number"), "{report}");
    assert_eq!(
        (&report[1]["outcome"], &report[1]["rows"]),
        (&Value::from("updated"), &Value::from(2))
    );

    assert_eq!(json(&mut on(&repository, &["pull", "good"]))[0]["outcome"], "upToDate");
    write("good-2.csv", "id,name\n1,one\n2,zwei\n");
    let again = json(&mut on(&repository, &["pull", "go*"]));
    // The second file has one change: a correction from and to.
    assert_eq!(
        (&again[0]["files"], &again[0]["events"]),
        (&Value::from(1), &Value::from(2))
    );
    let tail = succeed(&mut on(&repository, &["tail", "good"]));
    assert!(tail.contains("-C") && tail.contains("zwei"), "{tail}");
    let bad = json(&mut on(&repository, &["list", "bad"]));
    assert_eq!(bad[0]["records"], 0);

    // One that cannot be read may be polled as well, and is not passed over.
    let id = bad[0]["id"].as_str().unwrap().trim_start_matches("did:odf:");
    for block in std::fs::read_dir(repository.join(id).join("blocks")).unwrap() {
        std::fs::write(block.unwrap().path(), "damaged").unwrap();
    }
    let (success, report, stderr) = finish(&mut on(&repository, &["pull", "--all", "--output", "json"]));
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!(!success && stderr.contains("1 of 2 datasets not pulled"), "{stderr}");
    let outcomes: Vec<_> = report.as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["failed", "upToDate"]);
}
