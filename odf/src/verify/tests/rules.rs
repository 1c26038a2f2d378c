//! Chains that break the rules of the format, made with the codec alone.

use chrono::TimeDelta;

use crate::identity::Multihash;
use crate::metadata::{AddData, MetadataBlock, MetadataEvent, SetInfo};
use crate::verify::tests::dataset::{Dataset, batch, now, rows};
use crate::verify::tests::{only, report};
use crate::verify::{Problem, Report, Severity};

/// The rules that are broken, each with the position of the block.
fn rules(report: &Report) -> Vec<(&str, Option<u64>)> {
    for finding in &report.findings {
        assert_eq!(
            (finding.problem, finding.severity),
            (Problem::Rule, Severity::Error),
            "{finding:#?}"
        );
        assert!(finding.block.is_some() && finding.object.is_some());
    }
    report
        .findings
        .iter()
        .map(|finding| (finding.rule.as_deref().unwrap(), finding.sequence_number))
        .collect()
}

#[tokio::test]
async fn a_watermark_that_goes_back_is_found_and_the_rest_is_checked() {
    let mut dataset = Dataset::new();
    dataset.add_rows(0, 3);
    let earlier = now() - TimeDelta::days(1);
    let mut old = rows(3, 3);
    old.iter_mut().for_each(|row| row.event_time = earlier);
    dataset.add(3, 5, &batch(&old), |event| event.new_watermark = Some(earlier));
    dataset.add_rows(6, 3);
    dataset.push(MetadataEvent::AddData(AddData {
        prev_offset: Some(8),
        ..AddData::default()
    }));
    dataset.push(MetadataEvent::SetInfo(SetInfo::default()));
    let report = report(&dataset.store().await).await;
    assert_eq!(rules(&report), [("D3", Some(3)), ("D4", Some(5))]);
    assert_eq!(
        report.findings[0].message,
        "the watermark must be carried on or grow from 2024-05-06T07:08:09.123456789Z, but is 2024-05-05T07:08:09.123456789Z"
    );
    assert_eq!(
        (report.checked.blocks, report.checked.slices, report.checked.rows),
        (7, 3, 9)
    );
}

#[tokio::test]
async fn blocks_in_another_order_are_found() {
    let mut right = Dataset::new();
    right.add_rows(0, 3);
    right.add_rows(3, 3);
    let mut dataset = Dataset::new();
    dataset
        .files
        .extend(right.files.iter().filter(|(folder, ..)| *folder == "data").cloned());
    for (event, sequence_number) in [(3, 3), (2, 2)] {
        let prev_block_hash = dataset.blocks.last().map(|block| block.hash);
        let MetadataBlock { system_time, event, .. } = right.blocks[event].block.clone();
        dataset.push_block(MetadataBlock {
            system_time,
            prev_block_hash,
            sequence_number,
            event,
        });
    }
    let report = report(&dataset.store().await).await;
    // By their numbers; the slices are those that the blocks speak of.
    assert_eq!(rules(&report), [("G2", Some(2)), ("G2", Some(3))]);
    assert_eq!(report.checked.slices, 2);
}

#[tokio::test]
async fn slices_in_another_order_are_found() {
    let mut dataset = Dataset::new();
    dataset.add_rows(3, 3);
    dataset.add_rows(0, 3);
    // Others may start anywhere, but must go on from there.
    assert_eq!(rules(&report(&dataset.store().await).await), [("D2", Some(3))]);

    let mut dataset = Dataset::new();
    dataset.add_rows(0, 3);
    dataset.add(4, 6, &batch(&rows(4, 3)), |event| event.prev_offset = Some(2));
    assert_eq!(rules(&report(&dataset.store().await).await), [("D1", Some(3))]);
}

#[tokio::test]
async fn every_kind_of_broken_link_is_found() {
    let link = |change: fn(&mut MetadataBlock)| {
        let mut dataset = Dataset::new();
        let mut block = MetadataBlock {
            system_time: now(),
            prev_block_hash: dataset.blocks.last().map(|block| block.hash),
            sequence_number: 2,
            event: MetadataEvent::SetInfo(SetInfo::default()),
        };
        change(&mut block);
        dataset.push_block(block);
        dataset
    };
    let number = link(|block| block.sequence_number = 7);
    assert_eq!(rules(&report(&number.store().await).await), [("G2", Some(7))]);
    let time = link(|block| block.system_time -= TimeDelta::nanoseconds(1));
    assert_eq!(rules(&report(&time.store().await).await), [("G4", Some(2))]);
    let seed = link(|block| block.event = Dataset::new().blocks[0].block.event.clone());
    assert_eq!(rules(&report(&seed.store().await).await), [("G1", Some(2))]);
    let unlinked = link(|block| block.prev_block_hash = None);
    assert_eq!(rules(&report(&unlinked.store().await).await), [("G1", Some(2))]);
    let elsewhere = link(|block| block.prev_block_hash = Some(Multihash::sha3_256(b"elsewhere")));
    let report_of_elsewhere = report(&elsewhere.store().await).await;
    assert_eq!(
        (
            only(&report_of_elsewhere).problem,
            only(&report_of_elsewhere).sequence_number
        ),
        (Problem::Missing, Some(1))
    );
}

#[tokio::test]
async fn data_without_a_schema_is_found_and_its_hashes_are_checked() {
    let mut dataset = Dataset::new();
    dataset.files.remove(1);
    dataset.blocks.remove(1);
    dataset.add_rows(0, 3);
    let report = report(&dataset.store().await).await;
    assert_eq!(rules(&report), [("D5", Some(1))]);
    assert_eq!(report.checked.rows, 3);
}
