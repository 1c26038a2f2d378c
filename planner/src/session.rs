//! DataFusion's state that all statements share: functions, rules, memory, caches.

use std::sync::Arc;

use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList};
use datafusion::config::ConfigOptions;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionConfig;
use jetway_odf::storage::DatasetStorage;

use crate::budget::Budget;
use crate::compute::Compute;
use crate::footers::FooterCache;
use crate::spill::SpillFolder;
use crate::statistics::KnownStatistics;
use crate::{CATALOG, PlannerOptions, Result, SessionOptions, Subject, bounded, functions};

/// Up to which size the smaller side of a join is one table for all cores, divided by the number of cores.
const SHARED_BUILD_BYTES: usize = 512 * 1024 * 1024;
const SHARED_BUILD_ROWS: usize = 32 * 1024 * 1024;

/// Which part of a statement's memory the places of one join's keys may take where they are mostly empty, and how many places they
/// are at most.
const SHARE_OF_PLACES: usize = 32;
const MAX_PLACES: usize = 16 * 1024 * 1024;

/// How many of the largest users of memory are named when it runs out.
const NAMED_CONSUMERS: usize = 5;

/// What all statements share.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    base: SessionState,
    /// The state for plans that have their tables, see [`Self::planned`].
    planned: Arc<SessionState>,
    pub(crate) compute: Compute,
    /// What is known about the columns of slices.
    pub(crate) statistics: Arc<KnownStatistics>,
    folder: SpillFolder,
    memory_limit: usize,
}

impl Engine {
    pub(crate) fn new(options: &PlannerOptions) -> Result<Self> {
        let compute = Compute::new(options.parallelism)?;
        let folder = SpillFolder::open(options.spill_dir.as_deref(), options.spill_limit)?;
        let pool = TrackConsumersPool::new(
            FairSpillPool::new(options.memory_limit),
            std::num::NonZeroUsize::new(NAMED_CONSUMERS).unwrap_or(std::num::NonZeroUsize::MIN),
        );
        let budget = Budget {
            memory: options
                .statement_memory_limit
                .unwrap_or(options.memory_limit)
                .min(options.memory_limit),
            spill: options.statement_spill_limit,
            folder: folder.clone(),
        };
        let parallelism = options.parallelism.max(1);
        let statistics = Arc::new(KnownStatistics::new(options.summary_memory / 2));
        let footers = FooterCache::new(options.footer_memory, Arc::clone(&statistics));
        let mut runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_cache_manager(
                CacheManagerConfig::default()
                    .with_file_metadata_cache(Some(Arc::new(footers)))
                    .with_metadata_cache_limit(options.footer_memory),
            )
            .build()?;
        runtime.disk_manager = Arc::clone(folder.files());
        let memory = budget.memory;
        let mut config = SessionConfig::new()
            .with_target_partitions(parallelism)
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_batch_size(budget.batch_rows(BATCH_ROWS))
            .with_sort_spill_reservation_bytes(budget.merge_reserve(parallelism))
            .with_extension(Arc::new(budget));
        let settings = config.options_mut();
        // The declared type of a column is the one that is read: views would have to be turned into plain arrays again
        // for nearly every client.
        settings.execution.parquet.schema_force_view_types = false;
        settings.sql_parser.map_string_types_to_utf8view = false;
        settings.sql_parser.collect_spans = true;
        choose_joins(settings, parallelism, memory);
        let base = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::new(runtime))
            .with_default_features()
            .build();
        let mut base = functions::set_up(base)?;
        bounded::bound(&mut base)?;
        let mut planned = base.clone();
        planned.mark_start_execution();
        Ok(Self {
            base,
            planned: Arc::new(planned),
            compute,
            statistics,
            folder,
            memory_limit: options.memory_limit,
        })
    }

    /// A state for one statement of a subject, with no tables yet. The subject's own account is the default schema unless the
    /// session says another.
    pub(crate) fn session(&self, subject: &Subject, options: &SessionOptions) -> SessionState {
        let mut state = self.base.clone();
        let settings = state.config_mut().options_mut();
        CATALOG.clone_into(&mut settings.catalog.default_catalog);
        settings.catalog.default_schema = match &options.schema {
            Some(schema) => schema.clone(),
            None => subject.name().to_string(),
        };
        if let Some(time_zone) = &options.time_zone {
            settings.execution.time_zone = Some(time_zone.clone());
            apply_settings(&mut state);
        }
        let tables: Arc<dyn CatalogProviderList> = Arc::new(MemoryCatalogProviderList::new());
        state.register_catalog_list(tables);
        // What `now()` means in all of the statement.
        state.mark_start_execution();
        state
    }

    /// A state in which a plan of [`Self::session`] runs as it does in its own, if it says the same at any time: names and functions
    /// are in the plan already. True if it is one of its own all the same.
    pub(crate) fn planned(&self, session: SessionState) -> (Arc<SessionState>, bool) {
        let differs = session.config_options().execution.time_zone != self.base.config_options().execution.time_zone;
        match differs {
            true => (Arc::new(session), true),
            false => (Arc::clone(&self.planned), false),
        }
    }

    /// The state of which those of statements are made.
    pub(crate) fn base(&self) -> &SessionState {
        &self.base
    }

    /// A state for the SQL of a source: no tables but those that are registered with it, and one partition, so that rows
    /// stay in their order.
    pub(crate) fn isolated_session(&self, schema: &str) -> SessionState {
        let mut state = self.base.clone();
        let settings = state.config_mut().options_mut();
        settings.execution.target_partitions = 1;
        settings.catalog.information_schema = false;
        CATALOG.clone_into(&mut settings.catalog.default_catalog);
        schema.clone_into(&mut settings.catalog.default_schema);
        let tables: Arc<dyn CatalogProviderList> = Arc::new(MemoryCatalogProviderList::new());
        state.register_catalog_list(tables);
        state.mark_start_execution();
        state
    }

    /// Makes a dataset's slices readable for plans.
    pub(crate) fn register_store(&self, storage: &DatasetStorage) -> Result<()> {
        let url = ObjectStoreUrl::parse(storage.base_url().as_str())?;
        self.runtime()
            .register_object_store(url.as_ref(), Arc::clone(storage.store()));
        Ok(())
    }

    /// The functions that statements may call on each row, in no order.
    pub(crate) fn functions(&self) -> impl Iterator<Item = Arc<ScalarUDF>> {
        self.base.scalar_functions().values().map(Arc::clone)
    }

    /// Memory that is used and may be used, in bytes.
    pub(crate) fn memory(&self) -> (usize, usize) {
        (self.runtime().memory_pool.reserved(), self.memory_limit)
    }

    /// Bytes of intermediate results in files.
    pub(crate) fn spilled(&self) -> u64 {
        self.folder.bytes()
    }

    pub(crate) fn runtime(&self) -> &Arc<RuntimeEnv> {
        self.base.runtime_env()
    }
}

