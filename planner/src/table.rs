//! A dataset as a table that DataFusion scans.

mod cost;
mod estimate;
mod exact;
mod prune;
mod range;
mod reader;
mod traced;

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use jetway_odf::storage::ObjectKind;

use crate::read_index::{Piece, Pieces, ReadIndexes};
use crate::summary::{DatasetSummary, SliceEntry};
use crate::table::prune::Prune;
use crate::table::reader::Readers;
use crate::{Part, PinnedDataset};

pub(crate) use cost::ScanCost;

/// How many bytes from the end of a slice are fetched at once: enough for the footer of nearly all of them.
const FOOTER_HINT: usize = 64 * 1024;

type DfResult<T> = Result<T, DataFusionError>;

/// The rows of a dataset at a pinned head. Files that cannot hold wanted rows are left out before any is opened.
#[derive(Debug, Clone)]
pub(crate) struct DatasetTable {
    files: DatasetFiles,
    pieces: Pieces,
    indexes: Arc<ReadIndexes>,
    /// Which rows are there; all of them unless set.
    part: Option<Part>,
}

impl DatasetTable {
    pub(crate) async fn open(dataset: PinnedDataset, summary: Arc<DatasetSummary>, indexes: Arc<ReadIndexes>) -> Self {
        let pieces = indexes.pieces(&dataset, &summary).await;
        Self {
            files: DatasetFiles::new(dataset, summary),
            pieces,
            indexes,
            part: None,
        }
    }

    /// The same table with some of its rows only.
    pub(crate) fn part(&self, part: Part) -> Self {
        Self {
            part: Some(part),
            ..self.clone()
        }
    }

