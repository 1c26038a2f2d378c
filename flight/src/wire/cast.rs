//! Arrays from one encoding to another, at any depth and without touching what is not seen through a slice.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericByteViewArray, GenericListArray, MapArray, OffsetSizeTrait,
    StructArray, UInt64Array, UnionArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{ByteViewType, DataType, FieldRef, Fields, Int16Type, Int32Type, Int64Type, UnionFields};
use arrow::error::ArrowError;

use super::{any_type, has_hidden_values};

type Result<T> = std::result::Result<T, ArrowError>;

/// The array with another type, as [`super::Shape::data_type`] gives it. Values stay what they are.
pub(crate) fn cast_array(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to && !any_type(to, &has_hidden_values) {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), to) {
        (DataType::Utf8View, DataType::Utf8View) => Ok(compact(array.as_string_view())),
        (DataType::BinaryView, DataType::BinaryView) => Ok(compact(array.as_binary_view())),
        (DataType::Dictionary(_, _), DataType::Dictionary(_, values)) => {
            let dictionary = array.as_any_dictionary();
            Ok(dictionary.with_values(cast_array(dictionary.values(), values)?))
        }
        (DataType::Dictionary(_, _), _) => {
            let dictionary = array.as_any_dictionary();
            cast_array(&take(dictionary.values(), dictionary.keys(), None)?, to)
        }
        (DataType::RunEndEncoded(_, _), _) => cast_array(&expand_runs(array)?, to),
        (DataType::List(_), DataType::List(item)) => cast_list::<i32>(array.as_list(), item),
        (DataType::LargeList(_), DataType::LargeList(item)) => cast_list::<i64>(array.as_list(), item),
        (DataType::ListView(item), DataType::List(_)) => {
            cast_array(&cast_leaf(array, &DataType::List(Arc::clone(item)))?, to)
        }
        (DataType::LargeListView(item), DataType::LargeList(_)) => {
            cast_array(&cast_leaf(array, &DataType::LargeList(Arc::clone(item)))?, to)
        }
        (DataType::FixedSizeList(_, from_size), DataType::FixedSizeList(item, size)) if from_size == size => {
            let list = array.as_fixed_size_list();
            let values = cast_array(list.values(), item.data_type())?;
            Ok(Arc::new(FixedSizeListArray::try_new_with_length(
                Arc::clone(item),
                *size,
                values,
                list.nulls().cloned(),
                list.len(),
            )?))
        }
        (DataType::Map(_, _), DataType::Map(entries, sorted)) => cast_map(array.as_map(), entries, *sorted),
        (DataType::Struct(_), DataType::Struct(fields)) => cast_struct(array.as_struct(), fields),
        (DataType::Union(_, _), DataType::Union(fields, _)) => cast_union(array.as_union(), fields),
        _ => cast_leaf(array, to),
    }
}

/// The same views over no more bytes than they show: all of the bytes would be sent.
fn compact<T: ByteViewType>(views: &GenericByteViewArray<T>) -> ArrayRef {
    let held: usize = views.data_buffers().iter().map(Buffer::len).sum();
    if held > views.total_buffer_bytes_used() {
        Arc::new(views.gc())
    } else {
        Arc::new(views.clone())
    }
}

fn cast_leaf(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, to, &options)
}

/// Each value as often as its run is long.
fn expand_runs(array: &ArrayRef) -> Result<ArrayRef> {
    let logical: Vec<u64> = (0..array.len() as u64).collect();
    let (values, physical) = if let Some(runs) = array.as_run_opt::<Int16Type>() {
        (runs.values(), runs.get_physical_indices(&logical)?)
    } else if let Some(runs) = array.as_run_opt::<Int32Type>() {
        (runs.values(), runs.get_physical_indices(&logical)?)
    } else {
        let runs = array.as_run::<Int64Type>();
        (runs.values(), runs.get_physical_indices(&logical)?)
    };
    take(
        values,
        &UInt64Array::from_iter_values(physical.into_iter().map(|index| index as u64)),
        None,
    )
}

/// The offsets counted from zero, and the values between the first and the last of them.
fn trim<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, values: &ArrayRef) -> (OffsetBuffer<O>, ArrayRef) {
    let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else {
        return (OffsetBuffer::new_empty(), values.slice(0, 0));
    };
    let values = values.slice(first.as_usize(), (last - first).as_usize());
    if first.as_usize() == 0 {
        return (offsets.clone(), values);
    }
    let rebased: ScalarBuffer<O> = offsets.iter().map(|&offset| offset - first).collect();
    (OffsetBuffer::new(rebased), values)
}

fn cast_list<O: OffsetSizeTrait>(list: &GenericListArray<O>, item: &FieldRef) -> Result<ArrayRef> {
    let (offsets, values) = trim(list.offsets(), list.values());
    let values = cast_array(&values, item.data_type())?;
    Ok(Arc::new(GenericListArray::try_new(
        Arc::clone(item),
        offsets,
        values,
        list.nulls().cloned(),
    )?))
}

fn cast_map(map: &MapArray, entries: &FieldRef, sorted: bool) -> Result<ArrayRef> {
    let (offsets, values) = trim(map.offsets(), &(Arc::new(map.entries().clone()) as ArrayRef));
    let values = cast_array(&values, entries.data_type())?;
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(entries),
        offsets,
        values.as_struct().clone(),
        map.nulls().cloned(),
        sorted,
    )?))
}

fn cast_struct(array: &StructArray, fields: &Fields) -> Result<ArrayRef> {
    if array.num_columns() != fields.len() {
        return Err(ArrowError::CastError(format!(
            "{} fields do not fit {}",
            array.num_columns(),
            fields.len()
        )));
    }
    let columns = array
        .columns()
        .iter()
        .zip(fields)
        .map(|(column, field)| cast_array(column, field.data_type()))
        .collect::<Result<Vec<_>>>()?;
    let nulls = array.nulls().cloned();
    Ok(Arc::new(StructArray::try_new_with_length(
        fields.clone(),
        columns,
        nulls,
        array.len(),
    )?))
}

fn cast_union(array: &UnionArray, fields: &UnionFields) -> Result<ArrayRef> {
    let children = fields
        .iter()
        .map(|(id, field)| cast_array(array.child(id), field.data_type()))
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(UnionArray::try_new(
        fields.clone(),
        array.type_ids().clone(),
        array.offsets().cloned(),
        children,
    )?))
}
