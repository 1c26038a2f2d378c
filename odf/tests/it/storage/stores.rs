//! The suite on the object stores of clouds, and what only they have.

use jetway_odf::ErrorKind;
use jetway_odf::identity::Multihash;
use jetway_odf::storage::{ObjectKind, ObjectSource, Repository, RepositoryOptions};

use super::site::Site;
use super::{azurite, blocks, conformance, gcs, weed};

#[tokio::test(flavor = "multi_thread")]
async fn s3() {
    check(Site::s3).await;
    let weed = weed::shared();
    let bucket = format!("s3://{}", weed::BUCKET);
    whole_buckets_and_shared_prefixes(&bucket, &weed.options(weed::SECRET_ACCESS_KEY)).await;
    wrong_secrets_are_refused(&bucket, &weed.options("wrong")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure() {
    check(Site::azure).await;
    let azurite = azurite::shared();
    let container = format!("az://{}", azurite::CONTAINER);
    let options = azurite.options(azurite::ACCESS_KEY);
    whole_buckets_and_shared_prefixes(&container, &options).await;
    wrong_secrets_are_refused(&container, &azurite.options("d3Jvbmc=")).await;

    // Another spelling names the same repository.
    let (dataset, seed) = blocks::create(&Repository::open(&container, &options).await.unwrap()).await;
    for scheme in ["azure", "abfs", "abfss"] {
        let location = format!("{scheme}://{}", azurite::CONTAINER);
        let same = Repository::open(&location, &options).await.unwrap();
        assert_eq!(same.dataset(*dataset.id()).head().await.unwrap(), Some(seed.hash));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gcs() {
    check(Site::gcs).await;
    whole_buckets_and_shared_prefixes(&format!("gs://{}", gcs::BUCKET), &gcs::shared().options()).await;
    an_upload_that_fails_is_ended().await;
}

async fn check(site: fn() -> Site) {
    conformance::check(|| async move { site().open().await }).await;
}

async fn whole_buckets_and_shared_prefixes(location: &str, options: &RepositoryOptions) {
    let bucket = Repository::open(location, options).await.unwrap();
    let prefix = Repository::open(&format!("{location}/a%20b/"), options).await.unwrap();
    let (in_bucket, _) = blocks::create(&bucket).await;
    let (in_prefix, _) = blocks::create(&prefix).await;
    assert_eq!(blocks::list(&bucket).await, [*in_bucket.id()]);
    assert_eq!(blocks::list(&prefix).await, [*in_prefix.id()]);
    assert_ne!(bucket.base_url(), prefix.base_url());
    let again = Repository::open(location, options).await.unwrap();
    assert_eq!(bucket.base_url(), again.base_url());
}

async fn wrong_secrets_are_refused(bucket: &str, options: &RepositoryOptions) {
    let repository = Repository::open(&format!("{bucket}/x"), options).await.unwrap();
    let error = repository.dataset(blocks::new_id()).head().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(!error.is_retryable());
    assert!(error.message().contains("credentials"), "{error}");
}

/// Parts that nobody will ever use cost money until somebody says so.
async fn an_upload_that_fails_is_ended() {
    let (dataset, _) = blocks::create(&Site::gcs().open().await).await;
    let data = blocks::random_bytes(20 << 20);
    let file = dataset.new_pending_file().await.unwrap();
    file.as_file().set_len(data.len() as u64).unwrap();
    let source = ObjectSource::File {
        file,
        size: data.len() as u64,
    };
    gcs::shared().refuse_part(3);
    let hash = Multihash::sha3_256(&data);
    let error = dataset.put_object(ObjectKind::Data, hash, source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    assert!(!dataset.object_exists(ObjectKind::Data, &hash).await.unwrap());
    assert_eq!(gcs::shared().unfinished_uploads(), 0);

    dataset.put_object(ObjectKind::Data, hash, data.into()).await.unwrap();
    assert!(dataset.object_exists(ObjectKind::Data, &hash).await.unwrap());
}
