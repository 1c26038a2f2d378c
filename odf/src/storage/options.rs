//! How to reach a repository.

use std::path::PathBuf;

use crate::storage::cloud::{AzureOptions, GcsOptions, S3Options};

/// How to reach a repository. The default suits file systems, and clouds whose usual environment variables are set.
#[derive(Debug, Clone, Default)]
pub struct RepositoryOptions {
    /// For `s3://` only.
    pub s3: S3Options,
    /// For `az://` and the other names of Azure only.
    pub azure: AzureOptions,
    /// For `gs://` only.
    pub gcs: GcsOptions,
    /// Refuses whatever would write, and leaves the place as it is: no folder is made, nothing is cleaned up. A folder must
    /// be there.
    pub read_only: bool,
    /// Where slices are spooled before they are uploaded; the system's folder for temporary files unless set.
    /// Repositories on a file system spool next to the data and ignore it.
    pub temp_dir: Option<PathBuf>,
}