    /// Bytes of the files that a scan with these filters reads, how many rows they have, and how many bytes a row of the columns
    /// takes in memory, as far as that can be told without reading any.
    pub(crate) async fn scan_size(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> DfResult<u64> {
        let wanted = self.wanted(session, filters, None).await?;
        let rows = wanted.iter().map(Piece::rows).sum::<u64>();
        let fields = self.files.summary.schema.fields();
        let width = |index: usize| fields.get(index).map_or(0, |field| width(field.data_type()));
        let row: u64 = match projection {
            Some(columns) => columns.iter().copied().map(width).sum(),
            None => (0..fields.len()).map(width).sum(),
        };
        Ok(rows.saturating_mul(row))
    }

    /// Cuts the rows that a scan with these filters reads into about so many parts of about the same size. Together the parts
    /// have all rows, at whatever files they are read later.
    pub(crate) async fn parts(&self, session: &dyn Session, filters: &[Expr], count: usize) -> DfResult<Vec<Part>> {
        let wanted = self.wanted(session, filters, None).await?;
        let total = wanted.iter().map(Piece::size).sum::<u64>();
        let rows = wanted.iter().map(Piece::rows).sum::<u64>();
        let mut cuts: Vec<u64> = Vec::new();
        for part in 1..count as u64 {
            let at = u64::try_from(u128::from(total) * u128::from(part) / count as u128).unwrap_or(total);
            if let Some(cut) = self.cut(session, &wanted, at, rows / count as u64).await? {
                cuts.push(cut);
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        let mut parts = Vec::with_capacity(cuts.len() + 1);
        let mut first = 0;
        for cut in cuts.into_iter().filter(|cut| *cut > 0) {
            parts.push(Part { first, last: cut - 1 });
            first = cut;
        }
        parts.push(Part { first, last: u64::MAX });
        Ok(parts)
    }

    /// The offset to cut at so that about `at` bytes are before it: where a file or a row group begins if one does nearby.
    async fn cut(&self, session: &dyn Session, pieces: &[Piece], at: u64, usual: u64) -> DfResult<Option<u64>> {
        let mut before = 0;
        for piece in pieces {
            let size = piece.size();
            if before + size <= at {
                before += size;
                continue;
            }
            let rows = piece.rows();
            let share = u128::from(at - before) * u128::from(rows) / u128::from(size.max(1));
            let row = u64::try_from(share).unwrap_or(rows);
            let near = |start: u64| start.abs_diff(row) <= usual / 4;
            let ends = [0, rows].into_iter().filter(|start| near(*start));
            let row = match ends.min_by_key(|start| start.abs_diff(row)) {
                Some(end) => end,
                None => {
                    let groups = self.files.row_groups(session, piece).await?;
                    let group = groups.into_iter().min_by_key(|start| start.abs_diff(row));
                    group.filter(|start| near(*start)).unwrap_or(row)
                }
            };
            let cut = piece.first_offset() + row;
            let is_inside = pieces.first().is_some_and(|first| cut > first.first_offset())
                && pieces.last().is_some_and(|last| cut <= last.last_offset());
            return Ok(is_inside.then_some(cut));
        }
        Ok(None)
    }

    /// Files that may hold rows wanted by the filters, and, with a limit and no filter, no more than it needs.
    async fn wanted(&self, session: &dyn Session, filters: &[Expr], limit: Option<usize>) -> DfResult<Vec<Piece>> {
        if filters.is_empty() {
            let mut rows = 0;
            let wanted = self.pieces.iter().take_while(|piece| {
                let needed = limit.is_none_or(|limit| rows < limit as u64);
                rows += piece.rows();
                needed
            });
            return Ok(wanted.collect());
        }
        let summary = &self.files.summary;
        let system_time = &summary.state.vocabulary().system_time;
        let asks_for_time = |filter: &Expr| filter.column_refs().iter().any(|column| column.name == *system_time);
        let times_are_blocks = filters.iter().any(asks_for_time) && self.files.times_are_blocks(session).await;
        let prune = Prune {
            summary,
            pieces: &self.pieces,
            known: &self.indexes.statistics,
            times_are_blocks,
        };
        prune.matching(session, filters)
    }
}

#[async_trait]
impl TableProvider for DatasetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.files.summary.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let mut wanted = self.wanted(session, filters, limit).await?;
        if let Some(part) = self.part {
            wanted = DatasetFiles::within(wanted, part);
        }
        if wanted.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.files.summary.schema.project(columns)?),
                None => Arc::clone(&self.files.summary.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let storage = &self.files.dataset.storage;
        let pieces = self.indexes.trusted(storage, &self.files.summary, wanted).await;
        let Some(part) = self.part else {
            let (summary, known) = (&self.files.summary, &self.indexes.statistics);
            let mut statistics = match filters.is_empty() && limit.is_none() {
                true => exact::of_all(summary, &self.pieces, known),
                false => self.files.statistics_of(&pieces),
            };
            estimate::add_bounds(&mut statistics, summary, &pieces, projection, known);
            let files = pieces.iter().map(|piece| self.files.file(piece)).collect();
            return self.files.plan_files(session, projection, files, statistics, limit);
        };
        // A merged file may have been replaced by its slices.
        let pieces = DatasetFiles::within(pieces, part);
        let mut files = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            let file = self.files.file(piece);
            files.push(self.files.limited(session, piece, file, part).await?);
        }
        let is_whole = |file: &PartitionedFile| file.extension::<ParquetAccessPlan>().is_none();
        let statistics = match files.iter().all(is_whole) {
            true => self.files.statistics_of(&pieces),
            false => Statistics::new_unknown(&self.files.summary.schema),
        };
        self.files.plan_files(session, projection, files, statistics, limit)
    }

    /// All filters help to leave out slices, row groups and pages; none of them is sure to drop every other row.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        // Of a part it is not known how many rows it has.
        let known = &self.indexes.statistics;
        self.part
            .is_none()
            .then(|| exact::of_all(&self.files.summary, &self.pieces, known))
    }
}

/// About how many bytes a value takes in memory.
pub(crate) fn width(data_type: &DataType) -> u64 {
    const TEXT: u64 = 20;
    match data_type {
        DataType::Null => 0,
        DataType::Boolean => 1,
        DataType::FixedSizeBinary(bytes) => u64::try_from(*bytes).unwrap_or(TEXT),
        DataType::Struct(fields) => fields.iter().map(|field| width(field.data_type())).sum(),
        other => other.primitive_width().map_or(TEXT, |bytes| bytes as u64),
    }
}

/// The Parquet files of a dataset.
#[derive(Debug, Clone)]
pub(crate) struct DatasetFiles {
    dataset: PinnedDataset,
    summary: Arc<DatasetSummary>,
}

impl DatasetFiles {
    pub(crate) fn new(dataset: PinnedDataset, summary: Arc<DatasetSummary>) -> Self {
        Self { dataset, summary }
    }

