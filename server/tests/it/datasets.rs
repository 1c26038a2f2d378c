//! What owners of datasets do on the machine of the node, on datasets that another implementation has written.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{fail, jetway, succeed};

mod add;
mod change;
mod forge;
mod inspect;
mod list;
mod log;
mod pull;
mod tail;
mod upkeep;
mod verify;

/// Seven datasets of the reference implementation, as it left them.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../odf/tests/fixtures")
}

/// A copy of them that a test may change.
pub(crate) struct Copied(tempfile::TempDir);

impl Copied {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&fixtures().join("datasets"), dir.path());
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A command on the copy.
    pub(crate) fn jetway(&self, arguments: &[&str]) -> Command {
        on(self.path(), arguments)
    }

    /// The document that a command prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        json(&mut self.jetway(arguments))
    }

    /// The blocks of a dataset, newest first.
    fn log(&self, name: &str) -> Vec<Value> {
        let text = succeed(&mut self.jetway(&["log", name, "--output", "json"]));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The folder of a dataset.
    fn folder(&self, name: &str) -> PathBuf {
        let id = self.json(&["list", name])[0]["id"].as_str().unwrap().to_owned();
        self.path().join(id.strip_prefix("did:odf:").unwrap())
    }

    /// The files with the rows of a dataset, newest first.
    fn slices(&self, name: &str) -> Vec<PathBuf> {
        let folder = self.folder(name).join("data");
        let log = self.log(name);
        let hashes = log
            .iter()
            .filter_map(|block| block["event"]["newData"]["physicalHash"].as_str());
        hashes.map(|hash| folder.join(hash)).collect()
    }
}

/// A command on the datasets of a folder.
pub(crate) fn on(repository: &Path, arguments: &[&str]) -> Command {
    let mut command = jetway();
    command.args(arguments).arg("--repository").arg(repository);
    command
}

/// What a command prints as JSON.
pub(crate) fn json(command: &mut Command) -> Value {
    serde_json::from_str(&succeed(command.args(["--output", "json"]))).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
