//! Repositories in the object stores of clouds.

mod azure;
mod gcs;
mod s3;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error as StoreError, ObjectStore, RetryConfig};
use url::Url;

use crate::error::{Error, Result};
use crate::storage::options::RepositoryOptions;
use crate::storage::remote;

pub use azure::AzureOptions;
pub use gcs::GcsOptions;
pub use s3::S3Options;

/// A bucket or container.
#[derive(Debug)]
pub(super) struct Bucket {
    /// What tells it from all others.
    pub(super) identity: String,
    pub(super) store: Arc<dyn ObjectStore>,
}

/// The store that a URL names, rooted at the URL's path; `None` if its scheme is not that of a cloud.
pub(super) fn open(url: &Url, options: &RepositoryOptions) -> Result<Option<Bucket>> {
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let bucket = match url.scheme() {
        "s3" => s3::open(url, &options.s3, environment)?,
        "az" | "azure" | "abfs" | "abfss" => azure::open(url, &options.azure, environment)?,
        "gs" => gcs::open(url, &options.gcs, environment)?,
        _ => return Ok(None),
    };
    let prefix = Path::from_url_path(url.path()).map_err(|error| {
        Error::malformed("the URL has an invalid path")
            .with_context("location", url)
            .with_source(error)
    })?;
    let identity = format!("{}/{prefix}", bucket.identity);
    let store: Arc<dyn ObjectStore> = match prefix.as_ref() {
        "" => bucket.store,
        _ => Arc::new(PrefixStore::new(bucket.store, prefix)),
    };
    Ok(Some(Bucket { identity, store }))
}

fn bucket_name<'a>(url: &'a Url, example: &str) -> Result<&'a str> {
    url.host_str().filter(|name| !name.is_empty()).ok_or_else(|| {
        Error::malformed(format!("the URL must name a bucket, such as {example}")).with_context("location", url)
    })
}

fn cannot_open(url: &Url, error: StoreError) -> Error {
    remote::store_error(
        "the repository cannot be opened; check its options and the environment",
        &Path::default(),
        error,
    )
    .with_context("location", url)
}

/// The variables of a cloud that its client knows.
fn variables<K: FromStr>(
    environment: impl Iterator<Item = (String, String)>,
    prefix: &str,
) -> impl Iterator<Item = (K, String)> {
    environment
        .filter(move |(name, _)| name.starts_with(prefix))
        .filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
}

/// A request that fails is repeated by the client, for as long as somebody may want to wait.
fn retries() -> RetryConfig {
    RetryConfig {
        max_retries: 5,
        retry_timeout: Duration::from_secs(60),
        ..RetryConfig::default()
    }
}
