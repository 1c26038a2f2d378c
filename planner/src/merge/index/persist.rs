//! From runs in memory to files, and from many files to few.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::TryStreamExt;
use jetway_odf::storage::DerivedStore;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::merge::index::layout::Content;
use crate::merge::index::manifest::{self, Manifest};
use crate::merge::index::run::{self, StoredRun};
use crate::merge::index::version::{Saved, Version, scan_memory, without_dead};
use crate::merge::index::{FOLDER, StateIndex};
use crate::merge::{Batches, newest, sort};
use crate::{Clock, Result};

/// After which time without a write an index with another layout is taken for abandoned.
const ABANDONED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Entries that are newer than a version, sorted by key.
pub(super) struct Newer {
    pub(super) entries: Batches,
    /// How many there may be.
    pub(super) rows: u64,
    /// How many of them make a batch.
    pub(super) batch_rows: usize,
}

/// Writes what a version has in memory, and newer entries, into a file, together with the older files that are not much
/// larger. The manifest then says that all up to the version's head is in files.
///
/// None if somebody else has saved a later state in the meantime; then nothing is written.
pub(super) async fn save(index: &StateIndex, version: &Version, newer: Option<Newer>) -> Result<Option<Saved>> {
    let (store, layout) = (index.dataset.storage.derived(), &index.layout);
    let current = Manifest::read(&store, layout).await?;
    if let Some(current) = current
        && !version.saved.id.is_empty()
        && current.id != version.saved.id
        && current.sequence_number > version.sequence_number
        && newer.is_none()
    {
        return Ok(None);
    }
    let mut streams = Vec::new();
    let mut rows = version.fresh_rows();
    let mut batch_rows = version.batch_rows();
    if let Some(newer) = newer {
        rows = rows.saturating_add(newer.rows);
        batch_rows = batch_rows.min(newer.batch_rows);
        streams.push(newer.entries);
    }
    for run in &version.fresh {
        streams.push(scan_memory(run, None)?);
    }
    let mut kept = version.saved.runs.as_slice();
    while let Some((next, older)) = kept.split_first()
        && next.rows() < rows.saturating_mul(index.options.ratio)
    {
        rows = rows.saturating_add(next.rows());
        streams.push(StoredRun::scan(next, None));
        kept = older;
    }
    let mut entries = newest::per_key(sort::merge_by_key(&index.engine, &layout.entries, streams, batch_rows)?);
    // A retraction hides older entries; where there are none it has nothing to say, unless having been there counts.
    if kept.is_empty() && layout.content == Content::Rows {
        entries = without_dead(entries);
    }
    let written = run::write(&store, layout, &index.options, entries).await?;
    let runs: Vec<Arc<StoredRun>> = written.into_iter().map(Arc::new).chain(kept.iter().cloned()).collect();
    let manifest = Manifest {
        id: uuid::Uuid::new_v4().simple().to_string(),
        head: version.head,
        sequence_number: version.sequence_number,
        next_offset: version.next_offset,
        runs: runs.iter().map(|run| run.record().clone()).collect(),
    };
    manifest.write(&store, layout).await?;
    sweep(index, &store, &manifest).await?;
    Ok(Some(Saved {
        id: manifest.id,
        sequence_number: manifest.sequence_number,
        runs,
    }))
}

/// Removes files that the manifest does not name, unless they are so young that somebody may still read them, or is
/// about to name them; and indexes with other layouts that nobody has written to for long: the source has another key now,
/// or the dataset another schema.
async fn sweep(index: &StateIndex, store: &DerivedStore, manifest: &Manifest) -> Result<()> {
    let now = Clock::system().now();
    let is_older = |file: &ObjectMeta, age: Duration| {
        let age = TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
        now.signed_duration_since(file.last_modified) >= age
    };
    let is_named = |name: &str| name == manifest::NAME || manifest.runs.iter().any(|run| run.name == name);
    let root = store.path("");
    let files: Vec<ObjectMeta> = store.list(FOLDER).try_collect().await?;
    for file in files {
        let Some(parts) = file.location.prefix_match(&root) else {
            continue;
        };
        let path = Path::from_iter(parts);
        let is_surplus = match path.as_ref().strip_prefix(&index.layout.file("")) {
            Some(name) => !is_named(name) && is_older(&file, index.options.grace),
            None => is_older(&file, ABANDONED),
        };
        if is_surplus {
            store.remove(path.as_ref()).await?;
        }
    }
    Ok(())
}
