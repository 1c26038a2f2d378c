//! Pseudo-random arrays of any type that can be hashed.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, GenericBinaryArray, GenericListArray, LargeBinaryArray,
    OffsetSizeTrait, RecordBatch, StructArray, make_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Schema};

/// A batch of the schema. About `nulls` of eight values are null, at every level; values under nulls are arbitrary.
pub(super) fn batch(schema: &Schema, rows: usize, seed: u64, nulls: u32) -> RecordBatch {
    let mut random = Random { state: seed, nulls };
    let columns = schema
        .fields()
        .iter()
        .map(|field| array(field.data_type(), rows, &mut random))
        .collect();
    RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap()
}

struct Random {
    state: u64,
    nulls: u32,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.state >> 16
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    fn mask(&mut self, rows: usize) -> Option<NullBuffer> {
        (self.nulls > 0).then(|| (0..rows).map(|_| self.next() % 8 >= u64::from(self.nulls)).collect())
    }

    fn offsets<O: OffsetSizeTrait>(&mut self, rows: usize, max: u64) -> OffsetBuffer<O> {
        OffsetBuffer::from_lengths((0..rows).map(|_| (self.next() % (max + 1)) as usize))
    }
}

fn array(data_type: &DataType, rows: usize, random: &mut Random) -> ArrayRef {
    match data_type {
        DataType::Boolean => {
            let values = (0..rows).map(|_| random.next().is_multiple_of(2)).collect::<Vec<_>>();
            Arc::new(BooleanArray::new(values.into(), random.mask(rows)))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let offsets = random.offsets::<i32>(rows, 20);
            let text = random
                .bytes(offsets[rows] as usize)
                .into_iter()
                .map(|byte| b'a' + byte % 26)
                .collect::<Vec<_>>();
            let binary = GenericBinaryArray::new(offsets, Buffer::from(text), random.mask(rows));
            cast(&cast(&binary, &DataType::Utf8).unwrap(), data_type).unwrap()
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let offsets = random.offsets::<i64>(rows, 20);
            let bytes = random.bytes(offsets[rows] as usize);
            cast(
                &LargeBinaryArray::new(offsets, Buffer::from(bytes), random.mask(rows)),
                data_type,
            )
            .unwrap()
        }
        DataType::List(item) => list::<i32>(item, rows, random),
        DataType::LargeList(item) => list::<i64>(item, rows, random),
        DataType::FixedSizeList(item, length) => {
            let items = array(item.data_type(), rows * *length as usize, random);
            let mask = random.mask(rows);
            Arc::new(FixedSizeListArray::try_new_with_length(Arc::clone(item), *length, items, mask, rows).unwrap())
        }
        DataType::Struct(fields) => {
            let columns = fields
                .iter()
                .map(|field| array(field.data_type(), rows, random))
                .collect();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, random.mask(rows), rows).unwrap())
        }
        fixed => {
            let width = match fixed {
                DataType::FixedSizeBinary(width) => *width as usize,
                primitive => primitive.primitive_width().unwrap(),
            };
            let buffer = Buffer::from(random.bytes(rows * width));
            let data = arrow::array::ArrayData::builder(fixed.clone())
                .len(rows)
                .add_buffer(buffer)
                .nulls(random.mask(rows));
            make_array(data.align_buffers(true).build().unwrap())
        }
    }
}

fn list<O: OffsetSizeTrait>(item: &FieldRef, rows: usize, random: &mut Random) -> ArrayRef {
    let offsets = random.offsets::<O>(rows, 4);
    let items = array(item.data_type(), offsets[rows].as_usize(), random);
    Arc::new(GenericListArray::try_new(Arc::clone(item), offsets, items, random.mask(rows)).unwrap())
}
