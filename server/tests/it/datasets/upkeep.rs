use std::time::{Duration, SystemTime};

use super::*;
use crate::harness::finish;

const NAME: &str = "shop.inventory";

fn make_old(path: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(3 * 24 * 60 * 60);
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(long_ago).unwrap();
}

#[test]
fn hard_compaction_keeps_rows_and_leaves_a_valid_dataset() {
    let copied = Copied::new();
    let rows = |copied: &Copied| succeed(&mut copied.jetway(&["tail", NAME, "--output", "json"]));
    let before = (rows(&copied), copied.json(&["list", NAME])[0].clone());

    let unasked = fail(&mut copied.jetway(&["compact", NAME, "--hard"]));
    assert!(unasked.contains("--yes"), "{unasked}");
    let compacted = copied.json(&["compact", NAME, "--hard", "--yes"]);
    let replaced = &compacted[0]["replaced"];
    assert_eq!(replaced["previousHead"], before.1["head"]);
    assert_eq!(
        (&compacted[0]["slices"], &replaced["previousSlices"]),
        (&1.into(), &4.into())
    );

    let after = copied.json(&["list", NAME])[0].clone();
    assert_eq!(after["head"], replaced["head"]);
    assert_eq!(
        (&after["records"], &after["watermark"]),
        (&before.1["records"], &before.1["watermark"])
    );
    assert_eq!(rows(&copied), before.0);
    succeed(&mut copied.jetway(&["verify", NAME]));
    // There is nothing left to do.
    assert_eq!(
        copied.json(&["compact", NAME, "--hard", "--yes"])[0].get("replaced"),
        None
    );

    succeed(&mut copied.jetway(&["compact", NAME, "--hard", "--keep-metadata-only", "--yes"]));
    assert_eq!(copied.json(&["list", NAME])[0]["records"], 0);
    succeed(&mut copied.jetway(&["verify", NAME]));
}

#[test]
fn garbage_is_shown_and_then_removed() {
    let copied = Copied::new();
    let old = copied.slices(NAME);
    succeed(&mut copied.jetway(&["compact", NAME, "--hard", "--yes"]));
    let young = copied.json(&["gc", NAME]);
    assert_eq!(young[0]["garbage"], Value::Array(vec![]));
    assert_eq!(young[0]["tooYoung"], 8, "four slices and their blocks");

    for slice in &old {
        make_old(slice);
    }
    let shown = copied.json(&["gc", NAME, "--dry-run"]);
    assert_eq!(shown[0]["garbage"].as_array().unwrap().len(), 4);
    assert_eq!(shown[0]["removed"], false);
    assert!(old.iter().all(|slice| slice.exists()));
    let table = succeed(&mut copied.jetway(&["gc"]));
    for slice in &old {
        let name = slice.file_name().unwrap().to_str().unwrap();
        assert!(table.contains(&format!("data/{name}")), "{table}");
        assert!(!slice.exists());
    }
    succeed(&mut copied.jetway(&["verify", NAME]));
    let refused = fail(&mut copied.jetway(&["gc", "--grace", "30m"]));
    assert!(refused.contains("hour"), "{refused}");
}

#[test]
fn a_damaged_dataset_keeps_no_garbage_of_others() {
    let copied = Copied::new();
    succeed(&mut copied.jetway(&["compact", NAME, "--hard", "--yes"]));
    let listed = copied.json(&["list"]);
    let listed = listed.as_array().unwrap();
    let damaged = listed.iter().find(|dataset| dataset["name"] != NAME).unwrap();
    let name = damaged["name"].as_str().unwrap();
    let block = copied
        .folder(name)
        .join("blocks")
        .join(damaged["head"].as_str().unwrap());
    std::fs::remove_file(block).unwrap();
    let (is_success, stdout, stderr) = finish(&mut copied.jetway(&["gc", "--output", "json"]));
    assert!(!is_success);
    assert!(stderr.contains("of 1 of 7 datasets"), "{stderr}");
    let collected: Value = serde_json::from_str(&stdout).unwrap();
    for dataset in collected.as_array().unwrap() {
        let is_damaged = dataset["id"] == damaged["id"];
        assert_eq!(dataset.get("error").is_some(), is_damaged, "{dataset}");
        assert_eq!(dataset.get("head").is_none(), is_damaged, "{dataset}");
    }
    let young = collected.as_array().unwrap().iter().map(|dataset| &dataset["tooYoung"]);
    assert!(young.into_iter().any(|count| *count == 8), "{collected}");
}

#[test]
fn soft_compaction_leaves_the_chain_alone() {
    let copied = Copied::new();
    let head = copied.json(&["list", NAME])[0]["head"].clone();
    // So few slices need no index.
    let compacted = copied.json(&["compact", NAME]);
    assert_eq!(
        (&compacted[0]["slices"], &compacted[0]["filesToRead"]),
        (&4.into(), &4.into())
    );
    assert_eq!(copied.json(&["list", NAME])[0]["head"], head);
}
