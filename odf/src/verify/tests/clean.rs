//! Datasets that nothing is wrong with, and what is told about the work.

use std::cell::RefCell;
use std::path::Path as FilePath;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::Value;

use crate::chain::load;
use crate::codec::EncodedBlock;
use crate::identity::DatasetId;
use crate::storage::{DatasetStorage, Repository, RepositoryOptions};
use crate::verify::tests::dataset::{Dataset, Row, batch, rows, slice};
use crate::verify::tests::{ALL, report};
use crate::verify::walk::{self, Fold, Task};
use crate::verify::work::Work;
use crate::verify::{Progress, VerifyOptions, verify};

#[tokio::test]
async fn datasets_of_the_reference_implementation() {
    let path = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/datasets");
    let repository = Repository::open(path.to_str().unwrap(), &RepositoryOptions::default())
        .await
        .unwrap();
    let ids: Vec<DatasetId> = repository.list().try_collect().await.unwrap();
    assert_eq!(ids.len(), 7);
    for id in ids {
        check_clean(&repository.dataset(id)).await;
    }
}

#[tokio::test]
async fn dataset_made_from_the_description() {
    let sample: Value = serde_json::from_str(include_str!("../../../tests/vectors/sample-dataset.json")).unwrap();
    let repository = Repository::open("memory:", &RepositoryOptions::default())
        .await
        .unwrap();
    let folder = sample["multibaseId"].as_str().unwrap();
    for (name, text) in sample["files"].as_object().unwrap() {
        let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
        repository
            .store()
            .put(&Path::from(format!("{folder}/{name}")), bytes.into())
            .await
            .unwrap();
    }
    let storage = repository.dataset(DatasetId::from_multibase(folder).unwrap());
    check_clean(&storage).await;
}

/// Nothing is found, and all of it was looked at.
async fn check_clean(storage: &DatasetStorage) {
    let report = report(storage).await;
    assert_eq!(report.findings, [], "{}", storage.id());
    let head = storage.head().await.unwrap().unwrap();
    assert_eq!((report.dataset, report.head), (*storage.id(), Some(head)));
    let state = load(storage, head, |_: &EncodedBlock| ()).await.unwrap();
    let (counts, checked) = (state.counts(), report.checked);
    assert_eq!((checked.blocks, checked.slices), (counts.blocks, counts.slices));
    assert_eq!(
        (checked.rows, checked.bytes),
        (counts.records, counts.data_bytes + counts.checkpoint_bytes)
    );
    assert!(report.is_valid() && checked.rows > 0);
}

/// Larger than what is read at once, in several row groups, with one value of several megabytes.
pub(super) fn large() -> Dataset {
    let mut dataset = Dataset::new();
    dataset.add_rows(0, 5);
    let mut noise = 1_u64;
    let mut next = || {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        noise
    };
    let mut many: Vec<Row> = rows(5, 70_000);
    for row in &mut many {
        row.value = (0..10).map(|_| format!("{:016x}", next())).collect();
    }
    many[30_000].value = "long ".repeat(1 << 20);
    dataset.add(5, 70_004, &batch(&many), |_| ());
    dataset
}

#[tokio::test]
async fn large_slices_are_read_piece_by_piece() {
    let dataset = large();
    assert!(dataset.files.iter().any(|(_, _, bytes)| bytes.len() > 9 << 20));
    check_clean(&dataset.store().await).await;

    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::open(folder.path().to_str().unwrap(), &RepositoryOptions::default())
        .await
        .unwrap();
    let root = folder.path().join(dataset.id.to_multibase());
    for (name, hash, bytes) in &dataset.files {
        std::fs::create_dir_all(root.join(name)).unwrap();
        std::fs::write(root.join(name).join(hash.to_string()), bytes).unwrap();
    }
    std::fs::create_dir(root.join("refs")).unwrap();
    std::fs::write(root.join("refs/head"), dataset.blocks[3].hash.to_string()).unwrap();
    check_clean(&repository.dataset(dataset.id)).await;
}

#[tokio::test]
async fn long_chains_are_read_twice_where_they_do_not_fit() {
    let mut dataset = Dataset::new();
    for start in 0..300 {
        dataset.add_rows(start * 3, 3);
    }
    let storage = dataset.store().await;
    check_clean(&storage).await;

    let chain = walk::read_back(&storage, dataset.blocks[301].hash, 2_000, |_| ())
        .await
        .unwrap();
    let mut fold = Fold::new(&storage, chain);
    let mut starts = Vec::new();
    while let Some(tasks) = fold.next().await.unwrap() {
        for task in tasks {
            let Task::Slice(task) = task else { panic!("{task:?}") };
            starts.push(task.slice.offset_interval.start);
        }
    }
    assert_eq!(starts, (0..300).map(|start| start * 3).collect::<Vec<_>>());
    assert_eq!((fold.blocks(), fold.into_findings().len()), (302, 0));
}

#[tokio::test]
async fn work_that_nobody_waits_for_is_given_up() {
    let storage = Dataset::new().store().await;
    let work = Work::new(storage, ALL);
    let gauge = Arc::clone(&work.gauge);
    assert!(gauge.go_on().is_ok());
    drop(work);
    assert!(gauge.go_on().is_err());
}

#[tokio::test]
async fn work_that_panics_is_an_error() {
    let work = Work::new(Dataset::new().store().await, ALL);
    let error = work.run::<()>(|| panic!("foreign code")).await.unwrap_err();
    assert_eq!(error.message(), "reading the file failed in an unexpected way");
}

#[tokio::test]
async fn progress_ends_where_the_work_ends() {
    let mut dataset = Dataset::new();
    let checkpoint = dataset.checkpoint(b"state");
    for start in 0..3 {
        let previous = (start > 0).then_some(checkpoint.physical_hash);
        let rows = rows(start * 3, 3);
        let first = start.unsigned_abs() * 3;
        dataset.add(first, first + 2, &batch(&rows), |event| {
            event.prev_checkpoint = previous;
            event.new_checkpoint = Some(checkpoint.clone());
        });
    }
    let storage = dataset.store().await;
    let steps = RefCell::new(Vec::new());
    let report = verify(&storage, ALL, |progress| steps.borrow_mut().push(progress))
        .await
        .unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.checked.slices, report.checked.checkpoints), (3, 1));
    let slices: u64 = (0..3)
        .map(|start| slice(0, 2, &batch(&rows(start * 3, 3))).0.size)
        .sum();
    assert_eq!(report.checked.bytes, slices + 5);

    let steps = steps.into_inner();
    let last = *steps.last().unwrap();
    assert_eq!(
        (last.blocks, last.blocks_total, last.objects, last.objects_total),
        (5, 5, 4, 4)
    );
    assert_eq!(last.bytes_total, 2 * slices + 5);
    assert!(last.bytes > slices + 5 && last.bytes <= last.bytes_total);
    assert!(steps.is_sorted_by_key(|step: &Progress| (step.blocks_total, step.objects, step.bytes)));
}

#[tokio::test]
async fn less_is_read_when_less_is_asked_for() {
    let mut dataset = Dataset::new();
    dataset.add_rows(0, 100);
    let storage = dataset.store().await;
    for (hashes, rows) in [(false, false), (true, false), (false, true)] {
        let report = verify(
            &storage,
            VerifyOptions {
                hashes,
                rows,
                threads: None,
            },
            |_| (),
        )
        .await
        .unwrap();
        assert_eq!(report.findings, []);
        assert_eq!(
            (report.checked.bytes > 0, report.checked.rows),
            (hashes, if rows { 100 } else { 0 })
        );
    }
}
