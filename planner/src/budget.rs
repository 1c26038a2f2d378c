//! What one statement may use of the memory and disk that all statements share, and what it does use.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::DataFusionError;
use datafusion::execution::disk_manager::{DiskManager, DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;

use crate::Result;
use crate::progress::Scans;

/// What a statement may use.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// Memory in bytes; beyond it a statement spills or fails.
    pub(crate) memory: usize,
    /// Bytes in files at any one moment.
    pub(crate) spill: u64,
    /// Where those files are.
    pub(crate) spill_dir: Option<PathBuf>,
}

/// What the runs of a statement use and have used. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Usage(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    memory: AtomicUsize,
    peak: AtomicUsize,
    spilled: AtomicU64,
    disks: Mutex<Vec<Arc<DiskManager>>>,
    scans: Scans,
}

impl Usage {
    /// How much of the rows of its tables it has read, from 0 to 1 and never less than it was before; none while it is not known
    /// how many rows there are.
    pub fn read(&self) -> Option<f64> {
        self.0.scans.read()
    }

    /// Follows what a run reads.
    pub(crate) fn follow(&self, plan: &Arc<dyn ExecutionPlan>) {
        self.0.scans.follow(plan);
    }

    /// Bytes of memory now.
    pub fn memory(&self) -> usize {
        self.0.memory.load(Ordering::Relaxed)
    }

    /// Most bytes of memory at any moment.
    pub fn peak_memory(&self) -> usize {
        self.0.peak.load(Ordering::Relaxed)
    }

    /// Most bytes that were seen in files at one moment.
    pub fn spilled(&self) -> u64 {
        let disks = self.0.disks.lock().unwrap_or_else(PoisonError::into_inner);
        let now = disks.iter().map(|disk| disk.used_disk_space()).sum();
        self.0.spilled.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Forgets the files, which are gone when nothing runs any more.
    pub fn ended(&self) {
        self.spilled();
        self.0.disks.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.scans.forget();
    }

    fn grew(&self, bytes: usize) {
        let now = self.0.memory.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.0.peak.fetch_max(now, Ordering::Relaxed);
    }

    fn shrank(&self, bytes: usize) {
        self.0.memory.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Budget {
    /// The environment of one run: the shared one, but with a share of its memory and with files of its own.
    pub(crate) fn runtime(&self, shared: &RuntimeEnv, usage: &Usage) -> Result<Arc<RuntimeEnv>> {
        let mode = match &self.spill_dir {
            Some(folder) => DiskManagerMode::Directories(vec![folder.clone()]),
            None => DiskManagerMode::OsTmpDirectory,
        };
        let disk = DiskManagerBuilder::default()
            .with_mode(mode)
            .with_max_temp_directory_size(self.spill)
            .build()?;
        let mut runtime = shared.clone();
        runtime.disk_manager = Arc::new(disk);
        runtime.memory_pool = Arc::new(StatementPool {
            own: FairSpillPool::new(self.memory),
            shared: Arc::clone(&shared.memory_pool),
            usage: usage.clone(),
        });
        let mut disks = usage.0.disks.lock().unwrap_or_else(PoisonError::into_inner);
        disks.push(Arc::clone(&runtime.disk_manager));
        Ok(Arc::new(runtime))
    }
}

/// A share of the memory of all statements. What is asked for must fit into both.
#[derive(Debug)]
struct StatementPool {
    own: FairSpillPool,
    shared: Arc<dyn MemoryPool>,
    usage: Usage,
}

impl MemoryPool for StatementPool {
    fn name(&self) -> &'static str {
        "statement"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.shared.grow(reservation, additional);
        self.usage.grew(additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.shared.shrink(reservation, shrink);
        self.usage.shrank(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<(), DataFusionError> {
        self.own.try_grow(reservation, additional)?;
        if let Err(error) = self.shared.try_grow(reservation, additional) {
            self.own.shrink(reservation, additional);
            return Err(error);
        }
        self.usage.grew(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.usage.memory()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

impl fmt::Display for StatementPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement({} of {})", self.usage.memory(), self.own)
    }
}
