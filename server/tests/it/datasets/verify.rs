use std::path::Path;

use super::forge::Chain;
use super::*;
use crate::harness::finish;

/// What is found after a change: problems with the rules that are broken.
fn found(change: impl FnOnce(&Copied)) -> Vec<(String, Option<String>)> {
    let copied = Copied::new();
    change(&copied);
    let (success, report, stderr) = finish(&mut copied.jetway(&["verify", "--output", "json"]));
    assert!(!success, "{report}");
    assert!(stderr.contains("1 of 7 datasets not valid"), "{stderr}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["valid"], false);
    let datasets = report["datasets"].as_array().unwrap();
    let invalid: Vec<&Value> = datasets.iter().filter(|dataset| dataset["valid"] == false).collect();
    assert_eq!(invalid.len(), 1);
    assert_eq!(invalid[0]["name"], "admin/sensors.readings");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let findings = invalid[0]["report"]["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| (text(&finding["problem"]).unwrap(), text(&finding["rule"])))
        .collect()
}

fn problems(change: impl FnOnce(&Copied)) -> Vec<String> {
    found(change).into_iter().map(|(problem, _)| problem).collect()
}

fn rules(change: impl FnOnce(&Copied)) -> Vec<String> {
    found(change).into_iter().filter_map(|(_, rule)| rule).collect()
}

fn forged(change: impl FnOnce(&mut Chain)) -> impl FnOnce(&Copied) {
    move |copied| {
        let mut chain = Chain::read(copied, "sensors.readings");
        change(&mut chain);
        chain.write();
    }
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_another_implementation_wrote_is_valid() {
    let datasets = fixtures().join("datasets");
    let report = json(&mut on(&datasets, &["verify"]));
    assert_eq!(report["valid"], true);
    let checked = |name: &str| {
        let datasets = report["datasets"].as_array().unwrap().iter();
        datasets
            .map(|dataset| dataset["report"]["checked"][name].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!((checked("blocks"), checked("rows")), (48, 386));
    assert!(checked("bytes") > 50_000);
    let table = succeed(&mut on(&datasets, &["verify", "sensors.*"]));
    assert!(table.contains("| valid") && table.contains("200"), "{table}");
}

#[test]
fn flipped_bytes_are_found() {
    assert!(problems(|copied| flip(&copied.slices("sensors.readings")[1])).contains(&"physicalHash".to_owned()));
    let block = |copied: &Copied| {
        let hash = copied.log("sensors.readings")[4]["hash"].as_str().unwrap().to_owned();
        flip(&copied.folder("sensors.readings").join("blocks").join(hash));
    };
    assert!(problems(block).contains(&"physicalHash".to_owned()));
    let checkpoint = |copied: &Copied| {
        let mut chain = Chain::read(copied, "sensors.readings");
        let path = chain.add_checkpoint(7, b"state of an ingest");
        chain.write();
        let (valid, ..) = finish(&mut copied.jetway(&["verify"]));
        assert!(valid, "the checkpoint itself is no fault");
        flip(&path);
    };
    assert_eq!(problems(checkpoint), ["physicalHash"]);
}

#[test]
fn swapped_truncated_and_missing_files_are_found() {
    let swapped = problems(|copied| {
        let slices = copied.slices("sensors.readings");
        let (first, second) = (std::fs::read(&slices[0]).unwrap(), std::fs::read(&slices[1]).unwrap());
        std::fs::write(&slices[0], second).unwrap();
        std::fs::write(&slices[1], first).unwrap();
    });
    assert_eq!(
        swapped.iter().filter(|problem| *problem == "physicalHash").count(),
        2,
        "{swapped:?}"
    );
    let truncated = problems(|copied| {
        let slice = &copied.slices("sensors.readings")[2];
        let bytes = std::fs::read(slice).unwrap();
        std::fs::write(slice, &bytes[..bytes.len() - 100]).unwrap();
    });
    assert!(truncated.contains(&"size".to_owned()), "{truncated:?}");
    let missing = problems(|copied| std::fs::remove_file(&copied.slices("sensors.readings")[3]).unwrap());
    assert_eq!(missing, ["missing"]);
}

#[test]
fn forged_heads_are_found() {
    let write_head = |copied: &Copied, head: &str| {
        std::fs::write(copied.folder("sensors.readings").join("refs/head"), head).unwrap();
    };
    assert_eq!(problems(|copied| write_head(copied, "f1620")), ["head"]);
    let other = |copied: &Copied| {
        let other = copied.log("shop.inventory")[0]["hash"].as_str().unwrap().to_owned();
        write_head(copied, &other);
    };
    assert_eq!(problems(other), ["missing"]);
    let whole_chain_of_another = |copied: &Copied| {
        let (to, from) = (copied.folder("sensors.readings"), copied.folder("shop.inventory"));
        copy(&from.join("blocks"), &to.join("blocks"));
        copy(&from.join("data"), &to.join("data"));
        copy(&from.join("refs"), &to.join("refs"));
    };
    assert_eq!(problems(whole_chain_of_another), ["dataset"]);
}

#[test]
fn chains_with_right_hashes_that_break_rules_are_found() {
    let offsets = found(forged(|chain| {
        let slice = chain.data(7).new_data.as_mut().unwrap();
        slice.offset_interval.start += 1;
        slice.offset_interval.end += 1;
    }));
    assert!(
        offsets.iter().any(|(_, rule)| rule.as_deref() == Some("D1")),
        "{offsets:?}"
    );
    assert!(offsets.iter().any(|(problem, _)| problem == "offset"), "{offsets:?}");

    let shorter = problems(forged(|chain| {
        chain.blocks.truncate(10);
        let slice = chain.data(9).new_data.as_mut().unwrap();
        slice.offset_interval.end -= 1;
    }));
    assert!(shorter.contains(&"rowCount".to_owned()), "{shorter:?}");

    let back = rules(forged(|chain| {
        let earlier = chain.data(7).new_watermark;
        chain.data(9).new_watermark = earlier;
    }));
    assert_eq!(back, ["D3"]);

    let reordered = rules(forged(|chain| chain.blocks.swap(7, 8)));
    assert!(reordered.contains(&"G2".to_owned()), "{reordered:?}");
    let renumbered = rules(forged(|chain| {
        let (first, second) = (chain.blocks[7].event.clone(), chain.blocks[8].event.clone());
        chain.blocks[7].event = second;
        chain.blocks[8].event = first;
    }));
    assert!(renumbered.contains(&"D2".to_owned()), "{renumbered:?}");
}

#[test]
fn files_are_not_read_when_only_metadata_is_wanted() {
    let copied = Copied::new();
    flip(&copied.slices("sensors.readings")[0]);
    let report = copied.json(&["verify", "--metadata-only"]);
    assert_eq!(report["datasets"][4]["report"]["checked"]["bytes"], 0);
    fail(&mut copied.jetway(&["verify", "--no-rows"]));
    std::fs::write(&copied.slices("sensors.readings")[0], b"short").unwrap();
    fail(&mut copied.jetway(&["verify", "--metadata-only"]));
}
