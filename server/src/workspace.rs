//! The datasets of a node, opened by a command beside it.
//!
//! A node may be running on the same data: commits and moves of a head are compare-and-swap in storage, so commands and
//! nodes take turns there and nowhere else, and a running node sees what a command has done.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};
use jetway_control::{RegisteredDataset, StorageCatalog};
use jetway_odf::identity::{AccountName, DatasetAlias, DatasetAliasPattern};
use jetway_planner::{Access, Clock, DatasetCatalog, PinnedDataset, Planner, Subject, TableName};

use crate::commands::settings::Settings;
use crate::config::Config;
use crate::node;

/// Which datasets, and in whose name.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    #[command(flatten)]
    settings: Settings,
    /// Where datasets are: a folder, file:///folder or s3://bucket/prefix [default: DATA_DIR/datasets]
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// Account that names without an account belong to [default: admin]
    #[arg(long)]
    account: Option<AccountName>,
}

/// The datasets of one place, for whoever runs the program on its machine: that is an administrator.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The whole configuration.
    pub(crate) config: Config,
    /// Finds, makes and changes datasets.
    pub(crate) catalog: Arc<StorageCatalog>,
    /// On whose behalf: an administrator with the name of the chosen account.
    pub(crate) subject: Subject,
    /// Where the system time of new blocks comes from.
    pub(crate) clock: Clock,
    planner: OnceLock<Planner>,
}

impl Place {
    /// Opens datasets that must be there.
    ///
    /// # Errors
    /// When the configuration does not fit, or there is no such folder or bucket.
    pub(crate) async fn open(&self) -> Result<Workspace> {
        let config = self.config()?;
        if let Some(folder) = folder(&config.repository())
            && !folder.is_dir()
        {
            bail!(
                "there are no datasets at {}; give the place with --data-dir, --repository or --config, or make some with `jetway add`",
                folder.display()
            );
        }
        self.workspace(config).await
    }

    /// Opens the place, and makes its folder if that is not there.
    ///
    /// # Errors
    /// When the configuration does not fit, or the folder or bucket cannot be used.
    pub(crate) async fn open_or_create(&self) -> Result<Workspace> {
        self.workspace(self.config()?).await
    }

    fn config(&self) -> Result<Config> {
        let flags = self
            .settings
            .layer()
            .with(&["storage", "repository"], self.repository.as_ref());
        self.settings.load(flags)
    }

    async fn workspace(&self, config: Config) -> Result<Workspace> {
        let catalog = Arc::new(node::open_catalog(&config).await?);
        let account = match &self.account {
            Some(account) => account.clone(),
            None => config.storage.default_account.parse()?,
        };
        Ok(Workspace {
            config,
            catalog,
            subject: Subject::admin(account),
            clock: Clock::system(),
            planner: OnceLock::new(),
        })
    }
}

impl Workspace {
    /// A planner over the datasets, with the limits of the configuration; made when it is first asked for.
    ///
    /// # Errors
    /// When the spill folder or the worker threads cannot be had.
    pub(crate) fn planner(&self) -> Result<&Planner> {
        if let Some(planner) = self.planner.get() {
            return Ok(planner);
        }
        let catalog = Arc::clone(&self.catalog) as Arc<dyn DatasetCatalog>;
        let planner = Planner::new(catalog, node::planner_options(&self.config))?;
        Ok(self.planner.get_or_init(|| planner))
    }

    /// The dataset of a name, pinned at its head.
    ///
    /// # Errors
    /// When there is none, or its head cannot be read.
    pub(crate) async fn dataset(&self, name: &DatasetArgument) -> Result<PinnedDataset> {
        match name {
            DatasetArgument::Name(name) => Ok(self.catalog.resolve(&self.subject, name, Access::Read).await?),
            DatasetArgument::Pattern(text, _) => bail!("\"{text}\" may mean several datasets; give the name of one"),
        }
    }

