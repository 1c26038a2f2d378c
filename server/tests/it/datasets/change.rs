use std::time::{Duration, Instant};

use super::*;
use crate::harness::{NodeProcess, finish};

fn head(copied: &Copied, name: &str) -> String {
    copied.json(&["list", name])[0]["head"].as_str().unwrap().to_owned()
}

#[test]
fn a_dataset_can_be_renamed_and_keeps_its_identity() {
    let copied = Copied::new();
    let id = copied.json(&["list", "sensors.readings"])[0]["id"].clone();
    succeed(&mut copied.jetway(&["rename", "sensors.readings", "readings"]));
    assert_eq!(copied.json(&["list", "readings"])[0]["id"], id);
    fail(&mut copied.jetway(&["list", "sensors.readings"]));
    // As the other implementation wrote it: without an account.
    let alias = copied.folder("readings").join("info/alias");
    assert_eq!(std::fs::read_to_string(&alias).unwrap(), "readings");

    let taken = fail(&mut copied.jetway(&["rename", "readings", "Shop.Inventory"]));
    assert!(taken.contains("already"), "{taken}");
    succeed(&mut copied.jetway(&["rename", "readings", "READINGS"]));
    succeed(&mut copied.jetway(&["rename", "readings", "bob/readings"]));
    assert_eq!(std::fs::read_to_string(&alias).unwrap(), "bob/readings");
    assert_eq!(copied.json(&["list", "bob/readings"])[0]["id"], id);
}

#[test]
fn a_dataset_can_be_reset_to_any_of_its_blocks() {
    let copied = Copied::new();
    let log = copied.log("sensors.readings");
    let target = log[3]["hash"].as_str().unwrap();
    let unasked = fail(&mut copied.jetway(&["reset", "sensors.readings", target]));
    assert!(unasked.contains("--yes"), "{unasked}");
    succeed(&mut copied.jetway(&["reset", "sensors.readings", target, "--yes"]));
    assert_eq!(head(&copied, "sensors.readings"), target);
    assert_eq!(copied.json(&["list", "sensors.readings"])[0]["records"], 100);
    // The newer block is no longer one of the chain.
    let newer = log[0]["hash"].as_str().unwrap();
    let missing = fail(&mut copied.jetway(&["reset", "sensors.readings", newer, "--yes"]));
    assert!(missing.contains("no such block"), "{missing}");
    succeed(&mut copied.jetway(&["reset", "sensors.readings", "--to-seed", "--yes"]));
    assert_eq!(head(&copied, "sensors.readings"), log[10]["hash"].as_str().unwrap());
}

#[test]
fn a_watermark_goes_forward_only() {
    let copied = Copied::new();
    let before = copied.log("files.polled").remove(0);
    succeed(&mut copied.jetway(&["set-watermark", "files.polled", "2024-03-01"]));
    let block = copied.log("files.polled").remove(0);
    assert_eq!(block["prevBlockHash"], before["hash"]);
    assert_eq!(block["event"]["newWatermark"], "2024-03-01T00:00:00Z");
    // Whoever writes AddData carries on what the one before it said, or it is lost.
    assert_eq!(block["event"]["newSourceState"], before["event"]["newSourceState"]);
    assert_eq!(block["event"]["prevOffset"], 4);

    let (success, _, again) = finish(&mut copied.jetway(&["set-watermark", "files.polled", "2024-03-01"]));
    assert!(success && again.contains("already"), "{again}");
    let back = fail(&mut copied.jetway(&["set-watermark", "files.polled", "2024-02-28T23:59:59Z"]));
    assert!(back.contains("never goes back"), "{back}");
    assert_eq!(copied.log("files.polled").len(), 6);
}

#[test]
fn deleted_datasets_are_gone() {
    let copied = Copied::new();
    let folder = copied.folder("shop.inventory");
    let unasked = fail(&mut copied.jetway(&["delete", "shop.inventory", "*.vocab"]));
    assert!(
        unasked.contains("weather.vocab") && unasked.contains("--yes"),
        "{unasked}"
    );
    assert!(folder.join("refs/head").exists());
    succeed(&mut copied.jetway(&["delete", "shop.inventory", "*.vocab", "--yes"]));
    assert!(!folder.exists());
    assert_eq!(copied.json(&["list"]).as_array().unwrap().len(), 5);
    fail(&mut copied.jetway(&["delete", "shop.inventory", "--yes"]));
}

#[test]
fn damaged_datasets_are_listed_and_hide_no_others_and_can_be_deleted() {
    let copied = Copied::new();
    let folder = copied.folder("shop.inventory");
    let block = folder.join("blocks").join(head(&copied, "shop.inventory"));
    std::fs::write(block, b"no block").unwrap();
    std::fs::write(copied.folder("weather.vocab").join("refs/head"), b"no head").unwrap();
    let list = copied.json(&["list"]);
    let damaged = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["error"].is_string());
    assert_eq!(damaged.count(), 2, "{list}");
    assert_eq!(list.as_array().unwrap().len(), 7);

    succeed(&mut copied.jetway(&["delete", "shop.inventory", "weather.vocab", "--yes"]));
    assert_eq!(copied.json(&["list"]).as_array().unwrap().len(), 5);
}

#[test]
fn a_running_node_sees_what_commands_do() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixtures().join("datasets"), &dir.path().join("datasets"));
    let node = NodeProcess::start(dir.path());
    let command = |arguments: &[&str]| {
        let mut command = jetway();
        command.args(arguments).arg("--data-dir").arg(dir.path());
        succeed(&mut command)
    };
    let count = |name: &str| node.sql(&format!("SELECT count(*) AS n FROM \"{name}\""));
    assert_eq!(count("sensors.readings"), "n\n200\n");
    let log = command(&["log", "sensors.readings", "--output", "json", "--event", "AddData"]);
    let third: Value = serde_json::from_str(log.lines().nth(2).unwrap()).unwrap();
    command(&["reset", "sensors.readings", third["hash"].as_str().unwrap(), "--yes"]);
    assert_eq!(count("sensors.readings"), "n\n150\n");
    command(&["rename", "sensors.readings", "readings"]);
    // Names count as fresh for a second.
    let finds = || finish(&mut node.client(&["sql", "SELECT 1 FROM readings LIMIT 1"])).0;
    let patience = Instant::now() + Duration::from_secs(30);
    while !finds() {
        assert!(Instant::now() < patience, "the new name is not found");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(count("readings"), "n\n150\n");
    command(&["delete", "readings", "--yes"]);
    let gone = fail(&mut node.client(&["sql", "SELECT * FROM readings"]));
    assert!(gone.contains("readings"), "{gone}");
}
