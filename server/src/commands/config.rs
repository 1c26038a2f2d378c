//! `jetway config`: the reference of all options, or the effective configuration.

use std::io::Write;

use anyhow::Result;
use clap::ValueEnum;

use super::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  jetway config > jetway.yaml                        a file to start from
  jetway config --output json --config jetway.yaml   what a node would use, with secrets masked";

/// Print all options with their defaults and meaning, or the effective configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
    /// The reference with comments, or the effective values.
    #[arg(long, value_enum, default_value_t = Output::Yaml)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// The reference of all options as a configuration file.
    Yaml,
    /// The effective configuration, with secrets masked.
    Json,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let text = match args.output {
        Output::Yaml => crate::config::reference()?,
        Output::Json => {
            let config = args.settings.load(args.settings.layer())?;
            let mut text = serde_json::to_string_pretty(&config)?;
            text.push('\n');
            text
        }
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
