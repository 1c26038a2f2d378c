//! Manifests out of files, folders and standard input.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use jetway_control::datasets::NewDataset;
use jetway_odf::manifest::{Manifest, read_manifests};

/// Largest file of manifests, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// A dataset that a manifest defines, and where the manifest is.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) dataset: NewDataset,
    file: String,
    /// From 1.
    document: usize,
}

impl Found {
    /// Where the manifest is, for people.
    pub(super) fn place(&self) -> String {
        format!("{}, document {}", self.file, self.document)
    }
}

/// Reads all manifests of all files.
///
/// # Errors
/// Every file that is at fault, with document, line, column and property as far as they are known.
pub(super) fn read(files: &[PathBuf], recursive: bool) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut faults = Vec::new();
    for file in expand(files, recursive)? {
        match read_file(&file) {
            Ok(manifests) => found.extend(manifests),
            Err(error) => faults.push(error),
        }
    }
    match faults.len() {
        0 if found.is_empty() => bail!("there are no manifests in the folders that were given"),
        0 => Ok(found),
        1 => Err(faults.remove(0)),
        _ => {
            let lines = faults
                .iter()
                .map(|fault| format!("\n  {}", crate::cli::chain(fault.as_ref())));
            Err(anyhow!(
                "{} files have faults:{}",
                faults.len(),
                lines.collect::<String>()
            ))
        }
    }
}

/// Files as they are; folders as the manifests in them, by name.
fn expand(files: &[PathBuf], recursive: bool) -> Result<Vec<PathBuf>> {
    let mut expanded = Vec::new();
    for file in files {
        if !file.is_dir() {
            expanded.push(file.clone());
        } else if recursive {
            walk(file, &mut expanded)?;
        } else {
            bail!(
                "{} is a folder; give --recursive to take the manifests in it",
                file.display()
            );
        }
    }
    Ok(expanded)
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    let failed = || format!("{} cannot be read", folder.display());
    let mut entries = fs::read_dir(folder)
        .with_context(failed)?
        .collect::<Result<Vec<_>, _>>()
        .with_context(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links are not followed, so there are no circles.
        if entry.file_type().with_context(failed)?.is_dir() {
            walk(&path, into)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            into.push(path);
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Vec<Found>> {
    let (file, text) = if path == Path::new("-") {
        let file = "standard input".to_owned();
        let text = read_text(std::io::stdin()).with_context(|| file.clone())?;
        (file, text)
    } else {
        let file = path.display().to_string();
        let opened = fs::File::open(path).with_context(|| format!("{file} cannot be opened"))?;
        let text = read_text(opened).with_context(|| file.clone())?;
        (file, text)
    };
    let manifests = read_manifests(&text).with_context(|| file.clone())?;
    let datasets = manifests.into_iter().enumerate().map(|(index, manifest)| {
        let document = index + 1;
        let dataset = new_dataset(manifest).with_context(|| format!("{file}, document {document}"))?;
        let file = file.clone();
        Ok(Found {
            dataset,
            file,
            document,
        })
    });
    datasets.collect()
}

fn read_text(from: impl Read) -> Result<String> {
    let mut text = String::new();
    from.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .context("it cannot be read as text")?;
    if text.len() as u64 > MAX_FILE {
        bail!("it has more than {MAX_FILE} bytes, which no manifest has");
    }
    Ok(text)
}

fn new_dataset(manifest: Manifest) -> Result<NewDataset> {
    match manifest {
        Manifest::DatasetSnapshot(snapshot) => Ok(NewDataset { id: None, snapshot }),
        Manifest::Dataset(resource) => Ok(NewDataset {
            id: resource.id,
            snapshot: resource.snapshot,
        }),
        Manifest::MetadataEvent(event) => bail!(
            "an event ({}) alone makes no dataset; put it under `metadata` of a DatasetSnapshot",
            event.kind()
        ),
        Manifest::MetadataBlock(..) => bail!(
            "a block, as `jetway log` shows it, makes no dataset; write a DatasetSnapshot, or copy the dataset with its blocks"
        ),
    }
}
