//! Points in the past of a dataset.

use std::pin::pin;

use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, ident, lit};
use futures::TryStreamExt;
use jetway_odf::chain::{Vocabulary, walk_back};
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::Multihash;
use jetway_odf::metadata::{DataSlice, MetadataEvent};

use arrow::datatypes::{DataType, TimeUnit};

use crate::{Error, ErrorKind, PinnedDataset, Result};

/// How a statement names a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    /// What had been committed by then.
    SystemTime(DateTime<Utc>),
    /// Rows up to and with this one.
    Offset(u64),
    /// The dataset when this was its newest block.
    Block(Multihash),
}

/// Which rows were there at a point.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    SystemTime(DateTime<Utc>),
    Offset(u64),
    Nothing,
}

impl Point {
    /// Reads a constant: text is a block hash or a time, a whole number is an offset.
    pub(super) fn new(expr: &Expr) -> Option<Self> {
        let value = expr.as_literal()?;
        if let Some(text) = value.try_as_str() {
            if let Ok(hash) = text?.parse() {
                return Some(Self::Block(hash));
            }
        } else if value.data_type().is_integer() {
            return match value.cast_to(&DataType::UInt64).ok()? {
                ScalarValue::UInt64(offset) => offset.map(Self::Offset),
                _ => None,
            };
        } else if !value.data_type().is_temporal() {
            return None;
        }
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        match value.cast_to(&utc).ok()? {
            ScalarValue::TimestampMicrosecond(Some(micros), _) => {
                DateTime::from_timestamp_micros(micros).map(Self::SystemTime)
            }
            _ => None,
        }
    }

    /// Which rows it means, when the dataset is read at its pinned head.
    pub(crate) async fn bound(self, dataset: &PinnedDataset) -> Result<Bound> {
        match self {
            Self::SystemTime(time) => Ok(Bound::SystemTime(time)),
            Self::Offset(offset) => Ok(Bound::Offset(offset)),
            Self::Block(hash) => {
                let last = last_offset(dataset, hash).await?;
                Ok(last.map_or(Bound::Nothing, Bound::Offset))
            }
        }
    }
}

/// Offset of the last row when a block was the newest one. The block must be part of the chain: blocks that lie beside it are
/// of histories that were rewritten, or of commits that lost.
async fn last_offset(dataset: &PinnedDataset, hash: Multihash) -> Result<Option<u64>> {
    let mut blocks = pin!(walk_back(&dataset.storage, dataset.head, None));
    let mut found = false;
    while let Some(block) = blocks.try_next().await? {
        found |= block.hash == hash;
        if let (true, Some(offset)) = (found, offset_after(&block)) {
            return Ok(offset);
        }
    }
    if found {
        return Ok(None);
    }
    Err(
        Error::new(ErrorKind::NotFound, "the dataset has no such block in its history")
            .with_context("dataset", dataset.alias.to_string())
            .with_context("block", hash.to_string()),
    )
}

/// Offset of the last row after a block, if the block says something about rows.
fn offset_after(block: &EncodedBlock) -> Option<Option<u64>> {
    let last = |new: &Option<DataSlice>, previous| {
        let new = new.as_ref().map(|slice| slice.offset_interval.end);
        Some(new.or(previous))
    };
    match &block.block.event {
        MetadataEvent::AddData(event) => last(&event.new_data, event.prev_offset),
        MetadataEvent::ExecuteTransform(event) => last(&event.new_data, event.prev_offset),
        _ => None,
    }
}

impl Bound {
    /// True for the rows that were there.
    pub(super) fn filter(self, vocabulary: &Vocabulary) -> Expr {
        match self {
            Self::SystemTime(time) => {
                let time = ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), Some("UTC".into()));
                ident(&vocabulary.system_time).lt_eq(Expr::Literal(time, None))
            }
            Self::Offset(offset) => ident(&vocabulary.offset).lt_eq(lit(i64::try_from(offset).unwrap_or(i64::MAX))),
            Self::Nothing => lit(false),
        }
    }
}
