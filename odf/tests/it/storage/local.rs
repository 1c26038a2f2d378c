//! The suite on a file system, and what only a file system has.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use chrono::{TimeDelta, Utc};
use jetway_odf::ErrorKind;
use jetway_odf::identity::Multihash;
use jetway_odf::storage::{
    CommitOutcome, GarbageOptions, NamedObject, ObjectKind, ObjectSource, Repository, RepositoryOptions,
};
use tempfile::TempDir;

use super::{blocks, conformance};

pub(crate) async fn open(path: &Path) -> Repository {
    Repository::open(path.to_str().unwrap(), &RepositoryOptions::default())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn local() {
    let folders: Mutex<Vec<TempDir>> = Mutex::default();
    conformance::check(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("created/with parents");
        folders.lock().unwrap().push(folder);
        async move { open(&path).await }
    })
    .await;
}

#[tokio::test]
async fn paths_and_urls_name_the_same_repository() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b");
    let by_path = open(&path).await;
    let by_url = Repository::open(
        &format!("file://{}/a%20b", folder.path().display()),
        &RepositoryOptions::default(),
    )
    .await
    .unwrap();
    assert_eq!(by_path.url(), by_url.url());
    assert_eq!(by_path.base_url(), by_url.base_url());
    assert_ne!(by_path.base_url(), open(folder.path()).await.base_url());
    let (dataset, seed) = blocks::create(&by_path).await;
    assert_eq!(by_url.dataset(*dataset.id()).head().await.unwrap(), Some(seed.hash));
}

#[tokio::test]
async fn locations_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for (location, kind) in [
        ("swift://bucket", ErrorKind::Unsupported),
        ("gs://", ErrorKind::Malformed),
        ("abfss://container@example.org/prefix", ErrorKind::Malformed),
        ("s3://", ErrorKind::Malformed),
        ("s3://key:secret@bucket/prefix", ErrorKind::Malformed),
        ("s3://bucket?region=x", ErrorKind::Malformed),
        ("file://host/path", ErrorKind::Malformed),
        ("://", ErrorKind::Malformed),
        (file.to_str().unwrap(), ErrorKind::Io),
    ] {
        let error = Repository::open(location, &RepositoryOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{location}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn the_layout_is_that_of_a_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let repository = open(folder.path()).await;
    let (dataset, seed) = blocks::create(&repository).await;
    dataset.set_alias(&"alice/trades".parse().unwrap()).await.unwrap();
    let data = blocks::random_bytes(100);
    let hash = Multihash::sha3_256(&data);
    let mut file = dataset.new_pending_file().await.unwrap();
    file.write_all(&data).unwrap();
    dataset
        .put_object(ObjectKind::Data, hash, ObjectSource::File { file, size: 100 })
        .await
        .unwrap();

    let root = folder
        .path()
        .join(dataset.id().to_string().trim_start_matches("did:odf:"));
    assert_eq!(
        fs::read(root.join("refs/head")).unwrap(),
        seed.hash.to_string().as_bytes()
    );
    assert_eq!(fs::read(root.join("refs/head")).unwrap().len(), 69);
    assert_eq!(
        fs::read(root.join("blocks").join(seed.hash.to_string())).unwrap(),
        seed.bytes
    );
    assert_eq!(fs::read(root.join("data").join(hash.to_string())).unwrap(), data);
    assert_eq!(fs::read_to_string(root.join("info/alias")).unwrap(), "alice/trades");
    assert_eq!(names(&root), [".lock", "blocks", "checkpoints", "data", "info", "refs"]);
    assert_eq!(
        (names(&root.join("refs")).len(), names(&root.join("blocks")).len()),
        (1, 1)
    );

    // Whoever may read other files here may read these.
    let other = folder.path().join("other");
    fs::write(&other, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    for path in [
        "refs/head".to_owned(),
        format!("blocks/{}", seed.hash),
        format!("data/{hash}"),
    ] {
        assert_eq!(mode(&root.join(&path)), mode(&other), "{path}");
    }
}

#[tokio::test]
async fn opening_cleans_up_after_dead_processes() {
    let folder = tempfile::tempdir().unwrap();
    let repository = open(folder.path()).await;
    let (dataset, seed) = blocks::create(&repository).await;
    let root = folder.path().join(dataset.id().to_multibase());
    let abandoned = root.join(".pending-0123456789abcdef");
    let two_hours_ago = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(7200));
    File::create(&abandoned).unwrap().set_times(two_hours_ago).unwrap();
    let deleted = folder.path().join(".deleted-fed01-0123456789abcdef/blocks");
    fs::create_dir_all(&deleted).unwrap();
    fs::write(deleted.join("f1620"), "").unwrap();
    let pending = dataset.new_pending_file().await.unwrap();

    let again = open(folder.path()).await;

    assert_eq!(names(folder.path()), [dataset.id().to_multibase()]);
    assert!(!abandoned.exists());
    assert!(pending.path().exists());
    assert_eq!(again.dataset(*dataset.id()).head().await.unwrap(), Some(seed.hash));
}

#[tokio::test]
async fn files_come_from_other_file_systems() {
    // In Linux another file system; elsewhere it may be the same, which must not matter.
    let shared_memory = Path::new("/dev/shm");
    let spool = if shared_memory.is_dir() {
        TempDir::new_in(shared_memory)
    } else {
        TempDir::new()
    }
    .unwrap();
    let options = RepositoryOptions {
        temp_dir: Some(spool.path().to_owned()),
        ..RepositoryOptions::default()
    };
    let elsewhere = Repository::open("memory:", &options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (dataset, seed) = blocks::create(&open(folder.path()).await).await;

    let data = blocks::random_bytes(100_000);
    let block = blocks::add_data(&seed, &data);
    let mut file = elsewhere.dataset(*dataset.id()).new_pending_file().await.unwrap();
    file.write_all(&data).unwrap();
    let object = jetway_odf::storage::PendingObject {
        kind: ObjectKind::Data,
        hash: Multihash::sha3_256(&data),
        source: ObjectSource::File {
            file,
            size: data.len() as u64,
        },
    };
    let outcome = dataset
        .commit(Some(seed.hash), std::slice::from_ref(&block), vec![object])
        .await
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { head: block.hash });
    let stored = dataset
        .read_object_range(ObjectKind::Data, &Multihash::sha3_256(&data), 0..u64::MAX)
        .await
        .unwrap();
    assert_eq!(stored, data);
    assert_eq!(names(spool.path()), [""; 0]);
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn an_old_object_that_is_put_again_is_no_garbage_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let repository = open(folder.path()).await;
    let (dataset, _) = blocks::create(&repository).await;
    let bytes = blocks::random_bytes(100);
    let hash = Multihash::sha3_256(&bytes);
    let file = folder
        .path()
        .join(dataset.id().to_multibase())
        .join(format!("data/{hash}"));
    let options = GarbageOptions {
        now: Utc::now(),
        grace: TimeDelta::days(1),
        dry_run: false,
    };
    let put = async || {
        dataset
            .put_object(ObjectKind::Data, hash, bytes.clone().into())
            .await
            .unwrap()
    };
    put().await;
    let long_ago = SystemTime::now() - Duration::from_secs(3 * 24 * 60 * 60);
    let age = || {
        File::open(&file)
            .unwrap()
            .set_times(FileTimes::new().set_modified(long_ago))
            .unwrap();
    };
    age();
    // A writer that is about to commit a block that names it.
    put().await;
    let report = dataset.collect_garbage(&options).await.unwrap();
    assert_eq!((report.garbage.len(), report.too_young), (0, 1));
    age();
    assert_eq!(dataset.collect_garbage(&options).await.unwrap().garbage.len(), 1);
    assert!(!file.exists());
}

#[tokio::test]
async fn what_is_only_read_keeps_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, _) = blocks::create(&open(folder.path()).await).await;
    let bytes = blocks::random_bytes(100);
    let object = NamedObject {
        kind: ObjectKind::Data,
        hash: Multihash::sha3_256(&bytes),
        size: 100,
    };
    dataset
        .put_object(object.kind, object.hash, bytes.into())
        .await
        .unwrap();
    let path = folder
        .path()
        .join(dataset.object_path(object.kind, &object.hash).as_ref());
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    File::open(&path)
        .unwrap()
        .set_times(FileTimes::new().set_modified(long_ago))
        .unwrap();
    let options = RepositoryOptions {
        read_only: true,
        ..RepositoryOptions::default()
    };
    let read_only = Repository::open(folder.path().to_str().unwrap(), &options)
        .await
        .unwrap();
    let dataset = read_only.dataset(*dataset.id());
    assert!(dataset.holds(&object).await.unwrap());
    let other = NamedObject { size: 99, ..object };
    assert!(!dataset.holds(&other).await.unwrap());
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), long_ago);
}

