//! Scans of a range of offsets: which rows of which files it has, without reading the column of offsets.

use std::ops::Range;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::exec_datafusion_err;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::ParquetMetaData;

use super::{DatasetFiles, DfResult, FOOTER_HINT};
use crate::Part;
use crate::read_index::Piece;

impl DatasetFiles {
    /// The pieces with rows of a part. Those at its ends may have others as well.
    pub(super) fn within(pieces: Vec<Piece>, part: Part) -> Vec<Piece> {
        let mut pieces = pieces;
        pieces.retain(|piece| piece.last_offset() >= part.first && piece.first_offset() <= part.last);
        pieces
    }

    /// A file of which only the rows of a part are read.
    pub(super) async fn limited(
        &self,
        session: &dyn Session,
        piece: &Piece,
        file: PartitionedFile,
        part: Part,
    ) -> DfResult<PartitionedFile> {
        let (first, last) = (piece.first_offset(), piece.last_offset());
        if part.first <= first && last <= part.last {
            return Ok(file);
        }
        let footer = self.footer(session, piece).await?;
        let from = part.first.max(first) - first;
        let to = part.last.min(last).saturating_add(1) - first;
        Ok(file.with_extension(access(&footer, from..to)?))
    }

    /// The rows with which the row groups of a piece begin, counted from its first.
    pub(super) async fn row_groups(&self, session: &dyn Session, piece: &Piece) -> DfResult<Vec<u64>> {
        let footer = self.footer(session, piece).await?;
        let mut next = 0;
        let starts = footer.row_groups().iter().map(|group| {
            let start = next;
            next += u64::try_from(group.num_rows()).unwrap_or(0);
            start
        });
        Ok(starts.collect())
    }

    async fn footer(&self, session: &dyn Session, piece: &Piece) -> DfResult<Arc<ParquetMetaData>> {
        let storage = &self.dataset.storage;
        let file = PartitionedFile::new(piece.path(storage).to_string(), piece.size());
        let footer = DFParquetMetadata::new(storage.store(), &file.object_meta)
            .with_metadata_size_hint(Some(FOOTER_HINT))
            .with_file_metadata_cache(Some(session.runtime_env().cache_manager.get_file_metadata_cache()))
            .fetch_metadata()
            .await?;
        let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        if rows != piece.rows() {
            return Err(exec_datafusion_err!(
                "a slice has {rows} rows where the chain says {}; verify the dataset",
                piece.rows()
            ));
        }
        Ok(footer)
    }
}

/// Reads some rows of a file, counted from its first.
fn access(footer: &ParquetMetaData, wanted: Range<u64>) -> DfResult<ParquetAccessPlan> {
    let mut start = 0;
    let mut groups = Vec::with_capacity(footer.num_row_groups());
    for group in footer.row_groups() {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        let end = start + rows;
        let (from, to) = (wanted.start.clamp(start, end), wanted.end.clamp(start, end));
        groups.push(if from >= to {
            RowGroupAccess::Skip
        } else if to - from == rows {
            RowGroupAccess::Scan
        } else {
            RowGroupAccess::Selection(RowSelection::from(vec![
                RowSelector::skip(count(from - start)?),
                RowSelector::select(count(to - from)?),
                RowSelector::skip(count(end - to)?),
            ]))
        });
        start = end;
    }
    Ok(ParquetAccessPlan::new(groups))
}

fn count(rows: u64) -> DfResult<usize> {
    usize::try_from(rows).map_err(|_| exec_datafusion_err!("a row group has more rows than can be counted here"))
}
