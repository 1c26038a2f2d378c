//! What has to be written so that the state of a dataset becomes the one that came in.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch};
use arrow::compute::interleave;
use arrow::datatypes::Int32Type;
use arrow::row::{RowConverter, Rows, SortField};
use futures::{StreamExt, TryStreamExt, stream};

use crate::Result;
use crate::merge::Batches;
use crate::merge::columns::{APPEND, CORRECT_FROM, CORRECT_TO, Columns, OPERATION, RETRACT, VALUES, keys, lost};
use crate::merge::index::OpenIndex;

/// Compares rows that came in with the state; both are sorted by key and have each key once.
#[derive(Debug)]
pub(super) struct Difference {
    columns: Arc<Columns>,
    values: RowConverter,
    event_time: RowConverter,
    /// Whether keys that did not come in are retracted.
    is_whole: bool,
}

impl Difference {
    /// The rows are the whole new state.
    pub(super) fn of_snapshot(columns: &Arc<Columns>, rows: Batches, state: Batches) -> Result<Batches> {
        Ok(Self::new(columns, true)?.walk(rows, state))
    }

    /// The rows say for their own keys what the new state is; without an index there is no old one.
    pub(super) fn of_upserts(columns: &Arc<Columns>, rows: Batches, index: Option<OpenIndex>) -> Result<Batches> {
        let state = (Self::new(columns, false)?, rows, index);
        let events = stream::try_unfold(state, |(difference, mut rows, mut index)| async move {
            let Some(batch) = rows.try_next().await? else {
                return Ok(None);
            };
            let state = match &mut index {
                Some(index) => index.find(keys(&batch)?).await?.live_rows()?,
                None => None,
            };
            let mut new = Side::new(&difference, batch)?;
            let mut old = state.map(|state| Side::new(&difference, state)).transpose()?;
            let events = difference.step(Some(&mut new), old.as_mut(), [true, true])?;
            Ok(Some((events, (difference, rows, index))))
        });
        Ok(not_empty(events.boxed()))
    }

    fn new(columns: &Arc<Columns>, is_whole: bool) -> Result<Self> {
        let field = |index: usize| {
            let field = columns.values().get(index).ok_or_else(lost)?;
            Ok(SortField::new(field.data_type().clone()))
        };
        let compared = columns.compared().iter().map(|index| field(*index));
        Ok(Self {
            values: RowConverter::new(compared.collect::<Result<_>>()?)?,
            event_time: RowConverter::new(vec![field(0)?])?,
            columns: Arc::clone(columns),
            is_whole,
        })
    }

    /// Walks along both sides.
    fn walk(self, rows: Batches, state: Batches) -> Batches {
        let walk = Walk {
            difference: self,
            new: Input::new(rows),
            old: Input::new(state),
        };
        let events = stream::try_unfold(walk, |mut walk| async move {
            walk.new.fill(&walk.difference).await?;
            walk.old.fill(&walk.difference).await?;
            if walk.new.side.is_none() && walk.old.side.is_none() {
                return Ok(None);
            }
            let ended = [walk.new.side.is_none(), walk.old.side.is_none()];
            let events = walk
                .difference
                .step(walk.new.side.as_mut(), walk.old.side.as_mut(), ended)?;
            Ok(Some((events, walk)))
        });
        not_empty(events.boxed())
    }

    /// Goes on until one side needs its next batch, or nothing is left of either.
    fn step(&self, mut new: Option<&mut Side>, mut old: Option<&mut Side>, ended: [bool; 2]) -> Result<RecordBatch> {
        let mut operations: Vec<i32> = Vec::new();
        let mut picks: Vec<(usize, usize)> = Vec::new();
        loop {
            let left = new.as_deref().and_then(Side::current);
            let right = old.as_deref().and_then(Side::current);
            let order = match (&left, &right) {
                (Some((_, left)), Some((_, right))) => left.cmp(right),
                (Some(_), None) if ended[1] => Ordering::Less,
                (None, Some(_)) if ended[0] => Ordering::Greater,
                _ => break,
            };
            let retracts = |row: usize| new.as_deref().is_some_and(|side| side.retracts(row));
            match (order, left, right) {
                (Ordering::Less, Some((row, _)), _) if !retracts(row) => {
                    operations.push(APPEND);
                    picks.push((NEW, row));
                }
                (Ordering::Greater, _, Some((row, _))) if self.is_whole => {
                    operations.push(RETRACT);
                    picks.push((OLD, row));
                }
                (Ordering::Equal, Some((row, _)), Some((before, _))) => {
                    if retracts(row) {
                        operations.push(RETRACT);
                        picks.push((OLD, before));
                    } else if let (Some(new), Some(old)) = (new.as_deref(), old.as_deref())
                        && self.differs(new, row, old, before)
                    {
                        operations.extend([CORRECT_FROM, CORRECT_TO]);
                        picks.extend([(OLD, before), (NEW, row)]);
                    }
                }
                _ => {}
            }
            if order.is_le()
                && let Some(side) = new.as_deref_mut()
            {
                side.at += 1;
            }
            if order.is_ge()
                && let Some(side) = old.as_deref_mut()
            {
                side.at += 1;
            }
        }
        self.take(new.as_deref(), old.as_deref(), operations, &picks)
    }