/// Decides how joins are made, for statements with so much memory. Either side of a join that is kept is kept whole, so what is
/// left to choose is time.
fn choose_joins(settings: &mut ConfigOptions, cores: usize, memory: usize) {
    // One table for all cores is built by one of them, but then no row of the other side, which is the larger one, has to be sent to
    // the core that has its part of the table.
    let optimizer = &mut settings.optimizer;
    let bytes = &mut optimizer.hash_join_single_partition_threshold;
    *bytes = (*bytes).max(SHARED_BUILD_BYTES / cores);
    let rows = &mut optimizer.hash_join_single_partition_threshold_rows;
    *rows = (*rows).max(SHARED_BUILD_ROWS / cores);
    // Keys that are whole numbers become places in an array, of four bytes for each number from the smallest key to the largest one:
    // where keys are dense, and up to this length where they are not.
    let places = &mut settings.execution.perfect_hash_join_small_build_threshold;
    *places = (*places).max((memory / SHARE_OF_PLACES / size_of::<u32>()).min(MAX_PLACES));
}

/// Some functions read settings when they are made, such as `now()` the time zone.
fn apply_settings(state: &mut SessionState) {
    let settings = state.config_options();
    let functions = state.scalar_functions().values();
    let remade: Vec<_> = functions
        .filter_map(|function| function.inner().with_updated_config(settings))
        .collect();
    for function in remade {
        // It takes the place of the one with its name.
        let _ = state.register_udf(Arc::new(function));
    }
}

/// Rows of a batch: large enough to pay for the work around it, small enough for the cache.
pub(crate) const BATCH_ROWS: usize = 8192;
