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

/// What is read to see all rows of a dataset: merged files where there are some, slices elsewhere. Cheap to clone, and made
/// without going through all slices.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pieces {
    slices: SliceList,
    /// By offset.
    merged: Arc<Vec<Merged>>,
}

/// A merged file, and the slices that it stands for by their positions.
#[derive(Debug, Clone)]
struct Merged {
    file: Arc<MergedFile>,
    range: Range<usize>,
}

impl Pieces {
    /// Every slice by itself.
    pub(crate) fn of_slices(slices: SliceList) -> Self {
        Self {
            slices,
            merged: Arc::default(),
        }
    }

    pub(crate) fn slices(&self) -> &SliceList {
        &self.slices
    }

    /// Bytes of all of them, about: those of the slices.
    pub(crate) fn bytes(&self) -> u64 {
        self.slices.bytes()
    }

    pub(crate) fn first_offset(&self) -> Option<u64> {
        self.slices.get(0).map(|slice| slice.first_offset)
    }

    pub(crate) fn last_offset(&self) -> Option<u64> {
        self.slices.last().map(|slice| slice.last_offset)
    }

    /// All pieces by offset.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Piece> {
        self.within(0..self.slices.len())
    }

    /// The pieces with the slices at some positions; merged files at both ends have others as well.
    pub(crate) fn within(&self, range: Range<usize>) -> impl Iterator<Item = Piece> {
        let mut next = range.start;
        let mut merged = self.merged.partition_point(|merged| merged.range.end <= range.start);
        std::iter::from_fn(move || {
            if next >= range.end {
                return None;
            }
            if let Some(found) = self.merged.get(merged).filter(|merged| merged.range.start <= next) {
                next = found.range.end;
                merged += 1;
                return Some(Piece::Merged(Arc::clone(&found.file), found.range.clone()));
            }
            let slice = self.slices.get(next).copied().map(Piece::Slice);
            next += 1;
            slice
        })
    }

    /// Merged files where the dataset has exactly the slices that they were made from, slices elsewhere. `before` was arranged
    /// by the same manifest for another head, mostly that of a few blocks before.
    pub(super) fn arrange(slices: &SliceList, manifest: &Manifest, before: Option<&Self>) -> Self {
        let mut merged: Vec<Merged> = Vec::with_capacity(manifest.files.len());
        let mut next = 0;
        for file in &manifest.files {
            let known = before.and_then(|before| before.known(file, slices));
            let found = match known {
                Some(known) => known.clone(),
                None => {
                    let start = slices.position(file.first_offset);
                    let count = usize::try_from(file.slice_count).unwrap_or(usize::MAX);
                    let range = start..start.saturating_add(count);
                    if !stands_for(file, slices, range.clone()) {
                        continue;
                    }
                    let file = Arc::new(file.clone());
                    Merged { file, range }
                }
            };
            if found.range.start >= next {
                next = found.range.end;
                merged.push(found);
            }
        }
        Self {
            slices: slices.clone(),
            merged: Arc::new(merged),
        }
    }

    /// A file that was found to stand for slices which are the same in another list.
    fn known(&self, file: &MergedFile, slices: &SliceList) -> Option<&Merged> {
        let place = self
            .merged
            .partition_point(|merged| merged.file.first_offset < file.first_offset);
        let known = self.merged.get(place)?;
        let is_same = *known.file == *file && self.slices.agrees(slices, known.range.clone());
        is_same.then_some(known)
    }
}

fn stands_for(file: &MergedFile, all: &SliceList, range: Range<usize>) -> bool {
    range.end <= all.len()
        && all.range(range.clone()).next().map(|slice| slice.first_offset) == Some(file.first_offset)
        && all.range(range.clone()).last().map(|slice| slice.last_offset) == Some(file.last_offset)
        && manifest::digest(all.range(range)) == file.slices
}
