//! The repositories that the configuration names.

use anyhow::{Context, Result};
use jetway_control::StorageCatalog;
use jetway_odf::identity::AccountName;
use jetway_odf::storage::{AzureOptions, GcsOptions, Repository, RepositoryOptions, S3Options, ScratchStore};
use jetway_planner::TransactionOptions;
use secrecy::SecretString;

use crate::config::{Config, Secret};

/// The datasets that the configuration names.
pub(crate) async fn open_catalog(config: &Config) -> Result<StorageCatalog> {
    let storage = &config.storage;
    let default_account: AccountName = storage
        .default_account
        .parse()
        .context("storage.default_account cannot be used")?;
    let read_only = storage.read_only.0;
    let root = open(config, &config.repository(), read_only, "storage.repository").await?;
    let Some(location) = &storage.derivative_repository else {
        return Ok(StorageCatalog::new(root, default_account));
    };
    let read_only = storage.derivative_read_only.map_or(read_only, |flag| flag.0);
    let derivative = open(config, location, read_only, "storage.derivative_repository").await?;
    Ok(StorageCatalog::with_derivatives(root, derivative, default_account))
}

/// Where rows of transactions wait.
pub(super) async fn transactions(config: &Config) -> Result<TransactionOptions> {
    let location = config.staging();
    let staging = ScratchStore::open(&location, &repository_options(config))
        .await
        .with_context(|| format!("cannot open the staging folder {location} (storage.staging)"))?;
    Ok(TransactionOptions {
        max_bytes: config.flight.max_transaction.bytes(),
        lifetime: config.flight.transaction_lifetime.duration(),
        ..TransactionOptions::new(staging)
    })
}

async fn open(config: &Config, location: &str, read_only: bool, key: &str) -> Result<Repository> {
    let options = RepositoryOptions {
        read_only,
        ..repository_options(config)
    };
    Repository::open(location, &options)
        .await
        .with_context(|| format!("cannot open the repository {location} ({key})"))
}

/// How the configuration says to reach repositories.
pub(crate) fn repository_options(config: &Config) -> RepositoryOptions {
    let (s3, azure, gcs) = (&config.s3, &config.azure, &config.gcs);
    RepositoryOptions {
        s3: S3Options {
            endpoint: s3.endpoint.clone(),
            region: s3.region.clone(),
            access_key_id: s3.access_key_id.clone(),
            secret_access_key: secret(&s3.secret_access_key),
            session_token: secret(&s3.session_token),
            allow_http: s3.allow_http.map(|flag| flag.0),
        },
        azure: AzureOptions {
            account: azure.account.clone(),
            access_key: secret(&azure.access_key),
            sas_token: secret(&azure.sas_token),
            tenant_id: azure.tenant_id.clone(),
            client_id: azure.client_id.clone(),
            client_secret: secret(&azure.client_secret),
            endpoint: azure.endpoint.clone(),
            allow_http: azure.allow_http.map(|flag| flag.0),
        },
        gcs: GcsOptions {
            endpoint: gcs.endpoint.clone(),
            service_account_file: gcs.service_account_file.clone(),
            service_account_key: secret(&gcs.service_account_key),
            allow_http: gcs.allow_http.map(|flag| flag.0),
        },
        read_only: false,
        temp_dir: config.query.spill_dir.clone(),
    }
}

fn secret(configured: &Option<Secret>) -> Option<SecretString> {
    configured.as_ref().map(|secret| secret.get().clone())
}