    /// Whether a value that counts is another one. An event time that was not given says nothing.
    fn differs(&self, new: &Side, row: usize, old: &Side, before: usize) -> bool {
        if let (Some(new), Some(old)) = (&new.compared, &old.compared)
            && new.row(row) != old.row(before)
        {
            return true;
        }
        self.columns.compares_event_time()
            && new.event_time.is_valid(row)
            && new.event_times.row(row) != old.event_times.row(before)
    }

    fn take(
        &self,
        new: Option<&Side>,
        old: Option<&Side>,
        operations: Vec<i32>,
        picks: &[(usize, usize)],
    ) -> Result<RecordBatch> {
        let schema = self.columns.output();
        if picks.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(schema)));
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(operations))];
        for (index, field) in self.columns.values().iter().enumerate() {
            let none: ArrayRef = arrow::array::new_empty_array(field.data_type());
            let column = |side: Option<&Side>| {
                let column = side.and_then(|side| side.batch.columns().get(VALUES + index));
                column.map_or_else(|| Arc::clone(&none), Arc::clone)
            };
            let (new, old) = (column(new), column(old));
            columns.push(interleave(&[new.as_ref(), old.as_ref()], picks)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

const NEW: usize = 0;
const OLD: usize = 1;

/// Two inputs and how far they are.
struct Walk {
    difference: Difference,
    new: Input,
    old: Input,
}

struct Input {
    rows: Batches,
    side: Option<Side>,
}

impl Input {
    fn new(rows: Batches) -> Self {
        Self { rows, side: None }
    }

    /// Gets the next batch when the current one is used up; afterwards none means the end.
    async fn fill(&mut self, difference: &Difference) -> Result<()> {
        while self.side.as_ref().is_none_or(|side| side.current().is_none()) {
            self.side = match self.rows.try_next().await? {
                Some(batch) => Some(Side::new(difference, batch)?),
                None => {
                    self.side = None;
                    return Ok(());
                }
            };
        }
        Ok(())
    }
}

/// A batch of one side, ready for comparing.
struct Side {
    batch: RecordBatch,
    keys: arrow::array::BinaryArray,
    event_time: ArrayRef,
    event_times: Rows,
    compared: Option<Rows>,
    at: usize,
}

impl Side {
    fn new(difference: &Difference, batch: RecordBatch) -> Result<Self> {
        let value = |index: usize| batch.columns().get(VALUES + index).map(Arc::clone).ok_or_else(lost);
        let compared = difference.columns.compared().iter().map(|index| value(*index));
        let compared = compared.collect::<Result<Vec<_>>>()?;
        let compared = match compared.is_empty() {
            true => None,
            false => Some(difference.values.convert_columns(&compared)?),
        };
        let event_time = value(0)?;
        Ok(Self {
            keys: keys(&batch)?.clone(),
            event_times: difference
                .event_time
                .convert_columns(std::slice::from_ref(&event_time))?,
            event_time,
            compared,
            batch,
            at: 0,
        })
    }

    fn current(&self) -> Option<(usize, &[u8])> {
        (self.at < self.keys.len()).then(|| (self.at, self.keys.value(self.at)))
    }

    fn retracts(&self, row: usize) -> bool {
        let operations = self.batch.columns().get(OPERATION);
        let operations = operations.and_then(|column| column.as_primitive_opt::<Int32Type>());
        operations.is_some_and(|operations| operations.value(row) == RETRACT)
    }
}

fn not_empty(events: Batches) -> Batches {
    events
        .try_filter(|batch| std::future::ready(batch.num_rows() > 0))
        .boxed()
}
