//! Files that are damaged, mixed up or gone.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::ErrorKind;
use crate::identity::{DatasetId, Multihash};
use crate::storage::{Repository, RepositoryOptions};
use crate::verify::tests::dataset::{Dataset, batch, flipped, rows};
use crate::verify::tests::{ALL, only, problems, report};
use crate::verify::{ObjectName, ObjectType, Problem, Report, Severity, VerifyOptions, verify};

/// Two slices and a checkpoint; the events are in blocks 2 and 3.
fn dataset() -> Dataset {
    let mut dataset = Dataset::new();
    dataset.add_rows(0, 3);
    let checkpoint = dataset.checkpoint(b"checkpoint of an engine");
    dataset.add(3, 6, &batch(&rows(3, 4)), |event| {
        event.new_checkpoint = Some(checkpoint)
    });
    dataset
}

#[tokio::test]
async fn a_flipped_byte_in_a_slice_is_found_wherever_it_is() {
    let whole = dataset();
    let length = whole.clone().file("data", 1).2.len();
    for position in (0..length).step_by(37).chain([length - 1]) {
        let mut dataset = whole.clone();
        let (_, hash, bytes) = dataset.file("data", 1);
        *bytes = flipped(bytes, position);
        let (hash, actual) = (*hash, Multihash::sha3_256(bytes));
        let report = report(&dataset.store().await).await;
        let finding = report
            .findings
            .iter()
            .find(|finding| finding.problem == Problem::PhysicalHash)
            .unwrap();
        assert_eq!(
            (finding.sequence_number, finding.block),
            (Some(3), Some(dataset.blocks[3].hash))
        );
        assert_eq!(
            finding.object,
            Some(ObjectName {
                r#type: ObjectType::Data,
                hash
            })
        );
        assert_eq!(
            (finding.expected.clone(), finding.found.clone()),
            (Some(hash.to_string()), Some(actual.to_string()))
        );
        assert!(
            report.findings.iter().all(|finding| finding.sequence_number == Some(3)),
            "{position}: {report:#?}"
        );
        assert!(!report.is_valid());
    }
}

#[tokio::test]
async fn a_flipped_byte_in_a_block_is_found_wherever_it_is() {
    let whole = dataset();
    for index in 0..whole.blocks.len() {
        for position in (0..whole.blocks[index].bytes.len()).step_by(11) {
            let mut dataset = whole.clone();
            let (_, hash, bytes) = dataset.file("blocks", index);
            *bytes = flipped(bytes, position);
            let hash = *hash;
            let report = report(&dataset.store().await).await;
            let finding = report
                .findings
                .iter()
                .find(|finding| finding.problem == Problem::PhysicalHash);
            let finding = finding.unwrap_or_else(|| panic!("{index} {position}: {report:#?}"));
            assert_eq!(
                (finding.block, finding.object),
                (
                    Some(hash),
                    Some(ObjectName {
                        r#type: ObjectType::Block,
                        hash
                    })
                )
            );
        }
    }
}

#[tokio::test]
async fn what_stands_beside_a_broken_block_is_checked() {
    let mut dataset = dataset();
    let last = dataset.file("data", 1);
    last.2 = flipped(&last.2, 50);
    let broken = dataset.file("blocks", 1);
    broken.2 = broken.2.slice(..20);
    let report = report(&dataset.store().await).await;
    // The schema is in the broken block, so rules and columns cannot be checked, but the slices can.
    let found: Vec<_> = problems(&report)
        .into_iter()
        .filter(|(problem, _)| *problem != Problem::Unreadable)
        .collect();
    assert!(found.contains(&(Problem::PhysicalHash, Some(1))), "{found:?}");
    assert!(found.contains(&(Problem::Malformed, Some(1))), "{found:?}");
    assert!(found.contains(&(Problem::PhysicalHash, Some(3))), "{found:?}");
    assert_eq!((report.checked.blocks, report.checked.slices), (2, 2));
}

#[tokio::test]
async fn a_flipped_byte_in_a_checkpoint_is_found() {
    let mut dataset = dataset();
    let (_, hash, bytes) = dataset.file("checkpoints", 0);
    *bytes = flipped(bytes, 5);
    let hash = *hash;
    let report = report(&dataset.store().await).await;
    let finding = only(&report);
    assert_eq!(
        (finding.problem, finding.sequence_number),
        (Problem::PhysicalHash, Some(3))
    );
    assert_eq!(
        finding.object,
        Some(ObjectName {
            r#type: ObjectType::Checkpoint,
            hash
        })
    );
}

