//! What one statement may use of the memory and disk that all statements share, and what it does use.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::ExecutionPlan;

use crate::Result;
use crate::progress::Scans;
use crate::spill::SpillFolder;

#[cfg(test)]
mod tests;

/// What a statement may use.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// Memory in bytes; beyond it a statement spills or fails.
    pub(crate) memory: usize,
    /// Bytes in files at any one moment.
    pub(crate) spill: u64,
    /// Where those files are.
    pub(crate) folder: SpillFolder,
}

/// What the runs of a statement use and have used. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Usage(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    memory: AtomicUsize,
    peak: AtomicUsize,
    disk: AtomicU64,
    spilled: AtomicU64,
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

    /// Most bytes in files at any moment.
    pub fn spilled(&self) -> u64 {
        self.0.spilled.load(Ordering::Relaxed)
    }

    /// Forgets the scans, which nobody asks for when nothing runs any more.
    pub fn ended(&self) {
        self.0.scans.forget();
    }

    /// Bytes in files now.
    pub(crate) fn spilled_now(&self) -> u64 {
        self.0.disk.load(Ordering::Relaxed)
    }

    pub(crate) fn wrote(&self, bytes: u64) {
        let now = self.0.disk.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.0.spilled.fetch_max(now, Ordering::Relaxed);
    }

    pub(crate) fn removed(&self, bytes: u64) {
        self.0.disk.fetch_sub(bytes, Ordering::Relaxed);
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
    /// The environment of one run: the shared one, but with a share of its memory and of its disk.
    pub(crate) fn runtime(&self, shared: &RuntimeEnv, usage: &Usage) -> Result<Arc<RuntimeEnv>> {
        let mut runtime = shared.clone();
        runtime.disk_manager = Arc::new(self.folder.share(self.spill, usage).build()?);
        runtime.memory_pool = Arc::new(StatementPool {
            own: FairSpillPool::new(self.memory),
            shared: Arc::clone(&shared.memory_pool),
            usage: usage.clone(),
        });
        Ok(Arc::new(runtime))
    }

    /// How much each of so many sorts that run at once sets aside for merging what it spilled, in bytes. DataFusion's own amount
    /// is for large memories: in a small one nothing would be left to sort in.
    pub(crate) fn merge_reserve(&self, sorts: usize) -> usize {
        const MOST: usize = 10 * 1024 * 1024;
        (self.memory / (8 * sorts.max(1))).min(MOST)
    }

    /// Rows of a batch that leave room for several batches in a small memory.
    pub(crate) fn batch_rows(&self, most: usize) -> usize {
        const LEAST: usize = 1024;
        const BYTES_PER_ROW: usize = 8 * 1024;
        (self.memory / BYTES_PER_ROW).clamp(LEAST.min(most), most)
    }
}

/// What the message of an error begins with if it is others who have the memory.
pub(crate) const OTHERS: &str = "all statements together use the memory of the node";

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
            return Err(match error {
                DataFusionError::ResourcesExhausted(why) => {
                    DataFusionError::ResourcesExhausted(format!("{OTHERS}: {why}"))
                }
                other => other,
            });
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
