//! Footers of Parquet files in memory. A slice is named by its hash and never changes, so none of them grows stale.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::{HashMap, TableReference};
use datafusion::datasource::physical_plan::parquet::CachedParquetMetaData;
use datafusion::execution::cache::cache_manager::CachedFileMetadataEntry;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::cache::{Cache, CacheEntryInfo};
use jetway_odf::identity::Multihash;
use object_store::path::Path;

use crate::statistics::{self, KnownStatistics};

/// Footers with the indexes of their pages, bounded by memory. What they say about the values of columns is remembered for longer.
pub(crate) struct FooterCache {
    entries: DefaultCache<Path, CachedFileMetadataEntry>,
    statistics: Arc<KnownStatistics>,
}

impl FooterCache {
    /// With a limit of memory in bytes.
    pub(crate) fn new(limit: usize, statistics: Arc<KnownStatistics>) -> Self {
        Self {
            entries: DefaultCache::new(limit),
            statistics,
        }
    }

    fn learn(&self, file: &Path, entry: &CachedFileMetadataEntry) {
        let footer = entry.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>();
        if let Some(footer) = footer.map(CachedParquetMetaData::parquet_metadata)
            && let Some(slice) = slice(file)
            && !self.statistics.knows(&slice)
        {
            let schema = footer.file_metadata().schema_descr();
            self.statistics
                .insert(slice, statistics::of_row_groups(schema, footer.row_groups()));
        }
    }

    fn report_size(&self) {
        metrics::gauge!("jetway_footer_cache_bytes").set(self.entries.memory_used() as f64);
    }
}

/// The hash that a slice is named by; merged files and others have none.
fn slice(file: &Path) -> Option<Multihash> {
    let mut parts = file.as_ref().rsplit('/');
    let (name, folder) = (parts.next()?, parts.next()?);
    (folder == "data").then(|| name.parse().ok()).flatten()
}

impl Cache<Path, CachedFileMetadataEntry> for FooterCache {
    fn get(&self, file: &Path) -> Option<CachedFileMetadataEntry> {
        let found = self.entries.get(file);
        match &found {
            Some(_) => metrics::counter!("jetway_footer_cache_hits_total").increment(1),
            None => metrics::counter!("jetway_footer_cache_misses_total").increment(1),
        }
        found
    }

    fn put(&self, file: &Path, entry: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        self.learn(file, &entry);
        let before = self.entries.put(file, entry);
        self.report_size();
        before
    }

    fn remove(&self, file: &Path) -> Option<CachedFileMetadataEntry> {
        self.entries.remove(file)
    }

    fn contains_key(&self, file: &Path) -> bool {
        self.entries.contains_key(file)
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn clear(&self) {
        self.entries.clear();
    }

    fn name(&self) -> String {
        "footers".to_owned()
    }

    fn cache_limit(&self) -> usize {
        self.entries.cache_limit()
    }

    fn update_cache_limit(&self, limit: usize) {
        self.entries.update_cache_limit(limit);
    }

    fn cache_ttl(&self) -> Option<Duration> {
        self.entries.cache_ttl()
    }

    fn update_cache_ttl(&self, ttl: Option<Duration>) {
        self.entries.update_cache_ttl(ttl);
    }

    fn drop_table_entries(&self, table: &TableReference) -> datafusion::common::Result<()> {
        self.entries.drop_table_entries(table)
    }

    fn list_entries(&self) -> HashMap<Path, CacheEntryInfo<CachedFileMetadataEntry>> {
        self.entries.list_entries()
    }
}
