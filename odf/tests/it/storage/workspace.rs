//! The workspace of other ODF software, opened in place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures::StreamExt;
use jetway_odf::codec::{EncodedBlock, ManifestVersion};
use jetway_odf::identity::{DatasetAlias, DatasetId, Multihash};
use jetway_odf::storage::{CommitOutcome, ObjectKind, Repository, RepositoryOptions};
use jetway_odf::verify::{VerifyOptions, verify};
use jetway_odf::{Error, ErrorKind};
use object_store::ObjectStoreExt;

use super::{blocks, site::Site};

fn read_only() -> RepositoryOptions {
    RepositoryOptions {
        read_only: true,
        ..RepositoryOptions::default()
    }
}

/// A copy of the fixtures, as a workspace has them: in a folder of its own.
fn workspace() -> (tempfile::TempDir, PathBuf) {
    let workspace = tempfile::tempdir().unwrap();
    let datasets = workspace.path().join("datasets");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/datasets"),
        &datasets,
    );
    (workspace, datasets)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// All files and folders, with the time of their last change.
fn state(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        found.insert(folder.clone(), folder.metadata().unwrap().modified().unwrap());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let (path, metadata) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
            match metadata.is_dir() {
                true => folders.push(path),
                false => drop(found.insert(path, metadata.modified().unwrap())),
            }
        }
    }
    found
}

async fn aliases(repository: &Repository) -> BTreeMap<DatasetAlias, DatasetId> {
    let mut found = BTreeMap::new();
    for id in blocks::list(repository).await {
        found.insert(repository.dataset(id).alias().await.unwrap().unwrap(), id);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn datasets_are_found_and_verified_in_place() {
    let (_workspace, datasets) = workspace();
    let before = state(&datasets);
    let repository = Repository::open(datasets.to_str().unwrap(), &read_only())
        .await
        .unwrap();
    let found = aliases(&repository).await;
    assert_eq!(found.len(), 7);
    for id in found.into_values() {
        let report = verify(&repository.dataset(id), VerifyOptions::default(), |_| {})
            .await
            .unwrap();
        assert_eq!(report.findings, []);
        assert!(report.checked.rows > 0);
    }
    assert_eq!(state(&datasets), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_to_what_is_read_only() {
    let (_workspace, datasets) = workspace();
    // What a dead process left stays, too.
    let folder = std::fs::read_dir(&datasets).unwrap().next().unwrap().unwrap().path();
    let pending = folder.join(".pending-0123456789abcdef");
    let old = std::fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
    std::fs::File::create(&pending).unwrap().set_times(old).unwrap();
    let before = state(&datasets);
    let repository = Repository::open(datasets.to_str().unwrap(), &read_only())
        .await
        .unwrap();
    refuses_to_write(&repository).await;
    assert_eq!(state(&datasets), before);

    let missing = datasets.join("missing");
    let error = Repository::open(missing.to_str().unwrap(), &read_only())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!missing.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_to_a_bucket_that_is_read_only() {
    let site = Site::s3();
    blocks::create(&site.open().await).await;
    let options = RepositoryOptions {
        read_only: true,
        ..site.options.clone()
    };
    refuses_to_write(&Repository::open(&site.location, &options).await.unwrap()).await;
}

async fn refuses_to_write(repository: &Repository) {
    let id = blocks::list(repository).await[0];
    let dataset = repository.dataset(id);
    let head = dataset.head().await.unwrap().unwrap();
    let chain = blocks::chain(&dataset).await;
    let next = blocks::info(&chain[0], "next");
    let new = blocks::new_id();
    let bytes = blocks::random_bytes(10);
    let hash = Multihash::sha3_256(&bytes);
    let derived = dataset.derived();

    refused(
        dataset
            .commit(Some(head), std::slice::from_ref(&next), Vec::new())
            .await,
    );
    refused(dataset.compare_and_swap_head(Some(head), chain[0].hash).await);
    refused(dataset.put_block(next.hash, next.bytes.clone()).await);
    refused(dataset.put_object(ObjectKind::Data, hash, bytes.clone().into()).await);
    refused(dataset.new_pending_file().await);
    refused(dataset.set_alias(&"other".parse().unwrap()).await);
    refused(repository.create_dataset(new).await);
    refused(repository.create(new, None, &[blocks::seed(&new)]).await);
    refused(repository.delete(id).await);
    refused(derived.write("index", bytes.clone()).await);
    refused(derived.remove("index").await);
    // Nor past all that.
    let path = derived.path("index");
    assert!(derived.store().put(&path, bytes.into()).await.is_err());
    assert!(derived.store().put_multipart(&path).await.is_err());
    assert!(derived.list("").next().await.is_none());
    assert_eq!(dataset.head().await.unwrap(), Some(head));
}

fn refused<T>(outcome: Result<T, Error>) {
    let error = outcome.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_can_be_written_to() {
    let (_workspace, datasets) = workspace();
    let repository = Repository::open(datasets.to_str().unwrap(), &RepositoryOptions::default())
        .await
        .unwrap();
    for id in blocks::list(&repository).await {
        let dataset = repository.dataset(id);
        let newest = blocks::chain(&dataset).await[0].clone();
        let mut next = blocks::info(&newest, "described elsewhere").block;
        next.system_time = newest.block.system_time;
        let next = EncodedBlock::encode(next, ManifestVersion::V3).unwrap();
        let outcome = blocks::commit(&dataset, &newest, &next).await;
        assert_eq!(outcome, CommitOutcome::Committed { head: next.hash });
        let report = verify(&dataset, VerifyOptions::default(), |_| {}).await.unwrap();
        assert_eq!(report.findings, []);
    }
}
