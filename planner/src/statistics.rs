//! What is known about the values in files without opening them: for each column the smallest and the largest value, and how
//! many are null.
//!
//! It comes from the footers of slices that were written or opened here, and belongs to their bytes, whose hash is their name.
//! Files of a dataset mostly have the same columns, so that the names are kept once, and the values as a few bytes for each.

mod column;
mod footer;
mod known;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use self::column::{Bound, ColumnStatistics, Kind};
pub(crate) use self::footer::of_row_groups;
pub(crate) use self::known::KnownStatistics;

/// How many columns of a file are described, and with how many bytes together.
const MAX_COLUMNS: usize = 32;
const MAX_BYTES: usize = 480;

/// The columns that files have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Layout(Vec<(String, Kind)>);

/// What is known about one file, or about several together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileStatistics {
    layout: Arc<Layout>,
    /// Of one column after the other, see [`ColumnStatistics::encode`].
    bytes: Box<[u8]>,
}

impl FileStatistics {
    pub(crate) fn new(columns: Vec<(String, ColumnStatistics)>) -> Self {
        let mut bytes = Vec::new();
        let mut layout = Vec::new();
        for (name, column) in columns {
            let start = bytes.len();
            column.encode(&mut bytes);
            if layout.len() == MAX_COLUMNS || bytes.len() > MAX_BYTES {
                // A later one may be smaller.
                bytes.truncate(start);
                continue;
            }
            layout.push((name, column.kind));
        }
        Self {
            layout: Arc::new(Layout(layout)),
            bytes: bytes.into_boxed_slice(),
        }
    }

    /// From what [`Self::layout`] and [`Self::bytes`] gave. Bytes that make no sense tell nothing.
    pub(crate) fn from_parts(layout: Arc<Layout>, bytes: &[u8]) -> Self {
        Self {
            layout,
            bytes: bytes.into(),
        }
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes in memory, without what is shared.
    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// What is known about a column.
    pub(crate) fn column(&self, name: &str) -> Option<ColumnStatistics> {
        self.columns()
            .find(|(found, _)| *found == name)
            .map(|(_, column)| column)
    }

    fn columns(&self) -> impl Iterator<Item = (&str, ColumnStatistics)> {
        let mut rest = &*self.bytes;
        self.layout.0.iter().map_while(move |(name, kind)| {
            let (column, left) = ColumnStatistics::decode(*kind, rest)?;
            rest = left;
            Some((name.as_str(), column))
        })
    }

    /// What is known about several files together: only what is known about each of them.
    pub(crate) fn union<'a>(files: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut files = files.into_iter();
        let first = files.next()?;
        let mut order: Vec<&str> = Vec::new();
        let mut all: BTreeMap<&str, ColumnStatistics> = BTreeMap::new();
        for (name, column) in first.columns() {
            order.push(name);
            all.insert(name, column);
        }
        let mut seen = 1;
        let mut counts: BTreeMap<&str, usize> = order.iter().map(|name| (*name, 1)).collect();
        for file in files {
            seen += 1;
            for (name, column) in file.columns() {
                if let Some(known) = all.get_mut(name) {
                    known.merge(column);
                    *counts.entry(name).or_default() += 1;
                }
            }
        }
        let columns = order.into_iter().filter(|name| counts.get(name) == Some(&seen));
        let columns = columns.filter_map(|name| Some((name.to_owned(), all.remove(name)?)));
        Some(Self::new(columns.collect()))
    }
}

#[cfg(test)]
mod tests;
