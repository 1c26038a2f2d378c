//! Leaves out files by what is known about their rows without opening them: offsets and system time, which the chain says, and
//! the values of columns where a footer was seen.
//!
//! First whole chunks of a thousand slices are left out, then single files of those chunks that are left: what a query that
//! needs few slices costs does not depend on how many there are.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::{Expr, utils::conjunction};
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};

use crate::read_index::{Piece, Pieces};
use crate::statistics::{Bound, ColumnStatistics, FileStatistics, Kind, KnownStatistics};
use crate::summary::{DatasetSummary, SLICES_PER_CHUNK, SliceEntry};
use crate::table::DfResult;

/// Lists of values up to this length are compared with the values that files have.
const MAX_VALUES: usize = 256;

/// What files are left out by.
pub(super) struct Prune<'a> {
    pub(super) summary: &'a DatasetSummary,
    pub(super) pieces: &'a Pieces,
    pub(super) known: &'a KnownStatistics,
    /// The rows of a slice have the system time of its block, or at least none from before the block of the slice before.
    pub(super) times_are_blocks: bool,
}

impl Prune<'_> {
    /// Files that may hold rows for which all filters are true.
    pub(super) fn matching(&self, session: &dyn Session, filters: &[Expr]) -> DfResult<Vec<Piece>> {
        let predicate = match conjunction(filters.iter().cloned()) {
            Some(filter) => self.predicate(session, filter)?,
            None => None,
        };
        // Not every expression says something about minimum and maximum.
        let Some(predicate) = predicate else {
            return Ok(self.pieces.iter().collect());
        };
        let mut kept: Vec<Piece> = Vec::new();
        for range in self.chunks(&predicate)? {
            let before = kept.last().map(Piece::last_offset);
            // A merged file that reaches over from the chunks before was looked at with these.
            let pieces = self.pieces.within(range);
            let pieces: Vec<Piece> = pieces
                .skip_while(|piece| before.is_some_and(|before| piece.first_offset() <= before))
                .collect();
            let keep = predicate.prune(&self.of_pieces(&pieces))?;
            kept.extend(
                pieces
                    .into_iter()
                    .zip(keep)
                    .filter_map(|(piece, keep)| keep.then_some(piece)),
            );
        }
        Ok(kept)
    }

    fn predicate(&self, session: &dyn Session, filter: Expr) -> DfResult<Option<Arc<PruningPredicate>>> {
        let schema = DFSchema::try_from(self.summary.schema.as_ref().clone())?;
        let predicate = session.create_physical_expr(filter, &schema)?;
        let builder = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.summary.schema))
            .with_max_in_list_size(MAX_VALUES);
        Ok(builder.build(predicate))
    }

    /// Ranges of slices in which something may be found; neighbours together.
    fn chunks(&self, predicate: &PruningPredicate) -> DfResult<Vec<Range<usize>>> {
        let slices = self.pieces.slices();
        let mut containers = Vec::with_capacity(slices.chunks().len());
        let mut before = None;
        for chunk in slices.chunks() {
            let (Some(first), Some(last)) = (chunk.slices().first(), chunk.slices().last()) else {
                continue;
            };
            let hashes = || chunk.slices().iter().map(|slice| &slice.physical_hash);
            let columns = chunk.statistics(|| self.known.union(hashes()));
            containers.push(self.container(first, last, before, columns.cloned()));
            before = Some(last.system_time);
        }
        let keep = predicate.prune(&Containers {
            summary: self.summary,
            list: containers,
        })?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let full = keep.iter().enumerate().filter(|(_, keep)| **keep);
        let full = full.map(|(index, _)| index * SLICES_PER_CHUNK..(index + 1) * SLICES_PER_CHUNK);
        for range in full.chain([slices.len() - slices.tail_len()..slices.len()]) {
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        Ok(ranges)
    }

    fn of_pieces(&self, pieces: &[Piece]) -> Containers<'_> {
        let hash = |piece: &Piece| match piece {
            Piece::Slice(slice) => Some(slice.physical_hash),
            Piece::Merged(..) => None,
        };
        let hashes: Vec<_> = pieces.iter().filter_map(hash).collect();
        let mut known = self.known.get(&hashes).into_iter();
        let mut before = pieces.first().and_then(|first| self.time_before(first));
        let containers = pieces.iter().map(|piece| {
            let container = Container {
                first_offset: piece.first_offset(),
                last_offset: piece.last_offset(),
                earliest: piece.first_system_time().or(before.filter(|_| self.times_are_blocks)),
                latest: piece.last_system_time(),
                rows: piece.rows(),
                columns: match piece {
                    Piece::Slice(_) => known.next().flatten(),
                    Piece::Merged(..) => None,
                },
            };
            before = Some(piece.last_system_time());
            container
        });
        Containers {
            summary: self.summary,
            list: containers.collect(),
        }
    }

    fn container(
        &self,
        first: &SliceEntry,
        last: &SliceEntry,
        before: Option<DateTime<Utc>>,
        columns: Option<FileStatistics>,
    ) -> Container {
        Container {
            first_offset: first.first_offset,
            last_offset: last.last_offset,
            earliest: before.or(Some(first.system_time)).filter(|_| self.times_are_blocks),
            latest: last.system_time,
            rows: last.last_offset.saturating_sub(first.first_offset).saturating_add(1),
            columns,
        }
    }

    /// The system time of the slice before a piece, or of its own first one: rows come in the order of their system times.
    fn time_before(&self, piece: &Piece) -> Option<DateTime<Utc>> {
        let slices = self.pieces.slices();
        let place = slices.position(piece.first_offset());
        slices.get(place.saturating_sub(1)).map(|slice| slice.system_time)
    }
}

