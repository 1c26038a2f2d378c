//! What an operator allows to a fetch.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Limits and permissions of fetching and preparing.
///
/// The default is that of a node that fetches for others: no files, no commands, no addresses of private networks. A
/// command line that works for the person who calls it starts from [`FetchOptions::local`].
#[derive(Clone)]
pub struct FetchOptions {
    /// Variables that templates may name. Values are secrets and appear in no message.
    pub variables: BTreeMap<String, String>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a server may send nothing.
    pub idle_timeout: Duration,
    /// How long a fetch, or a command, may take as a whole, with all its retries.
    pub whole_timeout: Duration,
    /// How often a failed request is repeated.
    pub retries: u32,
    /// Wait before the first retry; it doubles with each, and is shortened at random by up to a half.
    pub first_backoff: Duration,
    /// Longest wait before a retry, also when the server asks for more.
    pub max_backoff: Duration,
    /// Most redirects that are followed.
    pub max_redirects: u32,
    /// Most bytes of a file, before and after unpacking.
    pub max_bytes: u64,
    /// Most bytes that come out of an archive for each byte that went in. The first 64 MiB are free.
    pub max_ratio: u64,
    /// Where files are kept while they are fetched; the system's folder if absent.
    pub temp_dir: Option<PathBuf>,
    /// Folder that relative paths start from; the working directory if absent.
    pub base_dir: Option<PathBuf>,
    /// Folders that files may be read from, links resolved; anywhere if absent.
    pub file_roots: Option<Vec<PathBuf>>,
    /// Whether `Pipe` may run commands.
    pub allow_pipe: bool,
    /// Whether loopback, link-local and private addresses may be reached.
    pub allow_private_addresses: bool,
    /// Sent as `User-Agent`.
    pub user_agent: String,
}

impl FetchOptions {
    /// Options of a command line: files, commands and private addresses are those of the caller.
    #[must_use]
    pub fn local() -> Self {
        Self {
            file_roots: None,
            allow_pipe: true,
            allow_private_addresses: true,
            ..Self::default()
        }
    }
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            variables: BTreeMap::new(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            whole_timeout: Duration::from_secs(60 * 60),
            retries: 4,
            first_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(60),
            max_redirects: 10,
            max_bytes: 64 << 30,
            max_ratio: 2_000,
            temp_dir: None,
            base_dir: None,
            file_roots: Some(Vec::new()),
            allow_pipe: false,
            allow_private_addresses: false,
            user_agent: concat!("jetway/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl std::fmt::Debug for FetchOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values of variables are secrets.
        f.debug_struct("FetchOptions")
            .field("variables", &self.variables.keys())
            .field("file_roots", &self.file_roots)
            .field("allow_pipe", &self.allow_pipe)
            .field("allow_private_addresses", &self.allow_private_addresses)
            .finish_non_exhaustive()
    }
}
