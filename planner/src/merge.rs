//! How new rows meet the history of a dataset that has a primary key.
//!
//! ```text
//!  rows ─► prepare ─► sort by key ─┬─ ledger ── keys that were never there ───► sort by event time ─┐
//!          (key as    (spills)     ├─ upsert ── look up the keys ─► difference ─────────────────────┼─► events
//!           bytes)                 └─ snapshot ─ scan the state ──► difference ─────────────────────┘
//!                                                      ▲
//!                                   StateIndex: the newest row of each key
//! ```
//!
//! The history itself is never read for that: [`index`] keeps the newest row of each key, sorted, in files beside the
//! dataset, and brings them forward by the slices that are new. The rules are written down for users in
//! `docs/merge-strategies.md`.

mod columns;
mod difference;
mod index;
mod newest;
mod sort;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use jetway_odf::chain::Vocabulary;
use jetway_odf::metadata::MergeStrategy;
use jetway_odf::storage::DatasetStorage;

pub(crate) use crate::merge::columns::{APPEND, CORRECT_TO, RETRACT};
use crate::merge::columns::{Columns, KEY, ORDER};
use crate::merge::difference::Difference;
use crate::merge::index::{Content, Indexes, StateIndex};
use crate::session::Engine;
use crate::summary::DatasetSummary;
use crate::{BatchStream, PinnedDataset, Result};

/// Rows on their way through a merge.
type Batches = BoxStream<'static, Result<RecordBatch>>;

/// Merges rows into datasets. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Merger {
    engine: Engine,
    indexes: Arc<Indexes>,
}

impl Merger {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            indexes: Arc::default(),
        }
    }

    /// With other sizes than the usual ones.
    #[cfg(test)]
    fn with_options(engine: Engine, options: index::Options) -> Self {
        Self {
            engine,
            indexes: Arc::new(Indexes::with_options(options)),
        }
    }

    /// Another one over the same storage that knows nothing yet.
    #[cfg(test)]
    fn reopened(&self) -> Self {
        Self::with_options(self.engine.clone(), self.indexes.options())
    }

    /// The events that `rows` mean for the dataset at its pinned head, in the order in which they get their offsets.
    ///
    /// `rows` has, in this order: the operation column if it was pushed (Int32), the event time if it was pushed (nullable), and
    /// the data columns of `schema`, which is the schema of the dataset's slices with its system columns. The result has the
    /// operation column (Int32, no nulls), the event time (nullable: nulls are filled in later) and the data columns.
    ///
    /// # Errors
    /// `InvalidArgument` if the strategy's columns are not there or the rows break its rules; those of storage and of `rows`.
    /// `Conflict` if somebody committed after the dataset was pinned and the state at the pinned head is not known any more.
    pub(crate) async fn merge(
        &self,
        strategy: &MergeStrategy,
        dataset: &PinnedDataset,
        summary: &Arc<DatasetSummary>,
        schema: &SchemaRef,
        rows: BatchStream,
    ) -> Result<BatchStream> {
        let columns = Arc::new(Columns::new(
            strategy,
            summary.state.vocabulary(),
            schema,
            &rows.schema(),
        )?);
        let rows = prepare(&columns, rows);
        let merged = match strategy {
            MergeStrategy::Append {} => self.in_time(&columns, rows)?,
            MergeStrategy::ChangelogStream { .. } => {
                sort::sort(&self.engine, columns.prepared(), rows, &Columns::KEY_AND_OPERATION)?
            }
            MergeStrategy::Ledger { .. } => match self.index(&columns, dataset, summary, Content::Keys) {
                Some(index) => {
                    let rows = self.by_key(&columns, rows)?;
                    self.in_time(&columns, unseen(index.open().await?, rows))?
                }
                None => self.in_time(&columns, rows)?,
            },
            MergeStrategy::Snapshot { .. } => match self.index(&columns, dataset, summary, Content::Rows) {
                Some(index) => {
                    let rows = newest::per_key(self.by_key(&columns, rows)?);
                    Difference::of_snapshot(&columns, rows, index.open().await?.scan())?
                }
                None => self.by_key(&columns, rows)?,
            },
            MergeStrategy::UpsertStream { .. } => {
                let rows = newest::per_key(self.by_key(&columns, rows)?);
                let index = match self.index(&columns, dataset, summary, Content::Rows) {
                    Some(index) => Some(index.open().await?),
                    None => None,
                };
                Difference::of_upserts(&columns, rows, index)?
            }
        };
        let output = Arc::clone(columns.output());
        let events = merged.map(move |batch| columns.finish(&batch?)).boxed();
        Ok(BatchStream::new(output, self.engine.compute.run_ahead(events)))
    }

    /// Looks whether rows, which are as those of [`Self::merge`], each have another key.
    ///
    /// # Errors
    /// `InvalidArgument` when two have the same one; those of `rows`.
    pub(crate) async fn check_keys(
        &self,
        strategy: &MergeStrategy,
        summary: &DatasetSummary,
        schema: &SchemaRef,
        rows: BatchStream,
    ) -> Result<()> {
        let vocabulary = summary.state.vocabulary();
        let columns = Arc::new(Columns::new(strategy, vocabulary, schema, &rows.schema())?);
        let mut sorted = self.by_key(&columns, prepare(&columns, rows))?;
        let mut last: Option<Vec<u8>> = None;
        while let Some(batch) = sorted.try_next().await? {
            for key in columns::keys(&batch)?.iter().flatten() {
                if last.as_deref() == Some(key) {
                    return Err(columns::invalid(
                        "two rows of parameters change the same row of the dataset, and which one counts cannot be said: send \
                         them one after the other",
                    ));
                }
                last = Some(key.to_vec());
            }
        }
        Ok(())
    }

    /// Forgets and removes all indexes of a dataset. The next merge makes what it needs again from the slices.
    ///
    /// # Errors
    /// Those of storage.
    pub(crate) async fn forget(&self, storage: &DatasetStorage) -> Result<()> {
        self.indexes.drop_all(storage).await
    }

    /// Makes the index that a strategy needs, so that the next merge does not have to.
    ///
    /// # Errors
    /// As [`Self::merge`].
    pub(crate) async fn build(
        &self,
        strategy: &MergeStrategy,
        dataset: &PinnedDataset,
        summary: &Arc<DatasetSummary>,
    ) -> Result<()> {
        let content = match strategy {
            MergeStrategy::Append {} | MergeStrategy::ChangelogStream { .. } => return Ok(()),
            MergeStrategy::Ledger { .. } => Content::Keys,
            MergeStrategy::Snapshot { .. } | MergeStrategy::UpsertStream { .. } => Content::Rows,
        };
        if summary.slices.iter().next().is_none() {
            return Ok(());
        }
        let vocabulary = summary.state.vocabulary();
        let columns = Columns::new(strategy, vocabulary, &summary.schema, &Schema::empty())?;
        if let Some(index) = self.index(&columns, dataset, summary, content) {
            index.open().await?;
        }
        Ok(())
    }

    /// The index over the dataset's history; none if it has no rows yet.
    fn index(
        &self,
        columns: &Columns,
        dataset: &PinnedDataset,
        summary: &Arc<DatasetSummary>,
        content: Content,
    ) -> Option<StateIndex> {
        summary.slices.iter().next()?;
        Some(
            self.indexes
                .get(&self.engine, dataset, summary, columns.layout(content)),
        )
    }

    fn by_key(&self, columns: &Columns, rows: Batches) -> Result<Batches> {
        sort::sort(&self.engine, columns.prepared(), rows, &[KEY, ORDER])
    }

    fn in_time(&self, columns: &Columns, rows: Batches) -> Result<Batches> {
        sort::sort(&self.engine, columns.prepared(), rows, &Columns::TIME_AND_ORDER)
    }
}

