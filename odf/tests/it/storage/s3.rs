//! The suite on S3.

use std::sync::atomic::{AtomicU32, Ordering};

use jetway_odf::ErrorKind;
use jetway_odf::storage::{Repository, RepositoryOptions, S3Options};
use secrecy::SecretString;

use super::weed::{ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, Weed};
use super::{blocks, conformance};

#[tokio::test(flavor = "multi_thread")]
async fn s3() {
    let weed = tokio::task::spawn_blocking(Weed::start).await.unwrap();
    let options = options(&weed, SECRET_ACCESS_KEY);
    let prefixes = AtomicU32::new(0);
    conformance::check(|| {
        let location = format!("s3://{BUCKET}/some/prefix-{}", prefixes.fetch_add(1, Ordering::Relaxed));
        let options = options.clone();
        async move { Repository::open(&location, &options).await.unwrap() }
    })
    .await;

    whole_buckets_and_shared_prefixes(&options).await;
    wrong_secrets_are_refused(&weed).await;
}

async fn whole_buckets_and_shared_prefixes(options: &RepositoryOptions) {
    let bucket = Repository::open(&format!("s3://{BUCKET}"), options).await.unwrap();
    let prefix = Repository::open(&format!("s3://{BUCKET}/a%20b/"), options)
        .await
        .unwrap();
    let (in_bucket, _) = blocks::create(&bucket).await;
    let (in_prefix, _) = blocks::create(&prefix).await;
    assert_eq!(blocks::list(&bucket).await, [*in_bucket.id()]);
    assert_eq!(blocks::list(&prefix).await, [*in_prefix.id()]);
    assert_ne!(bucket.base_url(), prefix.base_url());
    let again = Repository::open(&format!("s3://{BUCKET}"), options).await.unwrap();
    assert_eq!(bucket.base_url(), again.base_url());
}

async fn wrong_secrets_are_refused(weed: &Weed) {
    let repository = Repository::open(&format!("s3://{BUCKET}/x"), &options(weed, "wrong"))
        .await
        .unwrap();
    let error = repository.dataset(blocks::new_id()).head().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(!error.is_retryable());
    assert!(error.message().contains("credentials"), "{error}");
}

pub(crate) fn options(weed: &Weed, secret: &str) -> RepositoryOptions {
    RepositoryOptions {
        s3: S3Options {
            endpoint: Some(weed.endpoint()),
            region: Some("us-east-1".to_owned()),
            access_key_id: Some(ACCESS_KEY_ID.to_owned()),
            secret_access_key: Some(SecretString::from(secret)),
            session_token: None,
            allow_http: Some(true),
        },
        temp_dir: Some(weed.folder().join("spool")),
    }
}
