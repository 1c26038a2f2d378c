//! Columns whose values name files of the dataset.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType as ArrowType;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::{TryFutureExt, TryStreamExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::error::{Error, ErrorKind, Result};
use crate::identity::Multihash;
use crate::metadata::{DataField, DataSlice, DataType, SetDataSchema};
use crate::storage::{DatasetStorage, ObjectKind};

/// The attribute of a column that says what its values mean.
const TYPE: &str = "opendatafabric.org/type";

/// Names of columns that have, or had, links in them.
#[derive(Debug, Default)]
pub(super) struct Links {
    columns: BTreeSet<String>,
}

impl Links {
    pub(super) fn add(&mut self, event: &SetDataSchema) {
        let fields = event.schema.iter().flat_map(|schema| &schema.fields);
        let linked = fields.filter(|field| has_links(field));
        self.columns.extend(linked.map(|field| field.name.clone()));
    }

    pub(super) fn is_any(&self) -> bool {
        !self.columns.is_empty()
    }

    /// Shows everything in a slice that may be a link.
    ///
    /// # Errors
    /// `Corrupt` if the slice or a link cannot be understood.
    pub(super) async fn read(
        &self,
        storage: &DatasetStorage,
        slice: &DataSlice,
        mut found: impl FnMut(Multihash),
    ) -> Result<()> {
        let reader = SliceReader {
            storage: storage.clone(),
            hash: slice.physical_hash,
            size: slice.size,
        };
        let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(unreadable)?;
        let names = builder.schema().fields().iter().enumerate();
        let linked = names.filter(|(_, field)| self.columns.contains(field.name()));
        let linked: Vec<usize> = linked.map(|(index, _)| index).collect();
        if linked.is_empty() {
            return Ok(());
        }
        let columns = ProjectionMask::roots(builder.parquet_schema(), linked);
        let mut batches = builder.with_projection(columns).build().map_err(unreadable)?;
        while let Some(batch) = batches.try_next().await.map_err(unreadable)? {
            for column in batch.columns() {
                values(column, true, &mut found)?;
            }
        }
        Ok(())
    }
}

/// Whether a column, or anything in it, is a link.
fn has_links(field: &DataField) -> bool {
    let attributes = field.extra.iter().filter_map(|extra| extra.0.get(TYPE));
    let mut kinds = attributes.filter_map(|value| value.get("kind").unwrap_or(value).as_str());
    kinds.any(|kind| kind.eq_ignore_ascii_case("ObjectLink")) || has_inner_links(&field.r#type)
}

fn has_inner_links(data_type: &DataType) -> bool {
    match data_type {
        DataType::Option { inner } => has_inner_links(inner),
        DataType::List { item_type, .. } => has_inner_links(item_type),
        DataType::Struct { fields } => fields.iter().any(has_links),
        DataType::Map {
            key_type, value_type, ..
        } => has_inner_links(key_type) || has_inner_links(value_type),
        _ => false,
    }
}

/// All text and bytes in a column, as hashes. `is_link` says that every value must be one: one that is not means that the
/// column is not understood. Members of structs beside a link may be anything.
fn values(array: &ArrayRef, is_link: bool, found: &mut impl FnMut(Multihash)) -> Result<()> {
    let mut take = |parsed: Result<Multihash>| match parsed {
        Ok(hash) => {
            found(hash);
            Ok(())
        }
        Err(error) if is_link => Err(error),
        Err(_) => Ok(()),
    };
    match array.data_type() {
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => {
            let text = cast(array, &ArrowType::LargeUtf8).map_err(unreadable)?;
            let mut texts = text.as_string::<i64>().iter().flatten();
            texts.try_for_each(|text| take(text.parse()))
        }
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
            let bytes = cast(array, &ArrowType::LargeBinary).map_err(unreadable)?;
            let mut values = bytes.as_binary::<i64>().iter().flatten();
            values.try_for_each(|bytes| take(Multihash::from_bytes(bytes)))
        }
        ArrowType::Struct(_) => {
            let mut members = array.as_struct().columns().iter();
            members.try_for_each(|member| values(member, false, found))
        }
        ArrowType::Map(..) => {
            let mut members = array.as_map().entries().columns().iter();
            members.try_for_each(|member| values(member, false, found))
        }
        ArrowType::List(_) => values(array.as_list::<i32>().values(), is_link, found),
        ArrowType::LargeList(_) => values(array.as_list::<i64>().values(), is_link, found),
        ArrowType::FixedSizeList(..) => values(array.as_fixed_size_list().values(), is_link, found),
        _ => Ok(()),
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Corrupt, "a slice cannot be read").with_source(error)
}

/// Reads the parts of a slice that are asked for.
struct SliceReader {
    storage: DatasetStorage,
    hash: Multihash,
    size: u64,
}

impl AsyncFileReader for SliceReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let read = self.storage.read_object_range(ObjectKind::Data, &self.hash, range);
        read.map_err(|error| ParquetError::External(Box::new(error))).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let size = self.size;
        let read = ParquetMetaDataReader::new().load_and_finish(self, size);
        read.map_ok(Arc::new).boxed()
    }
}
