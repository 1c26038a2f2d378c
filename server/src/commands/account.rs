//! `jetway account`: accounts, made beside a node that may be running.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result, bail};
use chrono::SecondsFormat;
use clap::Subcommand;
use jetway_control::{Accounts, Clock, generate_password};
use jetway_odf::identity::AccountName;
use secrecy::{ExposeSecret, SecretString};

use super::settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Make an account. The password is asked for, or read from standard input.
    #[command(
        after_help = "Examples:\n  jetway account create alice\n  jetway account create ci --generate > ci.password"
    )]
    Create {
        #[command(flatten)]
        settings: Settings,
        /// Name of the account: letters and digits with single hyphens or dots in between.
        name: AccountName,
        /// Let the account do anything, as "admin" may.
        #[arg(long)]
        admin: bool,
        /// Make a random password and print it once.
        #[arg(long)]
        generate: bool,
    },
    /// Set an account's password. Its logins end, its access tokens stay.
    Password {
        #[command(flatten)]
        settings: Settings,
        /// Name of the account.
        name: AccountName,
        /// Make a random password and print it once.
        #[arg(long)]
        generate: bool,
    },
    /// List accounts.
    List {
        #[command(flatten)]
        settings: Settings,
    },
}

pub(crate) fn run(action: Action) -> Result<()> {
    match action {
        Action::Create {
            settings,
            name,
            admin,
            generate,
        } => {
            let accounts = open(&settings)?;
            let password = new_password(&name, generate)?;
            let account = accounts.create(name, &password, admin).context("no account was made")?;
            show_generated(generate, &password)?;
            writeln!(std::io::stderr(), "The account \"{}\" was made.", account.name)?;
        }
        Action::Password {
            settings,
            name,
            generate,
        } => {
            let accounts = open(&settings)?;
            let account = accounts.get(&name)?;
            let password = new_password(&account.name, generate)?;
            accounts
                .set_password(&name, &password)
                .context("the password was not changed")?;
            show_generated(generate, &password)?;
            writeln!(
                std::io::stderr(),
                "The account \"{}\" has a new password.",
                account.name
            )?;
        }
        Action::List { settings } => {
            let mut stdout = std::io::stdout();
            writeln!(stdout, "{:<30} {:<7} CREATED", "ACCOUNT", "ROLE")?;
            for account in open(&settings)?.list()? {
                let role = if account.admin { "admin" } else { "user" };
                let created = account.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
                writeln!(stdout, "{:<30} {role:<7} {created}", account.name.to_string())?;
            }
        }
    }
    Ok(())
}

fn open(settings: &Settings) -> Result<Accounts> {
    let config = settings.load(settings.layer())?;
    Ok(Accounts::open(&config.data_dir, Clock::system())?)
}

/// A random password, one that is typed twice, or the first line of standard input.
fn new_password(account: &AccountName, generate: bool) -> Result<SecretString> {
    if generate {
        return Ok(generate_password()?);
    }
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin()
            .read_line(&mut line)
            .context("the password cannot be read from standard input")?;
        return Ok(SecretString::from(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    let first = ask(&format!("Password for {account}: "))?;
    let second = ask("Again: ")?;
    if first.expose_secret() != second.expose_secret() {
        bail!("the two passwords differ; try again");
    }
    Ok(first)
}

/// Asks at the terminal without showing what is typed.
pub(crate) fn ask(prompt: &str) -> Result<SecretString> {
    let mut terminal = console::Term::stderr();
    write!(terminal, "{prompt}")?;
    Ok(SecretString::from(terminal.read_secure_line()?))
}

fn show_generated(generate: bool, password: &SecretString) -> Result<()> {
    if generate {
        writeln!(std::io::stdout(), "{}", password.expose_secret())?;
    }
    Ok(())
}