#[tokio::test]
async fn swapped_slices_are_found() {
    let mut dataset = dataset();
    let first = dataset.file("data", 0).2.clone();
    let second = std::mem::replace(&mut dataset.file("data", 1).2, first);
    dataset.file("data", 0).2 = second;
    let report = report(&dataset.store().await).await;
    for block in [2, 3] {
        for problem in [
            Problem::PhysicalHash,
            Problem::LogicalHash,
            Problem::RowCount,
            Problem::Offset,
        ] {
            assert!(
                problems(&report).contains(&(problem, Some(block))),
                "{problem:?} {block}: {report:#?}"
            );
        }
    }
}

#[tokio::test]
async fn truncated_files_are_found() {
    for keep in [0, 3, 100, 1000] {
        let mut dataset = dataset();
        let (_, _, bytes) = dataset.file("data", 0);
        let size = bytes.len();
        *bytes = bytes.slice(..keep);
        let checkpoint = dataset.file("checkpoints", 0);
        checkpoint.2 = checkpoint.2.slice(..4);
        let storage = dataset.store().await;
        let report = report(&storage).await;
        let mut found = problems(&report);
        found.sort_by_key(|(problem, block)| (*block, format!("{problem:?}")));
        let of_slice = [Problem::PhysicalHash, Problem::Size, Problem::Unreadable].map(|problem| (problem, Some(2)));
        let of_checkpoint = [Problem::PhysicalHash, Problem::Size].map(|problem| (problem, Some(3)));
        assert_eq!(
            found,
            [of_slice.as_slice(), of_checkpoint.as_slice()].concat(),
            "{report:#?}"
        );
        let sizes = report
            .findings
            .iter()
            .find(|finding| finding.problem == Problem::Size)
            .unwrap();
        assert_eq!(
            (sizes.expected.clone(), sizes.found.clone()),
            (Some(size.to_string()), Some(keep.to_string()))
        );

        // Sizes are compared even when nothing is read.
        let options = VerifyOptions {
            hashes: false,
            rows: false,
            threads: None,
        };
        let report = verify(&storage, options, |_| ()).await.unwrap();
        assert_eq!(problems(&report), [(Problem::Size, Some(2)), (Problem::Size, Some(3))]);
    }
}

