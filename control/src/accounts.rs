//! Who may use the node: accounts with passwords, in a file of the data folder.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jetway_odf::identity::AccountName;
use jetway_planner::Subject;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::state_file::{StateFile, create_private_dir};

mod password;
mod throttle;

#[cfg(test)]
mod tests;

pub use password::{MIN_PASSWORD, generate_password};
use throttle::Throttle;

/// Name of the account that the first start makes.
pub const ADMIN: &str = "admin";

/// What those go by who have no account.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// Names that SQL uses for the node's own schemas, and the name of nobody.
const RESERVED: [&str; 3] = [jetway_planner::SYSTEM_SCHEMA, "information-schema", ANONYMOUS];

/// An account. Its password is known as a hash only.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name, which is also the schema of its datasets in SQL.
    pub name: AccountName,
    /// Whether it may do anything.
    pub admin: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its password was last set: login tokens that are older no longer count.
    pub password_set_at: DateTime<Utc>,
    /// The argon2id hash of its password, in the PHC string format.
    password_hash: String,
}

impl Account {
    /// The account as the one on whose behalf something is done.
    #[must_use]
    pub fn subject(&self) -> Subject {
        if self.admin {
            Subject::admin(self.name.clone())
        } else {
            Subject::account(self.name.clone())
        }
    }
}

/// What the first start did.
#[derive(Debug)]
pub enum FirstAdmin {
    /// There were accounts already: this was not the first start.
    NotNeeded,
    /// The account was made with the password that was given.
    Given,
    /// The account was made with this random password, which is kept nowhere: show it once.
    Generated(SecretString),
}

/// The node's accounts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: StateFile<AccountList>,
    clock: Clock,
    throttle: Throttle,
    /// Bounds how many passwords are hashed at the same time, since each takes a core and 19 MiB.
    hashing: Arc<Semaphore>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountList {
    accounts: Vec<Account>,
}

impl AccountList {
    fn get(&self, name: &AccountName) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == *name)
    }
}

impl Accounts {
    /// The accounts of a data folder, which is made when it is not there.
    ///
    /// # Errors
    /// `Io` when the folder cannot be made.
    pub fn open(data_dir: &Path, clock: Clock) -> Result<Self> {
        create_private_dir(data_dir)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self(Arc::new(Inner {
            file: StateFile::new(data_dir.join("accounts.json")),
            clock,
            throttle: Throttle::default(),
            hashing: Arc::new(Semaphore::new(cores)),
        })))
    }

    /// Makes the account [`ADMIN`] when there is no account at all, with the given password or a random one.
    ///
    /// # Errors
    /// `InvalidArgument` when the given password is too short; `Io` and `Corrupt` about the file.
    pub fn ensure_admin(&self, password: Option<&SecretString>) -> Result<FirstAdmin> {
        if !self.0.file.read()?.accounts.is_empty() {
            return Ok(FirstAdmin::NotNeeded);
        }
        let (password, outcome) = match password {
            Some(given) => (given.clone(), FirstAdmin::Given),
            None => {
                let random = generate_password()?;
                (random.clone(), FirstAdmin::Generated(random))
            }
        };
        let name = ADMIN.parse().map_err(|error: jetway_odf::Error| {
            Error::new(ErrorKind::Internal, "the name of the first account is not legal").with_source(error)
        })?;
        match self.create(name, &password, true) {
            Ok(_) => Ok(outcome),
            // Another process started at the same moment and was first.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(FirstAdmin::NotNeeded),
            Err(error) => Err(error),
        }
    }

    /// Makes an account.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, `InvalidArgument` when it is reserved or the password is too short or too long.
    pub fn create(&self, name: AccountName, password: &SecretString, admin: bool) -> Result<Account> {
        if RESERVED
            .iter()
            .any(|reserved| name.as_str().eq_ignore_ascii_case(reserved))
        {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "this name stands for something else on every node; choose another",
            )
            .with_context("account", &name));
        }
        let now = self.0.clock.now();
        let password_hash = password::hash(password)?;
        self.0.file.update(|list| {
            if list.get(&name).is_some() {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    "there is an account of that name already; choose another",
                )
                .with_context("account", &name));
            }
            let account = Account {
                name,
                admin,
                created_at: now,
                password_set_at: now,
                password_hash,
            };
            list.accounts.push(account.clone());
            Ok(account)
        })
    }

    /// Replaces an account's password, and with that ends its login tokens. Access tokens stay.
    ///
    /// # Errors
    /// `NotFound` when there is no such account, `InvalidArgument` when the password is too short or too long.
    pub fn set_password(&self, name: &AccountName, password: &SecretString) -> Result<()> {
        let now = self.0.clock.now();
        let password_hash = password::hash(password)?;
        self.0.file.update(|list| {
            let account = list
                .accounts
                .iter_mut()
                .find(|account| account.name == *name)
                .ok_or_else(|| no_account(name))?;
            account.password_hash = password_hash;
            account.password_set_at = now;
            Ok(())
        })
    }

    /// All accounts, oldest first.
    ///
    /// # Errors
    /// `Io` and `Corrupt` about the file.
    pub fn list(&self) -> Result<Vec<Account>> {
        Ok(self.0.file.read()?.accounts.clone())
    }

    /// An account by its name, in any case.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Io` and `Corrupt` about the file.
    pub fn get(&self, name: &AccountName) -> Result<Account> {
        self.0.file.read()?.get(name).cloned().ok_or_else(|| no_account(name))
    }

    /// The account whose name and password these are. Hashing is done apart from the threads that serve requests, and
    /// takes as long for an account that is not there.
    ///
    /// # Errors
    /// `Unauthenticated` for a wrong name or password, `TooManyAttempts` after repeated wrong ones.
    pub async fn verify(&self, name: &str, password: &SecretString) -> Result<Account> {
        let permit = Arc::clone(&self.0.hashing)
            .acquire_owned()
            .await
            .map_err(|error| Error::new(ErrorKind::Internal, "logins are closed").with_source(error))?;
        self.0.throttle.check(name, self.0.clock.now())?;
        let account = match name.parse::<AccountName>() {
            Ok(name) => self.0.file.read()?.get(&name).cloned(),
            Err(_) => None,
        };
        let hash = account.as_ref().map_or_else(
            || password::DECOY_HASH.to_owned(),
            |account| account.password_hash.clone(),
        );
        let password = password.clone();
        let matches = tokio::task::spawn_blocking(move || {
            let matches = password::verify(password.expose_secret(), &hash);
            drop(permit);
            matches
        })
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "a password could not be checked").with_source(error))??;
        match account {
            Some(account) if matches => {
                self.0.throttle.succeeded(name);
                Ok(account)
            }
            _ => {
                self.0.throttle.failed(name, self.0.clock.now());
                tracing::warn!(account.name = %name.escape_debug(), "a login failed");
                Err(Error::unauthenticated())
            }
        }
    }
}

fn no_account(name: &AccountName) -> Error {
    Error::new(ErrorKind::NotFound, "there is no account of that name").with_context("account", name)
}