    /// Reads some columns of some slices, one after the other.
    pub(crate) fn read(
        &self,
        session: &dyn Session,
        columns: &Vec<usize>,
        slices: &[SliceEntry],
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let pieces: Vec<Piece> = slices.iter().copied().map(Piece::Slice).collect();
        self.plan(session, Some(columns), &pieces, None)
    }

    fn statistics_of(&self, pieces: &[Piece]) -> Statistics {
        let rows = pieces.iter().map(Piece::rows).sum::<u64>();
        let bytes = pieces.iter().map(Piece::size).sum::<u64>();
        let offsets = pieces.first().map(Piece::first_offset);
        let offsets = offsets.zip(pieces.last().map(Piece::last_offset));
        exact::of_rows(&self.summary, rows, bytes, offsets)
    }

    /// Whether the rows of a slice have the system time of its block. Not so where a hard compaction has written the blocks
    /// again, as other software does, and that begins with the first slice.
    async fn times_are_blocks(&self, session: &dyn Session) -> bool {
        let Some(first) = self.summary.slices.iter().next() else {
            return false;
        };
        match self.earliest_time(session, first).await {
            Ok(earliest) => earliest == Some(first.system_time.timestamp_millis()),
            Err(error) => {
                tracing::debug!(dataset.id = %self.dataset.id, %error, "the first slice does not tell the time of its rows");
                false
            }
        }
    }

    /// The earliest system time in a slice in milliseconds, if its footer says so.
    async fn earliest_time(&self, session: &dyn Session, slice: &SliceEntry) -> DfResult<Option<i64>> {
        let storage = &self.dataset.storage;
        let path = storage.object_path(ObjectKind::Data, &slice.physical_hash);
        let file = PartitionedFile::new(path.to_string(), slice.size);
        let statistics = DFParquetMetadata::new(storage.store(), &file.object_meta)
            .with_metadata_size_hint(Some(FOOTER_HINT))
            .with_file_metadata_cache(Some(session.runtime_env().cache_manager.get_file_metadata_cache()))
            .fetch_statistics(&self.summary.schema)
            .await?;
        let column = self
            .summary
            .schema
            .index_of(&self.summary.state.vocabulary().system_time)?;
        let earliest = statistics.column_statistics.get(column);
        Ok(match earliest.and_then(|column| column.min_value.get_value()) {
            Some(ScalarValue::TimestampMillisecond(millis, _)) => *millis,
            _ => None,
        })
    }

    fn plan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        pieces: &[Piece],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let files = pieces.iter().map(|piece| self.file(piece)).collect();
        let statistics = self.statistics_of(pieces);
        self.plan_files(session, projection, files, statistics, limit)
    }

    fn file(&self, piece: &Piece) -> PartitionedFile {
        PartitionedFile::new(piece.path(&self.dataset.storage).to_string(), piece.size())
    }

    /// `statistics` are those of all files together.
    fn plan_files(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        files: Vec<PartitionedFile>,
        statistics: Statistics,
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let store_url = ObjectStoreUrl::parse(self.dataset.storage.base_url().as_str())?;
        let store = session.runtime_env().object_store(&store_url)?;
        let metadata_cache = session.runtime_env().cache_manager.get_file_metadata_cache();
        let source = ParquetSource::new(Arc::clone(&self.summary.schema))
            .with_table_parquet_options(session.table_options().parquet.clone())
            .with_metadata_size_hint(FOOTER_HINT)
            .with_parquet_file_reader_factory(Arc::new(Readers::new(store, metadata_cache)));
        let config = FileScanConfigBuilder::new(store_url, Arc::new(source))
            .with_statistics(statistics)
            .with_file_groups(file_groups(files, session.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Neighbours stay together, and every group has about the same number of bytes.
fn file_groups(files: Vec<PartitionedFile>, groups: usize) -> Vec<FileGroup> {
    let total: u64 = files.iter().map(|file| file.object_meta.size).sum();
    let per_group = (total / groups.max(1) as u64).max(1);
    let mut result = Vec::with_capacity(groups);
    let mut group = Vec::new();
    let mut bytes = 0;
    for file in files {
        bytes += file.object_meta.size;
        group.push(file);
        if bytes >= per_group && result.len() + 1 < groups {
            result.push(FileGroup::new(std::mem::take(&mut group)));
            bytes = 0;
        }
    }
    if !group.is_empty() {
        result.push(FileGroup::new(group));
    }
    result
}
