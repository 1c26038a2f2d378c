//! Flags of the commands that work on a node's own files.

use std::path::PathBuf;

use anyhow::Result;

use crate::config::{Config, Layer};

/// Which configuration and data folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// Configuration file in YAML.
    #[arg(long, env = "JETWAY_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of the node's state [default: ./jetway-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl Settings {
    /// The flags as a layer of configuration.
    pub(crate) fn layer(&self) -> Layer {
        Layer::flags().with(&["data_dir"], self.data_dir.as_ref().map(|path| path.display()))
    }

    /// The configuration out of file, environment and the given flags.
    pub(crate) fn load(&self, flags: Layer) -> Result<Config> {
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Config::load(self.config.as_deref(), environment, flags)
    }
}
