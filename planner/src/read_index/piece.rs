//! What a scan reads: slices, and merged files in the place of several.

use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jetway_odf::storage::{DatasetStorage, ObjectKind};
use object_store::path::Path;

use crate::read_index::manifest::{self, Manifest, MergedFile};
use crate::summary::{SliceEntry, SliceList};

/// A Parquet file with consecutive rows of a dataset.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Slice(SliceEntry),
    /// A merged file, and which slices of the dataset it stands for.
    Merged(Arc<MergedFile>, Range<usize>),
}

impl Piece {
    pub(crate) fn first_offset(&self) -> u64 {
        match self {
            Self::Slice(slice) => slice.first_offset,
            Self::Merged(file, _) => file.first_offset,
        }
    }

    pub(crate) fn last_offset(&self) -> u64 {
        match self {
            Self::Slice(slice) => slice.last_offset,
            Self::Merged(file, _) => file.last_offset,
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.last_offset().saturating_sub(self.first_offset()).saturating_add(1)
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Slice(slice) => slice.size,
            Self::Merged(file, _) => file.size,
        }
    }

    /// No row has an earlier system time. The chain does not say how early those of a slice are: hard compaction merges slices
    /// and leaves their rows as they are.
    pub(crate) fn first_system_time(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Slice(_) => None,
            Self::Merged(file, _) => file.first_system_time,
        }
    }

    /// No row has a later system time.
    pub(crate) fn last_system_time(&self) -> DateTime<Utc> {
        match self {
            Self::Slice(slice) => slice.system_time,
            Self::Merged(file, _) => file.last_system_time,
        }
    }

    /// Where the file is within the dataset's store.
    pub(crate) fn path(&self, storage: &DatasetStorage) -> Path {
        match self {
            Self::Slice(slice) => storage.object_path(ObjectKind::Data, &slice.physical_hash),
            Self::Merged(file, _) => file.path(storage),
        }
    }

    pub(super) fn merged(&self) -> Option<&Arc<MergedFile>> {
        match self {
            Self::Slice(_) => None,
            Self::Merged(file, _) => Some(file),
        }
    }

    /// The slices that it stands for.
    pub(super) fn slices(&self, slices: &SliceList) -> Vec<Self> {
        match self {
            Self::Slice(_) => vec![self.clone()],
            Self::Merged(_, range) => slices.range(range.clone()).copied().map(Self::Slice).collect(),
        }
    }
}

/// Every slice by itself.
pub(crate) fn slices(slices: &SliceList) -> Vec<Piece> {
    slices.iter().copied().map(Piece::Slice).collect()
}

/// Merged files where the dataset has exactly the slices that they were made from, slices elsewhere.
pub(super) fn arrange(all: &SliceList, manifest: &Manifest) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut next = 0;
    for file in &manifest.files {
        let start = all.position(file.first_offset);
        let count = usize::try_from(file.slice_count).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(count);
        if start < next || !stands_for(file, all, range.clone()) {
            continue;
        }
        pieces.extend(all.range(next..start).copied().map(Piece::Slice));
        next = range.end;
        pieces.push(Piece::Merged(Arc::new(file.clone()), range));
    }
    pieces.extend(all.range(next..all.len()).copied().map(Piece::Slice));
    pieces
}

fn stands_for(file: &MergedFile, all: &SliceList, range: Range<usize>) -> bool {
    range.end <= all.len()
        && all.range(range.clone()).next().map(|slice| slice.first_offset) == Some(file.first_offset)
        && all.range(range.clone()).last().map(|slice| slice.last_offset) == Some(file.last_offset)
        && manifest::digest(all.range(range)) == file.slices
}