#[tokio::test]
async fn missing_files_are_found() {
    for (folder, index, r#type, block) in [
        ("data", 0, ObjectType::Data, 2),
        ("checkpoints", 0, ObjectType::Checkpoint, 3),
        ("blocks", 0, ObjectType::Block, 0),
        ("blocks", 2, ObjectType::Block, 2),
    ] {
        let mut dataset = dataset();
        let hash = dataset.file(folder, index).1;
        dataset.files.retain(|(_, name, _)| *name != hash);
        let report = report(&dataset.store().await).await;
        let finding = only(&report);
        assert_eq!(
            (finding.problem, finding.sequence_number),
            (Problem::Missing, Some(block))
        );
        assert_eq!(finding.object, Some(ObjectName { r#type, hash }));
    }
}

#[tokio::test]
async fn forged_heads_are_found() {
    let dataset = dataset();
    for head in ["", "f1620", &format!("{}\n", dataset.blocks[3].hash), &"x".repeat(69)] {
        let report = report(&dataset.store_with_head(head).await).await;
        assert_eq!((only(&report).problem, report.head), (Problem::Head, None), "{head}");
    }
    let nowhere = Multihash::sha3_256(b"nowhere");
    let report_of_nowhere = report(&dataset.store_with_head(&nowhere.to_string()).await).await;
    let finding = only(&report_of_nowhere);
    assert_eq!(
        (finding.problem, finding.block, finding.sequence_number),
        (Problem::Missing, Some(nowhere), None)
    );

    // The chain of another dataset, which is a valid one.
    let mut other = dataset.clone();
    other.id = DatasetId::seeded(b"other");
    let report_of_other = report(&other.store().await).await;
    let finding = only(&report_of_other);
    assert_eq!((finding.problem, finding.sequence_number), (Problem::Dataset, Some(0)));
    assert_eq!(
        (finding.expected.clone(), finding.found.clone()),
        (Some(other.id.to_string()), Some(dataset.id.to_string()))
    );

    let storage = dataset.store().await;
    let nothing = storage.repository().dataset(DatasetId::seeded(b"nothing"));
    assert_eq!(
        verify(&nothing, ALL, |_| ()).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn everything_is_found_at_once() {
    let mut dataset = dataset();
    let hash = dataset.file("data", 0).1;
    dataset.files.retain(|(_, name, _)| *name != hash);
    let slice = dataset.file("data", 0);
    slice.2 = flipped(&slice.2, 2);
    let checkpoint = dataset.file("checkpoints", 0);
    checkpoint.2 = flipped(&checkpoint.2, 2);
    let block = dataset.file("blocks", 1);
    block.2 = [&block.2[..], b"more"].concat().into();
    let report = report(&dataset.store().await).await;
    let found: Vec<_> = problems(&report)
        .into_iter()
        .filter(|(problem, _)| *problem != Problem::Unreadable)
        .collect();
    let hashes = [(Problem::PhysicalHash, Some(3)); 2];
    assert_eq!(
        found,
        [[(Problem::PhysicalHash, Some(1)), (Problem::Missing, Some(2))], hashes].concat(),
        "{report:#?}"
    );
}

#[tokio::test]
async fn reports_are_read_by_programs_and_people() {
    let mut dataset = dataset();
    let checkpoint = dataset.file("checkpoints", 0);
    checkpoint.2 = flipped(&checkpoint.2, 5);
    let (hash, actual) = (checkpoint.1, Multihash::sha3_256(&checkpoint.2));
    let report = report(&dataset.store().await).await;
    let block = dataset.blocks[3].hash;
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        json["findings"][0],
        serde_json::json!({
            "problem": "physicalHash",
            "severity": "error",
            "block": block.to_string(),
            "sequenceNumber": 3,
            "object": {"type": "checkpoint", "hash": hash.to_string()},
            "expected": hash.to_string(),
            "found": actual.to_string(),
            "message": "the bytes of the file do not have the hash that it is stored under",
        })
    );
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    assert_eq!(only(&report).severity, Severity::Error);
    assert_eq!(
        only(&report).to_string(),
        format!(
            "the bytes of the file do not have the hash that it is stored under (block: {block}, sequence number: 3, \
             object: checkpoints/{hash}, expected: {hash}, found: {actual})"
        )
    );
}

/// A copy of a dataset of the reference implementation, with its slices in the order of their names.
fn copied(id: &str) -> (TempDir, PathBuf, Vec<PathBuf>) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/datasets")
        .join(id);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(id);
    for name in ["blocks", "data", "refs"] {
        fs::create_dir_all(root.join(name)).unwrap();
        for entry in fs::read_dir(source.join(name)).unwrap() {
            let entry = entry.unwrap();
            fs::write(root.join(name).join(entry.file_name()), fs::read(entry.path()).unwrap()).unwrap();
        }
    }
    let mut slices: Vec<PathBuf> = fs::read_dir(root.join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    slices.sort();
    (folder, root, slices)
}

#[tokio::test]
async fn damage_on_a_file_system_is_found() {
    let id = "fed0177cbd6b17717a2c33968cfdadc15669a0fbeb251a1ef44219f3dbd373aada6e8";
    let (folder, _root, slices) = copied(id);
    let bytes = fs::read(&slices[0]).unwrap();
    fs::write(&slices[0], flipped(&bytes.into(), 1000)).unwrap();
    fs::remove_file(&slices[1]).unwrap();
    let repository = Repository::open(folder.path().to_str().unwrap(), &RepositoryOptions::default())
        .await
        .unwrap();
    let report = report(&repository.dataset(DatasetId::from_multibase(id).unwrap())).await;
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let of = |path: &PathBuf, problem: Problem| {
        let object = Some(name(path));
        let mut findings = report.findings.iter().filter(|finding| finding.problem == problem);
        findings.any(|finding| finding.object.map(|object| object.hash.to_string()) == object)
    };
    assert!(
        of(&slices[0], Problem::PhysicalHash) && of(&slices[1], Problem::Missing),
        "{report:#?}"
    );
}