#[tokio::test]
async fn a_damaged_block_is_replaced_when_it_is_put_again() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, seed) = blocks::create(&open(folder.path()).await).await;
    let path = folder
        .path()
        .join(dataset.id().to_multibase())
        .join(format!("blocks/{}", seed.hash));
    fs::write(&path, vec![0; seed.bytes.len()]).unwrap();
    assert_eq!(dataset.block(&seed.hash).await.unwrap_err().kind(), ErrorKind::Corrupt);
    dataset.put_block(seed.hash, seed.bytes.clone()).await.unwrap();
    assert_eq!(dataset.block(&seed.hash).await.unwrap(), seed.bytes);
}

#[tokio::test]
async fn pending_files_are_garbage_once_nobody_holds_them() {
    let folder = tempfile::tempdir().unwrap();
    let repository = open(folder.path()).await;
    let (dataset, _) = blocks::create(&repository).await;
    let held = dataset.new_pending_file().await.unwrap();
    let abandoned = folder
        .path()
        .join(dataset.id().to_multibase())
        .join("data/.pending-0123456789abcdef");
    fs::write(&abandoned, "half a slice").unwrap();
    let options = GarbageOptions {
        now: Utc::now() + TimeDelta::days(3),
        grace: TimeDelta::days(1),
        dry_run: false,
    };
    let report = dataset.collect_garbage(&options).await.unwrap();
    let [garbage] = report.garbage.try_into().unwrap();
    assert_eq!(garbage.path, "data/.pending-0123456789abcdef");
    assert!(!abandoned.exists());
    assert!(held.path().exists());
}
