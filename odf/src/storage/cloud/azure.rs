//! Azure Blob Storage.

use std::sync::Arc;

use object_store::ClientConfigKey;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::error::{Error, Result};
use crate::storage::cloud::{self, Bucket};

/// How to reach Azure Blob Storage. What is not set comes from the `AZURE_*` environment variables
/// (`AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_TOKEN`, `AZURE_CLIENT_ID`,
/// `AZURE_CLIENT_SECRET`, `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`...), then from the identity of the machine or pod.
///
/// The head of a chain moves only where its ETag is the one that was read. Blocks of uploads that were not finished are
/// removed by Azure after a week.
#[derive(Debug, Clone, Default)]
pub struct AzureOptions {
    /// Name of the storage account, unless the URL names it.
    pub account: Option<String>,
    /// Key of the storage account.
    pub access_key: Option<SecretString>,
    /// A shared access signature.
    pub sas_token: Option<SecretString>,
    /// Tenant of the application that `client_id` names.
    pub tenant_id: Option<String>,
    /// An application, together with `tenant_id` and `client_secret`; alone, a managed identity.
    pub client_id: Option<String>,
    /// Goes with `client_id`.
    pub client_secret: Option<SecretString>,
    /// Such as `https://account.blob.core.windows.net`, which is what it is unless set.
    pub endpoint: Option<String>,
    /// Whether an endpoint without TLS is accepted.
    pub allow_http: Option<bool>,
}

pub(super) fn open(
    url: &Url,
    options: &AzureOptions,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Bucket> {
    let (container, account) = container(url)?;
    let builder = options.builder(container, account, environment)?;
    let [account, endpoint] = [AzureConfigKey::AccountName, AzureConfigKey::Endpoint]
        .map(|key| builder.get_config_value(&key).unwrap_or_default());
    let store = builder.build().map_err(|error| cloud::cannot_open(url, error))?;
    Ok(Bucket {
        identity: format!("{endpoint} {account} az://{container}"),
        store: Arc::new(store),
    })
}

/// The container, and the account if the URL names it: `az://container/prefix`, or
/// `abfss://container@account.dfs.core.windows.net/prefix`.
fn container(url: &Url) -> Result<(&str, Option<&str>)> {
    let host = cloud::bucket_name(url, "az://container/prefix")?;
    match (url.username(), host.split_once('.')) {
        ("", _) => Ok((host, None)),
        (container, Some((account, "dfs.core.windows.net" | "blob.core.windows.net"))) => Ok((container, Some(account))),
        _ => Err(Error::malformed(
            "the URL must be one such as az://container/prefix or abfss://container@account.dfs.core.windows.net/prefix",
        )
        .with_context("location", url)),
    }
}

impl AzureOptions {
    /// Puts these options over `environment`; an account that the URL names goes over both.
    ///
    /// # Errors
    /// `Unsupported` if the options contradict one another.
    pub(in crate::storage) fn builder(
        &self,
        container: &str,
        account: Option<&str>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<MicrosoftAzureBuilder> {
        if self.access_key.is_some() && self.sas_token.is_some() {
            return Err(Error::unsupported(
                "an Azure access key and a shared access signature cannot be configured together",
            ));
        }
        if self.client_secret.is_some() && (self.client_id.is_none() || self.tenant_id.is_none()) {
            return Err(Error::unsupported(
                "an Azure client secret must be configured together with its client id and tenant id",
            ));
        }
        let has_credentials = self.access_key.is_some() || self.sas_token.is_some() || self.client_id.is_some();
        let mut builder = MicrosoftAzureBuilder::new();
        for (key, value) in cloud::variables::<AzureConfigKey>(environment, "AZURE_") {
            // Credentials of the environment do not go with those of the options.
            if !(has_credentials && is_credential(&key)) {
                builder = builder.with_config(key, value);
            }
        }
        builder = builder.with_container_name(container).with_retry(cloud::retries());
        let secrets = [
            (AzureConfigKey::AccessKey, &self.access_key),
            (AzureConfigKey::SasKey, &self.sas_token),
            (AzureConfigKey::ClientSecret, &self.client_secret),
        ]
        .map(|(key, secret)| (key, secret.as_ref().map(|secret| secret.expose_secret().to_owned())));
        let allow_http = AzureConfigKey::Client(ClientConfigKey::AllowHttp);
        let texts = [
            (
                AzureConfigKey::AccountName,
                account.map(str::to_owned).or_else(|| self.account.clone()),
            ),
            (AzureConfigKey::AuthorityId, self.tenant_id.clone()),
            (AzureConfigKey::ClientId, self.client_id.clone()),
            (AzureConfigKey::Endpoint, self.endpoint.clone()),
            (allow_http, self.allow_http.map(|flag| flag.to_string())),
        ];
        for (key, value) in secrets.into_iter().chain(texts) {
            if let Some(value) = value {
                builder = builder.with_config(key, value);
            }
        }
        Ok(builder)
    }
}

fn is_credential(key: &AzureConfigKey) -> bool {
    matches!(
        key,
        AzureConfigKey::AccessKey
            | AzureConfigKey::SasKey
            | AzureConfigKey::Token
            | AzureConfigKey::ClientId
            | AzureConfigKey::ClientSecret
            | AzureConfigKey::AuthorityId
            | AzureConfigKey::FederatedTokenFile
            | AzureConfigKey::UseAzureCli
    )
}
