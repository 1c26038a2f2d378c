//! How far the runs of a statement have read their tables.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::stats::Precision;
use datafusion::physical_plan::{ExecutionPlan, StatisticsArgs, StatisticsContext};

/// What a fraction of one is counted in.
const WHOLE: u64 = 1_000_000;

/// A leaf of a plan that runs, and how many rows it has.
type Leaf = (Arc<dyn ExecutionPlan>, u64);

/// The leaves of the plans that run.
#[derive(Debug, Default)]
pub(crate) struct Scans {
    /// None for those of which nobody knows how many rows they have. They are not kept: the rows of a recursive query, for one,
    /// wait in such a leaf.
    leaves: Mutex<Vec<Option<Leaf>>>,
    /// The most that was told.
    told: AtomicU64,
}

impl Scans {
    pub(crate) fn follow(&self, plan: &Arc<dyn ExecutionPlan>) {
        let children = plan.children();
        if children.is_empty() {
            let known = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
            let rows = match known.map(|known| known.num_rows) {
                Ok(Precision::Exact(rows) | Precision::Inexact(rows)) => u64::try_from(rows).ok(),
                _ => None,
            };
            let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
            leaves.push(rows.map(|rows| (Arc::clone(plan), rows)));
        }
        for child in children {
            self.follow(child);
        }
    }

    /// How much was read, from 0 to 1.
    pub(crate) fn read(&self) -> Option<f64> {
        let (mut all, mut read) = (0_u64, 0_u64);
        {
            let leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
            for leaf in leaves.iter() {
                let (leaf, rows) = leaf.as_ref()?;
                let done = leaf.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or(0);
                all = all.saturating_add(*rows);
                read = read.saturating_add((done as u64).min(*rows));
            }
        }
        let now = u128::from(read) * u128::from(WHOLE) / u128::from(all.max(1));
        let now = u64::try_from(now).unwrap_or(WHOLE);
        let told = self.told.fetch_max(now, Ordering::Relaxed).max(now);
        (all > 0 || told > 0).then_some(told as f64 / WHOLE as f64)
    }

    /// Lets the plans go; what was told stays.
    pub(crate) fn forget(&self) {
        self.read();
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
