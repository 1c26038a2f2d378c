//! Which neighbours are worth merging.

use std::ops::Range;

use crate::read_index::Piece;

/// Slices above either limit are read well enough by themselves.
const SMALL_BYTES: u64 = 4 << 20;
const SMALL_ROWS: u64 = 256 * 1024;

/// Inputs of one merged file have at most so many bytes and rows together.
const MAX_BYTES: u64 = 64 << 20;
const MAX_ROWS: u64 = 16 << 20;

/// A merged file is complete from this size on.
const COMPLETE_BYTES: u64 = 16 << 20;

/// A piece is merged again only if what it is merged with has at least this part of its size. Sizes of files that are left
/// grow geometrically towards older rows, so that a row is written again only as often as the logarithm of all rows says.
const RATIO: u64 = 2;

/// How much is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Somebody asked for it: everything that is worth it.
    Asked,
    /// After an ingest: only if many slices are to be merged.
    Background,
}

impl Effort {
    fn min_slices(self) -> usize {
        match self {
            Self::Asked => 1,
            Self::Background => 64,
        }
    }
}

/// Ranges of `pieces`, each of which is to become one file.
pub(super) fn ranges(pieces: &[Piece], effort: Effort) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let (mut bytes, mut rows) = (0, 0);
    for (index, piece) in pieces.iter().enumerate() {
        let is_small = is_small(piece);
        if !is_small || bytes + piece.size() > MAX_BYTES || rows + piece.rows() > MAX_ROWS {
            ranges.extend(worthwhile(pieces, start..index, effort));
            start = if is_small { index } else { index + 1 };
            (bytes, rows) = (0, 0);
        }
        if is_small {
            bytes += piece.size();
            rows += piece.rows();
        }
    }
    ranges.extend(worthwhile(pieces, start..pieces.len(), effort));
    ranges
}

fn is_small(piece: &Piece) -> bool {
    match piece {
        Piece::Slice(slice) => slice.size <= SMALL_BYTES && slice.rows() <= SMALL_ROWS,
        Piece::Merged(file, _) => file.size < COMPLETE_BYTES,
    }
}

/// The part of a range that is worth it, if any: without files at its start that are large beside what came later.
fn worthwhile(pieces: &[Piece], mut range: Range<usize>, effort: Effort) -> Option<Range<usize>> {
    loop {
        let inputs = pieces.get(range.clone())?;
        let slices = inputs.iter().filter(|piece| piece.merged().is_none()).count();
        if inputs.len() < 2 || slices < effort.min_slices() {
            return None;
        }
        let total: u64 = inputs.iter().map(Piece::size).sum();
        let files = inputs.iter().enumerate().filter(|(_, piece)| piece.merged().is_some());
        let largest = files.max_by_key(|(_, piece)| piece.size());
        match largest {
            Some((index, piece)) if piece.size() > RATIO * (total - piece.size()) => range.start += index + 1,
            _ => return Some(range),
        }
    }
}

#[cfg(test)]
mod tests;
