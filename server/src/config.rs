//! Configuration: one struct per area; a YAML file, `JETWAY_*` environment variables and flags, each over the one before.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use figment::Figment;
use serde::{Deserialize, Serialize};

mod area;
mod layer;
mod reference;
mod secret;
mod units;

#[cfg(test)]
mod tests;

pub use area::{Accounts, Azure, Flight, Gcs, Http, LogFormat, Node, Query, S3, Shutdown, Storage, Telemetry, Tls};
pub use layer::Layer;
pub use reference::reference;
pub use secret::Secret;
pub use units::{ByteSize, Count, Flag, Period};

/// Everything that can be configured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of the node's own state.
    pub data_dir: PathBuf,
    /// The HTTP side.
    pub http: Http,
    /// The Arrow Flight side.
    pub flight: Flight,
    /// TLS of both.
    pub tls: Tls,
    /// Where datasets are.
    pub storage: Storage,
    /// How to reach S3.
    pub s3: S3,
    /// How to reach Azure Blob Storage.
    pub azure: Azure,
    /// How to reach Google Cloud Storage.
    pub gcs: Gcs,
    /// Who may use the node.
    pub accounts: Accounts,
    /// What replicas share.
    pub node: Node,
    /// Limits of statements.
    pub query: Query,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// How the node stops.
    pub shutdown: Shutdown,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("jetway-data"),
            http: Http::default(),
            flight: Flight::default(),
            tls: Tls::default(),
            storage: Storage::default(),
            s3: S3::default(),
            azure: Azure::default(),
            gcs: Gcs::default(),
            accounts: Accounts::default(),
            node: Node::default(),
            query: Query::default(),
            telemetry: Telemetry::default(),
            shutdown: Shutdown::default(),
        }
    }
}

impl Config {
    /// Loads the file, if there is one, the environment and the flags.
    ///
    /// # Errors
    /// When the file cannot be read, a key is unknown or a value does not fit; the message names the key and its source.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Layer,
    ) -> Result<Self> {
        let mut layers = Figment::new();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
            layers = layers.merge(Layer::yaml(path, &text)?);
        }
        layers = layers.merge(Layer::environment(environment)).merge(flags);
        layers.extract().map_err(|error| layer::explain(&error))
    }

    /// Where rows of transactions wait: as configured, or in a folder in the data folder.
    #[must_use]
    pub fn staging(&self) -> String {
        match &self.storage.staging {
            Some(location) => location.clone(),
            None => self.data_dir.join("staging").to_string_lossy().into_owned(),
        }
    }

    /// Where datasets are: the configured repository, or a folder in the data folder.
    #[must_use]
    pub fn repository(&self) -> String {
        match &self.storage.repository {
            Some(location) => location.clone(),
            None => self.data_dir.join("datasets").to_string_lossy().into_owned(),
        }
    }
}
