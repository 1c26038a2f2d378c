//! Files of this machine.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use jetway_odf::metadata::{EventTimeSource, SourceOrdering, SourceState};

use super::{ETAG, FetchOptions, Fetched, FetchedFile, LAST_MODIFIED, etag, event_time, last_modified, value_of};
use crate::input::{Content, Input};
use crate::{Error, ErrorKind, Result};

/// A file that matches a pattern.
struct Candidate {
    /// Path below the part of the pattern that has no wildcards.
    name: String,
    path: PathBuf,
    event_time: Option<DateTime<Utc>>,
}

/// The first file in order after the one that the state names. Order is by name unless the source says otherwise.
pub(super) async fn fetch(
    pattern: &str,
    event_time: Option<&EventTimeSource>,
    order: Option<SourceOrdering>,
    state: Option<&SourceState>,
    options: &FetchOptions,
) -> Result<Fetched> {
    let (pattern, event_time) = (pattern.to_owned(), event_time.cloned());
    let last = value_of(state, ETAG).map(str::to_owned);
    let options = options.clone();
    blocking(move || {
        next(
            &pattern,
            event_time.as_ref(),
            order.unwrap_or(SourceOrdering::ByName),
            last.as_deref(),
            &options,
        )
    })
    .await
}

/// A file by its path, unless it was modified when the state says.
pub(super) async fn fetch_one(
    path: PathBuf,
    event_time: Option<&EventTimeSource>,
    state: Option<&SourceState>,
    options: &FetchOptions,
) -> Result<Fetched> {
    let (event_time, options) = (event_time.cloned(), options.clone());
    let known = value_of(state, LAST_MODIFIED)
        .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
        .map(|moment| moment.to_utc());
    blocking(move || {
        check_allowed(&path, &options)?;
        let modified = modified(&path)?;
        if known == Some(modified) {
            return Ok(Fetched::Unchanged);
        }
        Ok(Fetched::Changed(FetchedFile {
            event_time: event_time::of(event_time.as_ref(), &path.to_string_lossy(), Some(modified))?,
            input: input(path),
            state: Some(last_modified(modified)),
            has_more: false,
        }))
    })
    .await
}

fn next(
    pattern: &str,
    event_time: Option<&EventTimeSource>,
    order: SourceOrdering,
    last: Option<&str>,
    options: &FetchOptions,
) -> Result<Fetched> {
    let mut candidates = candidates(pattern, event_time, options)?;
    if let Some(last) = last {
        match order {
            SourceOrdering::ByName => candidates.retain(|candidate| candidate.name.as_str() > last),
            SourceOrdering::ByEventTime => {
                let known = candidates.iter().find(|candidate| candidate.name == last);
                let time = match known {
                    Some(known) => known.event_time,
                    // The name alone tells the time of a file that was removed.
                    None => event_time::of(event_time, last, None)?,
                };
                let after = (moment(time, last)?, last.to_owned());
                candidates.retain(|candidate| {
                    candidate
                        .event_time
                        .is_none_or(|time| (time, candidate.name.as_str()) > (after.0, &after.1))
                });
            }
        }
    }
    if order == SourceOrdering::ByEventTime {
        for candidate in &candidates {
            moment(candidate.event_time, &candidate.name)?;
        }
        candidates.sort_by(|a, b| (a.event_time, &a.name).cmp(&(b.event_time, &b.name)));
    } else {
        candidates.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let has_more = candidates.len() > 1;
    let Some(first) = candidates.into_iter().next() else {
        return Ok(Fetched::Unchanged);
    };
    check_allowed(&first.path, options)?;
    Ok(Fetched::Changed(FetchedFile {
        input: input(first.path),
        event_time: first.event_time,
        state: Some(etag(first.name)),
        has_more,
    }))
}

fn candidates(pattern: &str, event_time: Option<&EventTimeSource>, options: &FetchOptions) -> Result<Vec<Candidate>> {
    let fixed: PathBuf = Path::new(pattern)
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']))
        .collect();
    let (pattern, fixed) = match &options.base_dir {
        Some(base) if Path::new(pattern).is_relative() => {
            let escaped = glob::Pattern::escape(&base.to_string_lossy());
            (format!("{escaped}/{pattern}"), base.join(fixed))
        }
        _ => (pattern.to_owned(), fixed),
    };
    let paths = glob::glob(&pattern).map_err(|error| {
        Error::new(ErrorKind::InvalidSource, "the path is not a pattern of files")
            .with_context("path", &pattern)
            .with_source(error)
    })?;
    let mut candidates = Vec::new();
    for path in paths {
        let path = path
            .map_err(|error| Error::new(ErrorKind::Io, "a folder of the source cannot be read").with_source(error))?;
        if !path.is_file() {
            continue;
        }
        let name = path
            .strip_prefix(&fixed)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        let modified = modified(&path)?;
        candidates.push(Candidate {
            event_time: event_time::of(event_time, &name, Some(modified))
                .map_err(|error| error.with_context("file", &name))?,
            name,
            path,
        });
    }
    Ok(candidates)
}

fn moment(time: Option<DateTime<Utc>>, name: &str) -> Result<DateTime<Utc>> {
    time.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidSource,
            "the event time of a file is not known, but files are to be taken by it; use `FromPath`, or `FromMetadata` and keep the files, or order `ByName`",
        )
        .with_context("file", name)
    })
}

fn check_allowed(path: &Path, options: &FetchOptions) -> Result<()> {
    let Some(roots) = &options.file_roots else {
        return Ok(());
    };
    let real = path.canonicalize().map_err(|error| io(path, error))?;
    let inside = |root: &PathBuf| root.canonicalize().is_ok_and(|root| real.starts_with(root));
    if roots.iter().any(inside) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        "the operator does not allow files of this folder; put the file into an allowed folder or publish it by URL",
    )
    .with_context("file", path.display()))
}

fn modified(path: &Path) -> Result<DateTime<Utc>> {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .map(DateTime::from)
        .map_err(|error| io(path, error))
}

fn io(path: &Path, error: std::io::Error) -> Error {
    let (kind, message) = match error.kind() {
        std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "there is no such file"),
        _ => (ErrorKind::Io, "the file cannot be read"),
    };
    Error::new(kind, message)
        .with_context("file", path.display())
        .with_source(error)
}

fn input(path: PathBuf) -> Input {
    Input {
        name: path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned(),
        content: Content::File(path),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "reading files was cut off").with_source(error))?
}