/// Whether a dataset of these columns can have a merge strategy.
///
/// # Errors
/// `InvalidArgument` naming the column of the strategy that is not there or cannot be in a key.
pub(crate) fn check_columns(strategy: &MergeStrategy, vocabulary: &Arc<Vocabulary>, schema: &Schema) -> Result<()> {
    Columns::new(strategy, vocabulary, schema, &Schema::empty()).map(drop)
}

/// Gives pushed rows the columns that merges work with, and checks them.
fn prepare(columns: &Arc<Columns>, rows: BatchStream) -> Batches {
    let columns = Arc::clone(columns);
    let pieces = rows
        .map_ok(|batch| stream::iter(sort::small_batches(&batch)))
        .try_flatten();
    let mut count = 0;
    let prepared = pieces.map(move |batch: Result<RecordBatch>| {
        let batch = columns.prepare(&batch?, count)?;
        count += batch.num_rows() as i64;
        Ok(batch)
    });
    prepared.boxed()
}

/// The rows whose keys were never there.
fn unseen(index: index::OpenIndex, rows: Batches) -> Batches {
    let unseen = stream::try_unfold((index, rows), |(mut index, mut rows)| async move {
        let Some(batch) = rows.try_next().await? else {
            return Ok(None);
        };
        let found = index.find(columns::keys(&batch)?).await?;
        let new: BooleanArray = found.hits.iter().map(|hit| Some(hit.is_none())).collect();
        Ok(Some((filter_record_batch(&batch, &new)?, (index, rows))))
    });
    unseen
        .try_filter(|batch| std::future::ready(batch.num_rows() > 0))
        .boxed()
}
