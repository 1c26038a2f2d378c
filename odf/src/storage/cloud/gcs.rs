//! Google Cloud Storage.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ClientConfigKey;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::{Error, Result};
use crate::storage::cloud::{self, Bucket};

/// How to reach Google Cloud Storage. What is not set comes from the `GOOGLE_*` environment variables
/// (`GOOGLE_APPLICATION_CREDENTIALS`, `GOOGLE_SERVICE_ACCOUNT`, `GOOGLE_SERVICE_ACCOUNT_KEY`, `GOOGLE_BASE_URL`...), then
/// from the credentials of the command line tool, then from the account of the instance or pod.
///
/// The head of a chain moves only where its generation is the one that was read. Google lets one object change about once
/// a second, so that is how often a dataset can be committed to; more frequent commits wait and are tried again. A rule on
/// the bucket that ends incomplete multipart uploads after a day cleans up after processes that died.
#[derive(Debug, Clone, Default)]
pub struct GcsOptions {
    /// Google's own unless set.
    pub endpoint: Option<String>,
    /// File with the key of a service account. Not together with `service_account_key`.
    pub service_account_file: Option<PathBuf>,
    /// The key of a service account as JSON text.
    pub service_account_key: Option<SecretString>,
    /// Whether an endpoint without TLS is accepted.
    pub allow_http: Option<bool>,
}

pub(super) fn open(
    url: &Url,
    options: &GcsOptions,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Bucket> {
    let bucket = cloud::bucket_name(url, "gs://bucket/prefix")?;
    let builder = options.builder(bucket, environment)?;
    let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl).unwrap_or_default();
    let store = builder.build().map_err(|error| cloud::cannot_open(url, error))?;
    Ok(Bucket {
        identity: format!("{endpoint} gs://{bucket}"),
        store: Arc::new(store),
    })
}

impl GcsOptions {
    /// Puts these options over `environment`.
    ///
    /// # Errors
    /// `Unsupported` if a service account is given twice.
    pub(in crate::storage) fn builder(
        &self,
        bucket: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<GoogleCloudStorageBuilder> {
        let has_account = match (&self.service_account_file, &self.service_account_key) {
            (Some(_), Some(_)) => {
                return Err(Error::unsupported(
                    "a Google service account must be configured by a file or by a key, not by both",
                ));
            }
            (None, None) => false,
            _ => true,
        };
        let mut builder = GoogleCloudStorageBuilder::new();
        for (key, value) in cloud::variables::<GoogleConfigKey>(environment, "GOOGLE_") {
            let is_account = matches!(
                key,
                GoogleConfigKey::ServiceAccount
                    | GoogleConfigKey::ServiceAccountKey
                    | GoogleConfigKey::ApplicationCredentials
            );
            // The options name another account than the environment.
            if !(is_account && has_account) {
                builder = builder.with_config(key, value);
            }
        }
        builder = builder.with_bucket_name(bucket).with_retry(cloud::retries());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        if let Some(path) = &self.service_account_file {
            builder = builder.with_service_account_path(path.to_string_lossy());
        }
        if let Some(key) = &self.service_account_key {
            builder = builder.with_service_account_key(key.expose_secret());
        }
        if let Some(allow_http) = self.allow_http {
            builder = builder.with_config(
                GoogleConfigKey::Client(ClientConfigKey::AllowHttp),
                allow_http.to_string(),
            );
        }
        Ok(builder)
    }
}
