//! Amazon S3, and stores that speak like it.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::{Error, ErrorKind, Result};
use crate::storage::cloud::{self, Bucket};

pub(super) fn open(
    url: &Url,
    options: &S3Options,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Bucket> {
    let bucket = cloud::bucket_name(url, "s3://bucket/prefix")?;
    let builder = options.builder(bucket, environment)?;
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::Endpoint)
        .unwrap_or_default();
    let store = builder.build().map_err(|error| cloud::cannot_open(url, error))?;
    Ok(Bucket {
        identity: format!("{endpoint} s3://{bucket}"),
        store: Arc::new(store),
    })
}

/// How to reach S3 or a store that speaks like it. What is not set comes from the `AWS_*` environment variables
/// (`AWS_ENDPOINT`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
/// `AWS_ALLOW_HTTP`...), then from the instance's or pod's role.
///
/// The store must honor conditional puts (`If-Match`, `If-None-Match`): S3, MinIO, SeaweedFS, Ceph and R2 do. A rule
/// on the bucket that ends incomplete multipart uploads after a day cleans up after processes that died.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// Such as `https://storage.example.org:9000`; Amazon's own unless set.
    pub endpoint: Option<String>,
    /// Such as `eu-central-1`.
    pub region: Option<String>,
    /// Goes with `secret_access_key`: both or neither.
    pub access_key_id: Option<String>,
    /// Goes with `access_key_id`: both or neither.
    pub secret_access_key: Option<SecretString>,
    /// For temporary credentials.
    pub session_token: Option<SecretString>,
    /// Whether an endpoint without TLS is accepted.
    pub allow_http: Option<bool>,
}

impl S3Options {
    /// Puts these options over `environment`.
    ///
    /// # Errors
    /// `Unsupported` if only half of a key pair is set.
    pub(in crate::storage) fn builder(
        &self,
        bucket: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<AmazonS3Builder> {
        let mut builder = AmazonS3Builder::new();
        for (key, value) in cloud::variables::<AmazonS3ConfigKey>(environment, "AWS_") {
            // A token from the environment belongs to the key pair from the environment.
            if self.access_key_id.is_some() && matches!(key, AmazonS3ConfigKey::Token) {
                continue;
            }
            builder = builder.with_config(key, value);
        }
        builder = builder
            .with_bucket_name(bucket)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(cloud::retries());
        match (&self.access_key_id, &self.secret_access_key) {
            (Some(id), Some(secret)) => {
                builder = builder
                    .with_access_key_id(id)
                    .with_secret_access_key(secret.expose_secret());
            }
            (None, None) => {}
            _ => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "an S3 access key id and its secret must be configured together",
                ));
            }
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token.expose_secret());
        }
        if let Some(allow_http) = self.allow_http {
            builder = builder.with_allow_http(allow_http);
        }
        Ok(builder)
    }
}
