//! How a dataset is copied, and how far a copy is.

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::identity::DatasetAlias;
use crate::transfer::outcome::CopyStats;
use crate::transfer::retry::RetryPolicy;

/// How a dataset is copied.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// Moves the target's head to the source's also if the target has blocks that the source does not have, which are
    /// then no longer part of its chain. A target that is another dataset is refused in any case.
    pub force: bool,
    /// Checks the rules of the chain before anything becomes visible. Hashes are checked in any case.
    pub validate: bool,
    /// The name for people of a dataset that is made in a repository.
    pub alias: Option<DatasetAlias>,
    /// How many objects are copied at the same time, at least one.
    pub parallel: usize,
    /// What is done about failures that may pass.
    pub retry: RetryPolicy,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            force: false,
            validate: true,
            alias: None,
            parallel: 8,
            retry: RetryPolicy::default(),
        }
    }
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blocks that were read from the source.
    pub blocks: u64,
    /// How many there will be.
    pub blocks_total: u64,
    /// Objects that are in the target.
    pub objects: u64,
    /// How many there will be; known once all blocks are read.
    pub objects_total: u64,
    /// Bytes of objects that are in the target or on their way.
    pub bytes: u64,
    /// How many there will be; known once all blocks are read.
    pub bytes_total: u64,
}

/// Counts, and tells whoever wants to know.
pub(super) struct Meter<'a> {
    counts: Mutex<(Progress, CopyStats)>,
    tell: &'a (dyn Fn(Progress) + Send + Sync),
}

impl<'a> Meter<'a> {
    pub(super) fn new(tell: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        Self {
            counts: Mutex::default(),
            tell,
        }
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Progress, &mut CopyStats)) {
        let progress = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let (progress, stats) = &mut *counts;
            change(progress, stats);
            *progress
        };
        (self.tell)(progress);
    }

    /// Begins anew; what was moved so far still counts.
    pub(super) fn restart(&self) {
        self.update(|progress, stats| {
            *progress = Progress::default();
            stats.objects_skipped = 0;
        });
    }

    pub(super) fn stats(&self) -> CopyStats {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}