/// One or several files together.
struct Container {
    first_offset: u64,
    last_offset: u64,
    /// No row has an earlier system time.
    earliest: Option<DateTime<Utc>>,
    /// No row has a later system time.
    latest: DateTime<Utc>,
    rows: u64,
    columns: Option<FileStatistics>,
}

struct Containers<'a> {
    summary: &'a DatasetSummary,
    list: Vec<Container>,
}

/// Which of two bounds.
#[derive(Clone, Copy)]
enum Side {
    Min,
    Max,
}

impl Containers<'_> {
    fn bounds(&self, column: &Column, side: Side) -> Option<ArrayRef> {
        let vocabulary = self.summary.state.vocabulary();
        let data_type = self.summary.schema.field_with_name(&column.name).ok()?.data_type();
        if column.name == vocabulary.offset {
            let offset = |container: &Container| match side {
                Side::Min => container.first_offset,
                Side::Max => container.last_offset,
            };
            let offsets = self.list.iter().map(|container| i64::try_from(offset(container)).ok());
            return cast(&offsets.collect::<Int64Array>(), data_type).ok();
        }
        let kind = Kind::of(data_type)?;
        let is_system_time = column.name == vocabulary.system_time && is_millis(data_type);
        let bounds = self.list.iter().map(|container| {
            let known = container.known(&column.name, kind).and_then(|known| match side {
                Side::Min => known.min,
                Side::Max => known.max,
            });
            let of_chain = || {
                let time = match side {
                    Side::Min => container.earliest,
                    Side::Max => Some(container.latest),
                };
                time.map(|time| Bound::Int(time.timestamp_millis()))
            };
            known.or_else(|| is_system_time.then(of_chain).flatten())
        });
        let bounds: Vec<Option<Bound>> = bounds.collect();
        if bounds.iter().all(Option::is_none) {
            return None;
        }
        ColumnStatistics::array(&bounds, data_type)
    }
}

impl Container {
    fn known(&self, column: &str, kind: Kind) -> Option<ColumnStatistics> {
        let known = self.columns.as_ref()?.column(column)?;
        (known.kind == kind).then_some(known)
    }
}

fn is_millis(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Millisecond, _))
}

impl PruningStatistics for Containers<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Side::Min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Side::Max)
    }

    fn num_containers(&self) -> usize {
        self.list.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let data_type = self.summary.schema.field_with_name(&column.name).ok()?.data_type();
        let kind = Kind::of(data_type)?;
        let nulls = self.list.iter();
        let nulls = nulls.map(|container| container.known(&column.name, kind).and_then(|known| known.nulls));
        Some(Arc::new(nulls.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = self.list.iter().map(|container| Some(container.rows));
        Some(Arc::new(rows.collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
