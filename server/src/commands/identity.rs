//! `jetway identity`: the name of the key that a node signs its answers with.

use std::io::Write;

use anyhow::{Context, Result, bail};
use jetway_control::{open_signing_key, parse_signing_key, signing_key_path};
use jetway_odf::proof::DidKey;

use super::settings::Settings;
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  jetway identity
  jetway identity --data-dir /var/lib/jetway

Give the name to those who verify answers of this node: `jetway verify-query FILE --signer did:key:...`";

/// Print the did:key of a node, on its machine: who signs its answers.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let config = args.settings.load(args.settings.layer())?;
    match of(&config)? {
        Some(identity) => Ok(writeln!(std::io::stdout(), "{identity}")?),
        None => bail!(
            "there is no {} yet: the first start of the node makes it",
            signing_key_path(&config.data_dir).display()
        ),
    }
}

/// The identity of the node of a configuration, if it has been started before.
///
/// # Errors
/// When its key cannot be read.
pub(crate) fn of(config: &Config) -> Result<Option<DidKey>> {
    if let Some(key) = &config.node.signing_key {
        let key = parse_signing_key(key.get()).context("node.signing_key cannot be used")?;
        return Ok(Some(key.did()));
    }
    if !signing_key_path(&config.data_dir).exists() {
        return Ok(None);
    }
    Ok(Some(open_signing_key(&config.data_dir)?.did()))
}
