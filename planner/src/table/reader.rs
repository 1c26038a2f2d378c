//! Opens the Parquet files of a scan.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::DataFusionError;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, CachedParquetMetaData};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadata, FileMetadataCache};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::traced::TracedStore;

/// A file up to this size is fetched whole, which is one request instead of two or three.
const WHOLE_BYTES: u64 = 64 * 1024;

/// Readers of small files, and of others by their footers.
#[derive(Debug)]
pub(super) struct Readers {
    store: Arc<dyn ObjectStore>,
    footers: Arc<FileMetadataCache>,
    by_footer: CachedParquetFileReaderFactory,
}

impl Readers {
    pub(super) fn new(store: Arc<dyn ObjectStore>, footers: Arc<FileMetadataCache>) -> Self {
        let store = TracedStore::of_current(store);
        Self {
            by_footer: CachedParquetFileReaderFactory::new(Arc::clone(&store), Arc::clone(&footers)),
            store,
            footers,
        }
    }
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>, DataFusionError> {
        if file.object_meta.size > WHOLE_BYTES {
            return self.by_footer.create_reader(partition, file, footer_hint, metrics);
        }
        Ok(Box::new(WholeFile {
            store: Arc::clone(&self.store),
            footers: Arc::clone(&self.footers),
            file: file.object_meta,
            bytes: None,
            bytes_scanned: MetricBuilder::new(metrics).counter("bytes_scanned", partition),
        }))
    }
}

/// A file that is fetched when the first of it is needed.
struct WholeFile {
    store: Arc<dyn ObjectStore>,
    footers: Arc<FileMetadataCache>,
    file: ObjectMeta,
    bytes: Option<Bytes>,
    bytes_scanned: Count,
}

impl WholeFile {
    async fn fetch(&mut self) -> Result<Bytes, ParquetError> {
        if let Some(bytes) = &self.bytes {
            return Ok(bytes.clone());
        }
        // The size is known, and a range is read in one step also from a file system.
        let fetched = self.store.get_range(&self.file.location, 0..self.file.size).await;
        let bytes = fetched.map_err(|error| ParquetError::External(Box::new(error)))?;
        self.bytes_scanned.add(bytes.len());
        self.bytes = Some(bytes.clone());
        Ok(bytes)
    }
}

impl AsyncFileReader for WholeFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let bytes = self.fetch().await?;
            let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            match range.filter(|(start, end)| start <= end && *end <= bytes.len()) {
                Some((start, end)) => Ok(bytes.slice(start..end)),
                None => Err(ParquetError::EOF("the file ends before its footer says".to_owned())),
            }
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let known = self.footers.get(&self.file.location);
            let known = known.filter(|known| known.is_valid_for(&self.file));
            if let Some(known) = known.as_ref().and_then(|known| footer(&*known.file_metadata)) {
                return Ok(known);
            }
            // Where pages are is of no use in so small a file.
            let metadata = Arc::new(ParquetMetaDataReader::new().parse_and_finish(&self.fetch().await?)?);
            let footer = Arc::new(CachedParquetMetaData::new(Arc::clone(&metadata)));
            let entry = CachedFileMetadataEntry::new(self.file.clone(), footer);
            self.footers.put(&self.file.location, entry);
            Ok(metadata)
        }
        .boxed()
    }
}

fn footer(metadata: &dyn FileMetadata) -> Option<Arc<ParquetMetaData>> {
    let parquet = metadata.as_any().downcast_ref::<CachedParquetMetaData>()?;
    Some(Arc::clone(parquet.parquet_metadata()))
}
