//! `jetway token`: access tokens, made beside a node that may be running.

use std::io::Write;

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use jetway_control::{AccessTokens, Accounts, Clock};
use jetway_odf::identity::AccountName;
use secrecy::ExposeSecret;

use super::settings::Settings;
use crate::config::Period;

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Make a token and print it once. A running node takes it at once.
    #[command(
        after_help = "Example:\n  export JETWAY_TOKEN=$(jetway token create --account admin --name laptop --expires 30d)"
    )]
    Create {
        #[command(flatten)]
        settings: Settings,
        /// Account that the token stands for.
        #[arg(long)]
        account: AccountName,
        /// Name to find the token by, unique within the account.
        #[arg(long)]
        name: String,
        /// How long it counts, such as 12h or 30d, or "never".
        #[arg(long, default_value = "30d", value_parser = lifetime)]
        expires: Lifetime,
    },
    /// List tokens, without their texts.
    List {
        #[command(flatten)]
        settings: Settings,
        /// Only those of one account.
        #[arg(long)]
        account: Option<AccountName>,
    },
    /// End a token at once, also in a running node.
    Revoke {
        #[command(flatten)]
        settings: Settings,
        /// Account of the token.
        #[arg(long)]
        account: AccountName,
        /// Name of the token.
        #[arg(long)]
        name: String,
    },
}

/// How long a token counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lifetime {
    Limited(Period),
    Unlimited,
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        Ok(Lifetime::Unlimited)
    } else {
        text.parse().map(Lifetime::Limited)
    }
}

pub(crate) fn run(action: Action) -> Result<()> {
    let mut stdout = std::io::stdout();
    match action {
        Action::Create {
            settings,
            account,
            name,
            expires,
        } => {
            let (accounts, tokens) = open(&settings)?;
            let account = accounts.get(&account).context("no token was made")?.name;
            let lifetime = match expires {
                Lifetime::Limited(period) => Some(period.time_delta()),
                Lifetime::Unlimited => None,
            };
            let (text, token) = tokens.create(account, &name, lifetime).context("no token was made")?;
            writeln!(stdout, "{}", text.expose_secret())?;
            let ends = token.expires_at.map_or_else(
                || "does not expire".to_owned(),
                |time| format!("expires at {}", show(time)),
            );
            writeln!(
                std::io::stderr(),
                "Shown only now. It stands for {} and {ends}.",
                token.account
            )?;
        }
        Action::List { settings, account } => {
            let (_, tokens) = open(&settings)?;
            let now = Utc::now();
            writeln!(stdout, "{:<20} {:<20} {:<20} EXPIRES", "ACCOUNT", "NAME", "CREATED")?;
            for token in tokens.list(account.as_ref())? {
                let note = if token.is_expired(now) { " (expired)" } else { "" };
                let expires = token.expires_at.map_or_else(|| "never".to_owned(), show);
                let (account, created) = (token.account.to_string(), show(token.created_at));
                writeln!(stdout, "{account:<20} {:<20} {created:<20} {expires}{note}", token.name)?;
            }
        }
        Action::Revoke {
            settings,
            account,
            name,
        } => {
            let (_, tokens) = open(&settings)?;
            tokens.revoke(&account, &name)?;
            writeln!(std::io::stderr(), "The token \"{name}\" of {account} no longer counts.")?;
        }
    }
    Ok(())
}

fn open(settings: &Settings) -> Result<(Accounts, AccessTokens)> {
    let config = settings.load(settings.layer())?;
    let accounts = Accounts::open(&config.data_dir, Clock::system())?;
    let tokens = AccessTokens::open(&config.data_dir, Clock::system())?;
    Ok((accounts, tokens))
}

fn show(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
