//! Every kind of site that a repository can be at, for tests that run over all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jetway_odf::storage::{Repository, RepositoryOptions};
use tempfile::TempDir;

use super::{azurite, gcs, weed};

/// A repository to open, again and again and from other processes.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) location: String,
    /// How this process reaches it.
    pub(crate) options: RepositoryOptions,
    /// How other processes reach it: by the variables of its cloud.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Removed with the last one who knows it.
    _folder: Option<Arc<TempDir>>,
}

/// In the environment of another process: the repository to open.
const LOCATION: &str = "JETWAY_TEST_LOCATION";

impl Site {
    /// A new folder.
    pub(crate) fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            location: folder.path().to_str().unwrap().to_owned(),
            options: RepositoryOptions::default(),
            environment: Vec::new(),
            _folder: Some(Arc::new(folder)),
        }
    }

    /// A new prefix in SeaweedFS.
    pub(crate) fn s3() -> Self {
        let weed = weed::shared();
        Self::prefix(
            &format!("s3://{}", weed::BUCKET),
            weed.options(weed::SECRET_ACCESS_KEY),
            weed.environment(),
        )
    }

    /// A new prefix in Azurite.
    pub(crate) fn azure() -> Self {
        let azurite = azurite::shared();
        Self::prefix(
            &format!("az://{}", azurite::CONTAINER),
            azurite.options(azurite::ACCESS_KEY),
            azurite.environment(),
        )
    }

    /// A new prefix in the emulator of Google Cloud Storage.
    pub(crate) fn gcs() -> Self {
        let gcs = gcs::shared();
        Self::prefix(&format!("gs://{}", gcs::BUCKET), gcs.options(), gcs.environment())
    }

    /// The site that [`Self::variables`] told this process of.
    pub(crate) fn of_environment() -> Option<Self> {
        Some(Self {
            location: std::env::var(LOCATION).ok()?,
            options: RepositoryOptions::default(),
            environment: Vec::new(),
            _folder: None,
        })
    }

    /// What to tell another process.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = self.environment.clone();
        variables.push((LOCATION, self.location.clone()));
        variables
    }

    pub(crate) async fn open(&self) -> Repository {
        Repository::open(&self.location, &self.options).await.unwrap()
    }

    fn prefix(bucket: &str, options: RepositoryOptions, environment: Vec<(&'static str, String)>) -> Self {
        static PREFIXES: AtomicU32 = AtomicU32::new(0);
        let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
        Self {
            location: format!("{bucket}/some/prefix-{number}"),
            options,
            environment,
            _folder: None,
        }
    }
}

/// Whether there is time for the long form of a test.
pub(crate) fn is_long() -> bool {
    std::env::var_os("JETWAY_TEST_LONG").is_some()
}
