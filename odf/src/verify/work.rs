//! Threads for what takes time, and what they have done.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Semaphore;

use crate::error::{Error, ErrorKind, Result};
use crate::storage::DatasetStorage;
use crate::verify::VerifyOptions;
use crate::verify::report::{Checked, Progress};
use crate::verify::walk::Totals;

/// Runs pieces of work, no more at once than there are threads for. When it is dropped, the pieces that run give up.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) storage: DatasetStorage,
    pub(super) options: VerifyOptions,
    threads: usize,
    permits: Semaphore,
    pub(super) gauge: Arc<Gauge>,
}

/// What the pieces have done so far, and whether they should go on.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    is_over: AtomicBool,
    objects: AtomicU64,
    bytes: AtomicU64,
    slices: AtomicU64,
    checkpoints: AtomicU64,
    rows: AtomicU64,
    hashed: AtomicU64,
}

impl Work {
    pub(super) fn new(storage: DatasetStorage, options: VerifyOptions) -> Self {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let threads = options.threads.unwrap_or_else(cores).get().min(Semaphore::MAX_PERMITS);
        Self {
            storage,
            options,
            threads,
            permits: Semaphore::new(threads),
            gauge: Arc::default(),
        }
    }

    /// How many slices and checkpoints are worked on: one more than there are threads, so that none waits for storage.
    pub(super) fn tasks_at_once(&self) -> usize {
        self.threads.saturating_add(1)
    }

    /// Pieces of work in as many groups as there are threads, the neighbours apart: those of one kind often stand together.
    pub(super) fn share<T>(&self, pieces: Vec<T>) -> Vec<Vec<T>> {
        let mut groups = Vec::new();
        groups.resize_with(self.threads.min(pieces.len()), Vec::new);
        let turns = groups.len().max(1);
        for (index, piece) in pieces.into_iter().enumerate() {
            if let Some(group) = groups.get_mut(index % turns) {
                group.push(piece);
            }
        }
        groups
    }

    /// Runs work that takes time on a thread that may block. The inner result is that of the work; what went so wrong in
    /// it that it panicked is an error in it as well.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let failed = |message: &str| Error::new(ErrorKind::Corrupt, message);
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|error| failed("the work was given up").with_source(error))?;
        let finished = tokio::task::spawn_blocking(work).await;
        finished.unwrap_or_else(|error| Err(failed("reading the file failed in an unexpected way").with_source(error)))
    }

    pub(super) fn progress(&self, blocks: u64, totals: Totals) -> Progress {
        let passes = u64::from(self.options.hashes);
        let bytes_total = totals.slice_bytes.saturating_mul(passes + u64::from(self.options.rows));
        let bytes_total = bytes_total.saturating_add(totals.checkpoint_bytes.saturating_mul(passes));
        Progress {
            blocks,
            blocks_total: totals.blocks,
            objects: self.gauge.objects.load(Ordering::Relaxed),
            objects_total: totals.objects,
            bytes: self.gauge.bytes.load(Ordering::Relaxed).min(bytes_total),
            bytes_total,
        }
    }

    pub(super) fn checked(&self, blocks: u64) -> Checked {
        Checked {
            blocks,
            slices: self.gauge.slices.load(Ordering::Relaxed),
            checkpoints: self.gauge.checkpoints.load(Ordering::Relaxed),
            rows: self.gauge.rows.load(Ordering::Relaxed),
            bytes: self.gauge.hashed.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.gauge.is_over.store(true, Ordering::Relaxed);
    }
}

impl Gauge {
    /// Gives up if nobody waits for the outcome anymore.
    pub(super) fn go_on(&self) -> Result<()> {
        if self.is_over.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Io, "the work was given up"));
        }
        Ok(())
    }

    pub(super) fn hashed(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.hashed.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn decoded(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn read_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn finished_slice(&self) {
        self.slices.fetch_add(1, Ordering::Relaxed);
        self.objects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn finished_checkpoint(&self) {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.objects.fetch_add(1, Ordering::Relaxed);
    }
}
