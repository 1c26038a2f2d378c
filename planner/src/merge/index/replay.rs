//! From slices to entries.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use arrow::row::{RowConverter, SortField};
use datafusion::physical_plan::execute_stream;
use futures::{StreamExt, TryStreamExt, stream};

use crate::merge::columns::{RETRACT, encode_keys, lost};
use crate::merge::index::layout::{Content, Layout};
use crate::merge::index::persist::Newer;
use crate::merge::index::version::Version;
use crate::merge::index::{StateIndex, count_read, persist};
use crate::merge::{Batches, newest, sort};
use crate::summary::SliceEntry;
use crate::table::DatasetFiles;
use crate::{Error, ErrorKind, Result};

/// By how much slices are at least packed, as one expects before reading them.
const PACKED: u64 = 4;

impl StateIndex {
    /// The state at the pinned head, from an earlier one and the slices that were added since.
    pub(super) async fn replay(&self, base: &Version) -> Result<Version> {
        let slices = self.summary.slices.since(base.next_offset);
        let rows: u64 = slices.iter().map(SliceEntry::rows).sum();
        let mut version = Version {
            head: self.dataset.head,
            sequence_number: self.summary.state.sequence_number(),
            next_offset: self.summary.state.next_offset(),
            ..base.clone()
        };
        if slices.is_empty() {
            return Ok(version);
        }
        let packed: u64 = slices.iter().map(|slice| slice.size).sum();
        count_read(packed);
        let batch_rows = sort::batch_rows(packed, rows);
        let mut entries = self.entries(&slices, batch_rows)?;
        if rows <= self.options.memory_rows && packed <= self.options.memory_bytes / PACKED {
            let mut held: Vec<RecordBatch> = Vec::new();
            let mut bytes = 0;
            while bytes <= self.options.memory_bytes as usize
                && let Some(batch) = entries.try_next().await?
            {
                bytes += batch.get_array_memory_size();
                held.push(batch);
            }
            if bytes <= self.options.memory_bytes as usize {
                if let Some(run) = newest::sort_per_key(&held)? {
                    version.push(run, self.options.ratio)?;
                }
                return Ok(version);
            }
            // They were packed better than one thought.
            entries = stream::iter(held.into_iter().map(Ok)).chain(entries).boxed();
        }
        let context = sort::context(&self.engine, batch_rows);
        let sorted = sort::sort_in(&context, &self.layout.entries, entries, &[0])?;
        let newer = Newer {
            entries: newest::per_key(sorted),
            rows,
            batch_rows,
        };
        match persist::save(self, &version, Some(newer)).await? {
            Some(saved) => {
                version.fresh.clear();
                version.saved = Arc::new(saved);
                Ok(version)
            }
            None => Err(Error::new(
                ErrorKind::Conflict,
                "others have written to the dataset in the meantime; send the rows again",
            )),
        }
    }

    /// What slices say of their keys, in the order of offsets.
    fn entries(&self, slices: &[SliceEntry], batch_rows: usize) -> Result<Batches> {
        self.engine.register_store(&self.dataset.storage)?;
        let reader = Reader::new(&self.layout, &self.summary.schema)?;
        let session = sort::session(&self.engine, batch_rows);
        let table = DatasetFiles::new(self.dataset.clone(), Arc::clone(&self.summary));
        let plan = table.read(&session, &reader.projection, slices)?;
        let batches = sort::own(execute_stream(plan, session.task_ctx())?);
        let layout = Arc::clone(&self.layout);
        Ok(batches.map(move |batch| reader.entries(&layout, &batch?)).boxed())
    }
}

/// Where the columns of entries are among those that are read.
struct Reader {
    projection: Vec<usize>,
    offset: usize,
    operation: Option<usize>,
    /// For each value its place in the projection; none if it is not read or not there.
    values: Vec<Option<usize>>,
    converter: RowConverter,
}

impl Reader {
    fn new(layout: &Layout, schema: &arrow::datatypes::Schema) -> Result<Self> {
        let mut projection = Vec::new();
        let mut place = |name: &str| {
            let index = schema.index_of(name).ok()?;
            projection.push(index);
            Some(projection.len() - 1)
        };
        let offset = place(&layout.vocabulary.offset).ok_or_else(lost)?;
        let operation = place(&layout.vocabulary.operation_type);
        let is_read = |index: usize| layout.content == Content::Rows || layout.key.contains(&index);
        let values = layout.values.iter().enumerate();
        let values = values
            .map(|(index, field)| is_read(index).then(|| place(field.name())).flatten())
            .collect();
        let key = layout.key.iter().filter_map(|index| layout.values.get(*index));
        let key = key.map(|field| SortField::new(field.data_type().clone())).collect();
        Ok(Self {
            offset,
            operation,
            values,
            projection,
            converter: RowConverter::new(key)?,
        })
    }

    fn entries(&self, layout: &Layout, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let column = |index: usize, data_type: &DataType| -> Result<ArrayRef> {
            let column = batch.columns().get(index).ok_or_else(lost)?;
            match column.data_type() == data_type {
                true => Ok(Arc::clone(column)),
                false => Ok(cast(column, data_type)?),
            }
        };
        let dead = match self.operation {
            Some(index) => {
                let operations = column(index, &DataType::Int32)?;
                let operations = operations.as_primitive_opt::<Int32Type>().ok_or_else(lost)?;
                operations
                    .iter()
                    .map(|operation| Some(operation == Some(RETRACT)))
                    .collect()
            }
            None => BooleanArray::from(vec![false; rows]),
        };
        let values = layout
            .values
            .iter()
            .zip(&self.values)
            .map(|(field, place)| match place {
                Some(index) => column(*index, field.data_type()),
                None => Ok(new_null_array(field.data_type(), rows)),
            });
        let values: Vec<ArrayRef> = values.collect::<Result<_>>()?;
        let key = encode_keys(&self.converter, &layout.key, &values, rows)?;
        let lead: [ArrayRef; 3] = [Arc::new(key), column(self.offset, &DataType::Int64)?, Arc::new(dead)];
        let kept = match layout.content {
            Content::Keys => Vec::new(),
            Content::Rows => values,
        };
        Ok(RecordBatch::try_new(
            Arc::clone(&layout.entries),
            lead.into_iter().chain(kept).collect(),
        )?)
    }
}
