//! A dataset as a table that DataFusion scans.

mod prune;
mod reader;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DataFusionError, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use jetway_odf::storage::ObjectKind;

use crate::PinnedDataset;
use crate::read_index::{Piece, ReadIndexes};
use crate::summary::{DatasetSummary, SliceEntry};
use crate::table::reader::Readers;

/// How many bytes from the end of a slice are fetched at once: enough for the footer of nearly all of them.
const FOOTER_HINT: usize = 64 * 1024;

type DfResult<T> = Result<T, DataFusionError>;

/// The rows of a dataset at a pinned head. Files that cannot hold wanted rows are left out before any is opened.
#[derive(Debug)]
pub(crate) struct DatasetTable {
    files: DatasetFiles,
    pieces: Arc<Vec<Piece>>,
    indexes: Arc<ReadIndexes>,
}

impl DatasetTable {
    pub(crate) async fn open(dataset: PinnedDataset, summary: Arc<DatasetSummary>, indexes: Arc<ReadIndexes>) -> Self {
        let pieces = indexes.pieces(&dataset, &summary).await;
        Self {
            files: DatasetFiles::new(dataset, summary),
            pieces,
            indexes,
        }
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
            return Ok(wanted.cloned().collect());
        }
        let summary = &self.files.summary;
        let system_time = &summary.state.vocabulary().system_time;
        let asks_for_time = |filter: &Expr| filter.column_refs().iter().any(|column| column.name == *system_time);
        let times_are_blocks = filters.iter().any(asks_for_time) && self.files.times_are_blocks(session).await;
        prune::matching(session, summary, &self.pieces, filters, times_are_blocks)
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
        let wanted = self.wanted(session, filters, limit).await?;
        if wanted.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.files.summary.schema.project(columns)?),
                None => Arc::clone(&self.files.summary.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let storage = &self.files.dataset.storage;
        let pieces = self.indexes.trusted(storage, &self.files.summary, wanted).await;
        self.files.plan(session, projection, &pieces, limit)
    }

    /// All filters help to leave out slices, row groups and pages; none of them is sure to drop every other row.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.files.statistics_of(&self.pieces))
    }
}

/// The Parquet files of a dataset.
#[derive(Debug)]
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
        let mut statistics = Statistics::new_unknown(&self.summary.schema);
        statistics.num_rows = usize::try_from(rows).map_or(Precision::Absent, Precision::Exact);
        statistics.total_byte_size = usize::try_from(bytes).map_or(Precision::Absent, Precision::Inexact);
        let vocabulary = self.summary.state.vocabulary();
        let index = self.summary.schema.index_of(&vocabulary.offset);
        if let (Ok(index), Some(first), Some(last)) = (index, pieces.first(), pieces.last())
            && let Some(column) = statistics.column_statistics.get_mut(index)
        {
            let value = |offset: u64| {
                let value = i64::try_from(offset)
                    .ok()
                    .map(|offset| ScalarValue::Int64(Some(offset)));
                let data_type = self.summary.schema.field(index).data_type();
                value
                    .and_then(|value| value.cast_to(data_type).ok())
                    .map_or(Precision::Absent, Precision::Exact)
            };
            *column = ColumnStatistics {
                null_count: Precision::Exact(0),
                min_value: value(first.first_offset()),
                max_value: value(last.last_offset()),
                ..ColumnStatistics::new_unknown()
            };
        }
        statistics
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
        let store_url = ObjectStoreUrl::parse(self.dataset.storage.base_url().as_str())?;
        let store = session.runtime_env().object_store(&store_url)?;
        let metadata_cache = session.runtime_env().cache_manager.get_file_metadata_cache();
        let source = ParquetSource::new(Arc::clone(&self.summary.schema))
            .with_table_parquet_options(session.table_options().parquet.clone())
            .with_metadata_size_hint(FOOTER_HINT)
            .with_parquet_file_reader_factory(Arc::new(Readers::new(store, metadata_cache)));
        let config = FileScanConfigBuilder::new(store_url, Arc::new(source))
            .with_statistics(self.statistics_of(pieces))
            .with_file_groups(self.file_groups(pieces, session.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Neighbours stay together, and every group has about the same number of bytes.
    fn file_groups(&self, pieces: &[Piece], groups: usize) -> Vec<FileGroup> {
        let total: u64 = pieces.iter().map(Piece::size).sum();
        let per_group = (total / groups.max(1) as u64).max(1);
        let mut result = Vec::with_capacity(groups);
        let mut group = Vec::new();
        let mut bytes = 0;
        for piece in pieces {
            let path = piece.path(&self.dataset.storage);
            group.push(PartitionedFile::new(path.to_string(), piece.size()));
            bytes += piece.size();
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
}