    /// The datasets of all names and patterns, each once, in the order given and whatever state they are in; all datasets
    /// if there are no names.
    ///
    /// # Errors
    /// When there is no dataset of a name, or none that fits a pattern.
    pub(crate) async fn registered(&self, names: &[DatasetArgument]) -> Result<Vec<RegisteredDataset>> {
        let all = self.catalog.registered(&self.subject).await?;
        if names.is_empty() {
            return Ok(all);
        }
        let mut found: Vec<RegisteredDataset> = Vec::new();
        for name in names {
            let mut fits = false;
            for dataset in all.iter().filter(|dataset| name.fits(dataset, &self.subject)) {
                fits = true;
                if !found.contains(dataset) {
                    found.push(dataset.clone());
                }
            }
            match name {
                DatasetArgument::Name(name) if !fits => {
                    let name = full_name(name, &self.subject);
                    bail!("there is no dataset {name}; `jetway list` shows all")
                }
                DatasetArgument::Pattern(text, _) if !fits => {
                    bail!("no dataset fits \"{text}\"; `jetway list` shows all")
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// A dataset pinned at its head.
    ///
    /// # Errors
    /// When its head cannot be read.
    pub(crate) async fn pin(&self, dataset: &RegisteredDataset) -> Result<PinnedDataset> {
        let pinned = self.catalog.resolve_id(&self.subject, &dataset.id, Access::Read).await;
        pinned.with_context(|| format!("{} cannot be read; `jetway verify` says more", dataset.alias))
    }
}

/// The only one of the datasets that a name or pattern means.
///
/// # Errors
/// When there are several.
pub(crate) fn one(datasets: Vec<RegisteredDataset>) -> Result<RegisteredDataset> {
    let names: Vec<String> = datasets.iter().map(|dataset| dataset.id.to_string()).collect();
    let [dataset] = <[RegisteredDataset; 1]>::try_from(datasets).map_err(|_| {
        anyhow::anyhow!(
            "that may mean several datasets ({}); give the identity of one",
            names.join(", ")
        )
    })?;
    Ok(dataset)
}

/// How a dataset, or several, are named on the command line: NAME, ACCOUNT/NAME, a DID, or a pattern such as `net.*`.
#[derive(Debug, Clone)]
pub(crate) enum DatasetArgument {
    /// One dataset.
    Name(TableName),
    /// All that fit, and the text of the pattern.
    Pattern(String, NamePattern),
}

/// A pattern of names in one account or, as `*/...`, in all of them.
#[derive(Debug, Clone)]
pub(crate) struct NamePattern {
    any_account: bool,
    pattern: DatasetAliasPattern,
}

impl DatasetArgument {
    /// Whether it is the very name of a dataset, and no pattern.
    pub(crate) fn is_name_of(&self, dataset: &RegisteredDataset, subject: &Subject) -> bool {
        matches!(self, Self::Name(_)) && self.fits(dataset, subject)
    }

    fn fits(&self, dataset: &RegisteredDataset, subject: &Subject) -> bool {
        match self {
            Self::Name(TableName::Id(id)) => dataset.id == *id,
            Self::Name(TableName::Alias(alias)) => {
                let account = alias.account.as_ref().unwrap_or_else(|| subject.name());
                dataset.alias.account.as_ref() == Some(account) && dataset.alias.name == alias.name
            }
            Self::Pattern(_, pattern) => pattern.fits(&dataset.alias, subject),
        }
    }
}

impl NamePattern {
    fn fits(&self, alias: &DatasetAlias, subject: &Subject) -> bool {
        let in_account =
            self.any_account || self.pattern.account.is_some() || alias.account.as_ref() == Some(subject.name());
        in_account && self.pattern.matches(alias)
    }
}

impl std::str::FromStr for DatasetArgument {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if !text.contains(['*', '%']) {
            return Ok(Self::Name(TableName::parse(None, None, text)?));
        }
        // The format's own wildcard is `%`; people and shells know `*`.
        let pattern = text.replace('*', "%").replace('_', "-");
        let (any_account, pattern) = match pattern.strip_prefix("%/") {
            Some(name) => (true, name.parse()),
            None => (false, pattern.parse()),
        };
        let pattern = pattern.context("write a pattern as net.*, ACCOUNT/net.* or */net.*")?;
        Ok(Self::Pattern(text.to_owned(), NamePattern { any_account, pattern }))
    }
}

fn full_name(name: &TableName, subject: &Subject) -> String {
    match name {
        TableName::Alias(DatasetAlias { account: None, name }) => format!("{}/{name}", subject.name()),
        other => other.to_string(),
    }
}

/// The folder that a location names, if it is on a file system.
fn folder(location: &str) -> Option<PathBuf> {
    if let Some(path) = location.strip_prefix("file://") {
        return Some(PathBuf::from(path));
    }
    let is_path = !location.contains("://") && !location.starts_with("memory:") && !location.starts_with("file:");
    is_path.then(|| Path::new(location).to_path_buf())
}

#[cfg(test)]
mod tests;
