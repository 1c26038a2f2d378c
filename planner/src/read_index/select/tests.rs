//! Many histories of small commits, with a compaction whenever one pays.

use std::sync::Arc;

use chrono::DateTime;
use jetway_odf::identity::Multihash;

use super::{Effort, ranges};
use crate::read_index::Piece;
use crate::read_index::manifest::MergedFile;
use crate::summary::SliceEntry;

/// A file without columns.
const EMPTY_FILE: u64 = 1_800;
const ROW: u64 = 20;

fn slice(first_offset: u64, rows: u64) -> Piece {
    Piece::Slice(SliceEntry {
        physical_hash: Multihash::sha3_256(&first_offset.to_le_bytes()),
        size: EMPTY_FILE + rows * ROW,
        first_offset,
        last_offset: first_offset + rows - 1,
        system_time: DateTime::UNIX_EPOCH,
    })
}

fn merged(inputs: &[Piece]) -> Piece {
    let (first, last) = (inputs[0].first_offset(), inputs[inputs.len() - 1].last_offset());
    let file = MergedFile {
        name: format!("{first}-{last}"),
        size: EMPTY_FILE + (last - first + 1) * ROW,
        checksum: Multihash::sha3_256(b""),
        first_offset: first,
        last_offset: last,
        first_system_time: None,
        last_system_time: DateTime::UNIX_EPOCH,
        slice_count: 0,
        slices: Multihash::sha3_256(b""),
    };
    Piece::Merged(Arc::new(file), 0..0)
}

/// Compacts; gives how many bytes were written.
fn compact(pieces: &mut Vec<Piece>, effort: Effort) -> u64 {
    let mut bytes = 0;
    for range in ranges(pieces, effort).into_iter().rev() {
        let file = merged(&pieces[range.clone()]);
        bytes += file.size();
        pieces.splice(range, [file]);
    }
    bytes
}

#[test]
fn twenty_thousand_slices_of_one_row_become_one_file() {
    let mut pieces: Vec<Piece> = (0..20_000).map(|offset| slice(offset, 1)).collect();
    compact(&mut pieces, Effort::Asked);
    assert_eq!(pieces.len(), 1);
    assert_eq!(compact(&mut pieces, Effort::Asked), 0, "there is nothing left to do");
}

#[test]
fn rows_that_trickle_in_are_written_again_a_few_times_only_and_leave_few_files() {
    let mut pieces = Vec::new();
    let (mut arrived, mut written, mut most) = (0, 0, 0);
    for offset in 0..200_000 {
        pieces.push(slice(offset, 1));
        arrived += slice(offset, 1).size();
        if pieces.len() % 16 == 0 {
            written += compact(&mut pieces, Effort::Background);
        }
        most = most.max(pieces.len());
    }
    assert!(written < arrived, "{written} bytes were written for {arrived}");
    assert!(most < 100, "{most} files at once");
}

#[test]
fn large_slices_are_left_alone() {
    let mut pieces = vec![
        slice(0, 1),
        slice(1, 1_000_000),
        slice(1_000_001, 1),
        slice(1_000_002, 1),
    ];
    compact(&mut pieces, Effort::Asked);
    assert_eq!(pieces.len(), 3);
    assert!(matches!(pieces[1], Piece::Slice(_)));
}

#[test]
fn few_slices_are_not_merged_in_the_background() {
    let pieces: Vec<Piece> = (0..63).map(|offset| slice(offset, 1)).collect();
    assert!(ranges(&pieces, Effort::Background).is_empty());
    assert_eq!(ranges(&pieces, Effort::Asked).len(), 1);
}
