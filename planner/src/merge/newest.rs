//! Of rows with the same key, the one that came last.

use std::cmp::Ordering;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use futures::{StreamExt, TryStreamExt, stream};

use crate::Result;
use crate::merge::Batches;
use crate::merge::columns::{keys, order};

/// The row with the largest order of each key. The input is sorted by key, and so is the output.
pub(super) fn per_key(rows: Batches) -> Batches {
    let state = (rows, None::<RecordBatch>, false);
    let newest = stream::try_unfold(state, |(mut rows, mut held, done)| async move {
        if done {
            return Ok(None);
        }
        loop {
            let Some(batch) = rows.try_next().await? else {
                return Ok(held.map(|held| (held, (rows, None, true))));
            };
            if batch.num_rows() == 0 {
                continue;
            }
            // Whether the last key goes on is only known with the next batch.
            let batch = match &held {
                Some(held) => concat_batches(&batch.schema(), [held, &batch])?,
                None => batch,
            };
            let (newest, last) = split(&batch)?;
            held = Some(last);
            if newest.num_rows() > 0 {
                return Ok(Some((newest, (rows, held, false))));
            }
        }
    });
    newest.boxed()
}

/// The same for rows in any order that are in memory.
pub(super) fn sort_per_key(batches: &[RecordBatch]) -> Result<Option<RecordBatch>> {
    let Some(first) = batches.first() else { return Ok(None) };
    let batch = concat_batches(&first.schema(), batches)?;
    let (keys, order) = (keys(&batch)?, order(&batch)?);
    let mut rows: Vec<u32> = (0..batch.num_rows() as u32).collect();
    // The parts are sorted already, which this sort makes use of.
    rows.sort_by(|left, right| {
        let (left, right) = (*left as usize, *right as usize);
        match keys.value(left).cmp(keys.value(right)) {
            Ordering::Equal => order.value(right).cmp(&order.value(left)),
            different => different,
        }
    });
    rows.dedup_by(|next, first| keys.value(*next as usize) == keys.value(*first as usize));
    Ok(Some(take_record_batch(&batch, &UInt32Array::from(rows))?))
}

/// The newest row of each key but the last, and that of the last.
fn split(batch: &RecordBatch) -> Result<(RecordBatch, RecordBatch)> {
    let (keys, order) = (keys(batch)?, order(batch)?);
    let mut newest: Vec<u32> = Vec::with_capacity(batch.num_rows());
    let mut best = 0;
    for row in 1..batch.num_rows() {
        if keys.value(row) != keys.value(best) {
            newest.push(best as u32);
            best = row;
        } else if order.value(row) > order.value(best) {
            best = row;
        }
    }
    let all = newest.len() + 1 == batch.num_rows();
    let done = if all {
        batch.slice(0, newest.len())
    } else {
        take_record_batch(batch, &UInt32Array::from(newest))?
    };
    Ok((done, batch.slice(best, 1)))
}
