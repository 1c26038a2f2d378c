//! What a scan would read, known before it does.

use std::fmt;
use std::ops::AddAssign;

use datafusion::catalog::Session;
use datafusion::logical_expr::Expr;

use super::{DatasetTable, DfResult};
use crate::explain::Bytes;
use crate::read_index::Piece;

/// What a scan would read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScanCost {
    /// Slices that the dataset has.
    slices: u64,
    /// Those that may hold wanted rows.
    wanted: u64,
    /// Files that stand for several of them.
    merged: u64,
    files: u64,
    /// Of the files; a scan reads its columns only.
    bytes: u64,
    rows: u64,
}

impl DatasetTable {
    /// What a scan with these filters would read, by offsets, times and statistics, and at most.
    ///
    /// # Errors
    /// Those of the storage.
    pub(crate) async fn scan_cost(
        &self,
        session: &dyn Session,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<ScanCost> {
        let wanted = self.wanted(session, filters, limit).await?;
        let (storage, summary) = (&self.files.dataset.storage, &self.files.summary);
        let wanted = self.indexes.trusted(storage, summary, wanted).await;
        let mut cost = ScanCost {
            slices: summary.slices.len() as u64,
            files: wanted.len() as u64,
            ..ScanCost::default()
        };
        for piece in &wanted {
            cost.bytes += piece.size();
            cost.rows += piece.rows();
            match piece {
                Piece::Slice(_) => cost.wanted += 1,
                Piece::Merged(_, slices) => {
                    cost.merged += 1;
                    cost.wanted += slices.len() as u64;
                }
            }
        }
        Ok(cost)
    }
}

impl AddAssign for ScanCost {
    fn add_assign(&mut self, other: Self) {
        self.slices += other.slices;
        self.wanted += other.wanted;
        self.merged += other.merged;
        self.files += other.files;
        self.bytes += other.bytes;
        self.rows += other.rows;
    }
}

impl fmt::Display for ScanCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            slices,
            wanted,
            merged,
            files,
            bytes,
            rows,
        } = self;
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        write!(
            f,
            "{wanted} of {slices} slice{} in {files} file{} ({merged} merged), {rows} row{}, {}",
            plural(*slices),
            plural(*files),
            plural(*rows),
            Bytes(*bytes)
        )
    }
}
