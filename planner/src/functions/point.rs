//! Points in the past of a dataset.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, ident, lit};
use futures::TryStreamExt;
use jetway_odf::chain::{Vocabulary, walk_back};
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::{MetadataEvent, OffsetInterval};

use arrow::datatypes::{DataType, TimeUnit};

use crate::{Error, ErrorKind, PinnedDataset, Result};

/// How many points that were found are remembered.
const MAX_FOUND: usize = 4096;

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
        time(value)
    }

    /// Reads the value of an option: a block hash, an offset in digits, or a time.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(hash) = text.parse() {
            return Some(Self::Block(hash));
        }
        if let Ok(offset) = text.parse() {
            return Some(Self::Offset(offset));
        }
        time(&ScalarValue::from(text))
    }

    /// The newest block of a dataset, pinned at its head, at the point.
    ///
    /// # Errors
    /// `NotFound` when the dataset was not there yet, has no such block in its history, or not so many rows.
    pub(crate) async fn block(self, dataset: &PinnedDataset, moments: &Moments) -> Result<Multihash> {
        let key = (dataset.id, dataset.head, self);
        if let Some(found) = moments.lock().get(&key) {
            return Ok(*found);
        }
        let found = match self {
            Self::SystemTime(time) => at_time(dataset, time).await,
            Self::Offset(offset) => with_row(dataset, offset).await,
            Self::Block(hash) => in_history(dataset, hash).await,
        }
        .map_err(|error| error.with_context("dataset", dataset.alias.to_string()))?;
        let mut known = moments.lock();
        if known.len() >= MAX_FOUND {
            known.clear();
        }
        known.insert(key, found);
        Ok(found)
    }

    /// Whether it is certainly later than another one.
    pub(super) fn is_after(self, other: Self) -> bool {
        match (self, other) {
            (Self::SystemTime(this), Self::SystemTime(other)) => this > other,
            (Self::Offset(this), Self::Offset(other)) => this > other,
            _ => false,
        }
    }
}

fn time(value: &ScalarValue) -> Option<Point> {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    match value.cast_to(&utc).ok()? {
        ScalarValue::TimestampMicrosecond(Some(micros), _) => {
            DateTime::from_timestamp_micros(micros).map(Point::SystemTime)
        }
        _ => None,
    }
}

/// True for the rows that were there by a time.
pub(super) fn by_time(vocabulary: &Vocabulary, time: DateTime<Utc>) -> Expr {
    ident(&vocabulary.system_time).lt_eq(instant(time))
}

/// True for the rows that came after a time.
pub(super) fn after_time(vocabulary: &Vocabulary, time: DateTime<Utc>) -> Expr {
    ident(&vocabulary.system_time).gt(instant(time))
}

/// True for the rows up to an offset.
pub(super) fn up_to(vocabulary: &Vocabulary, offset: u64) -> Expr {
    ident(&vocabulary.offset).lt_eq(number(offset))
}

/// True for the rows behind an offset.
pub(super) fn behind(vocabulary: &Vocabulary, offset: u64) -> Expr {
    ident(&vocabulary.offset).gt(number(offset))
}

fn instant(time: DateTime<Utc>) -> Expr {
    let time = ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), Some("UTC".into()));
    Expr::Literal(time, None)
}

fn number(offset: u64) -> Expr {
    lit(i64::try_from(offset).unwrap_or(i64::MAX))
}

/// The blocks of points that were found by reading chains. All of it can be found again.
#[derive(Debug, Default)]
pub(crate) struct Moments(Mutex<HashMap<(DatasetId, Multihash, Point), Multihash>>);

impl Moments {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(DatasetId, Multihash, Point), Multihash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest block that was there at a time. Rows have the time of their block in whole milliseconds, so that is how blocks
/// compare as well.
async fn at_time(dataset: &PinnedDataset, time: DateTime<Utc>) -> Result<Multihash> {
    let mut blocks = pin!(walk_back(&dataset.storage, dataset.head, None));
    let mut first = None;
    while let Some(block) = blocks.try_next().await? {
        let whole = DateTime::from_timestamp_millis(block.block.system_time.timestamp_millis());
        let written = whole.unwrap_or(block.block.system_time);
        if written <= time {
            return Ok(block.hash);
        }
        first = Some(written);
    }
    Err(Error::new(
        ErrorKind::NotFound,
        "the dataset did not exist yet at that time; choose a later one",
    )
    .with_context("time", time.to_rfc3339())
    .with_context("first block", first.map(|time| time.to_rfc3339()).unwrap_or_default()))
}

/// The block that brought a row.
async fn with_row(dataset: &PinnedDataset, offset: u64) -> Result<Multihash> {
    let mut blocks = pin!(walk_back(&dataset.storage, dataset.head, None));
    let mut last = None;
    while let Some(block) = blocks.try_next().await? {
        let Some(rows) = rows(&block) else { continue };
        last.get_or_insert(rows.end);
        if rows.end < offset {
            break;
        }
        if rows.start <= offset {
            return Ok(block.hash);
        }
    }
    let message = match last {
        Some(last) => format!("the dataset has no row with the offset {offset}: its last one is {last}"),
        None => format!("the dataset has no row with the offset {offset}: it has no rows"),
    };
    Err(Error::new(ErrorKind::NotFound, message))
}

fn rows(block: &EncodedBlock) -> Option<OffsetInterval> {
    let slice = match &block.block.event {
        MetadataEvent::AddData(event) => event.new_data.as_ref(),
        MetadataEvent::ExecuteTransform(event) => event.new_data.as_ref(),
        _ => None,
    };
    slice.map(|slice| slice.offset_interval)
}

/// The block itself if it is part of the chain: blocks that lie beside it are of histories that were rewritten, or of commits
/// that lost.
async fn in_history(dataset: &PinnedDataset, hash: Multihash) -> Result<Multihash> {
    let mut blocks = pin!(walk_back(&dataset.storage, dataset.head, None));
    while let Some(block) = blocks.try_next().await? {
        if block.hash == hash {
            return Ok(hash);
        }
    }
    Err(
        Error::new(ErrorKind::NotFound, "the dataset has no such block in its history")
            .with_context("block", hash.to_string()),
    )
}
