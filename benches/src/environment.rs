//! What `cargo xtask bench` prepared.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Paths of the programs and the data.
#[derive(Debug)]
pub(crate) struct Environment {
    /// The `jetway` program, built in release.
    pub(crate) jetway: PathBuf,
    /// A Python with the client libraries.
    pub(crate) python: PathBuf,
    /// The folder with TPC-H tables as Parquet files.
    pub(crate) tpch: PathBuf,
}

impl Environment {
    pub(crate) fn from_env() -> Result<Self> {
        let path = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .with_context(|| format!("{name} is not set; run `cargo xtask bench`"))
        };
        Ok(Self {
            jetway: path("JETWAY_BIN")?,
            python: path("JETWAY_BENCH_PYTHON")?,
            tpch: path("JETWAY_BENCH_TPCH")?,
        })
    }

    /// A program that a Python package brings.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.python.with_file_name(name)
    }

    pub(crate) fn lineitem(&self) -> PathBuf {
        self.tpch.join("lineitem.parquet")
    }
}
