//! Random batches for tests.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// A small random generator: a test case is its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn nulls(&mut self, len: usize) -> Option<NullBuffer> {
        (self.below(2) == 0).then(|| (0..len).map(|_| self.below(4) != 0).collect())
    }

    fn text(&mut self) -> String {
        let len = match self.below(20) {
            0 => self.below(300),
            1..8 => 0,
            _ => self.below(20),
        };
        (0..len).map(|_| ['a', 'ß', '日', '7'][self.below(4)]).collect()
    }

    fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(5) != 0).then(|| make(self))
    }

    fn options<T>(&mut self, len: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<Option<T>> {
        (0..len).map(|_| self.option(&mut make)).collect()
    }

    fn field(&mut self, depth: usize) -> FieldRef {
        Arc::new(
            Field::new("item", self.data_type(depth), true).with_metadata([("k".to_owned(), "v".to_owned())].into()),
        )
    }

    /// A type of any kind that can be on its way to a client.
    pub(crate) fn data_type(&mut self, depth: usize) -> DataType {
        match self.below(if depth == 0 { 17 } else { 25 }) {
            0 => DataType::Null,
            1 => DataType::Boolean,
            2 => DataType::Int8,
            3 => DataType::Int64,
            4 => DataType::UInt64,
            5 => DataType::Float64,
            6 => DataType::Decimal128(38, 3),
            7 => DataType::Date32,
            8 => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            9 => DataType::FixedSizeBinary(3),
            10 => DataType::Utf8,
            11 => DataType::LargeUtf8,
            12 => DataType::Utf8View,
            13 => DataType::Binary,
            14 => DataType::BinaryView,
            15 => DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
            16 => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View)),
            17 => DataType::List(self.field(depth - 1)),
            18 => DataType::LargeList(self.field(depth - 1)),
            19 => DataType::ListView(self.field(depth - 1)),
            20 => DataType::FixedSizeList(self.field(depth - 1), 2),
            21 => DataType::Struct((0..self.below(3)).map(|_| self.field(depth - 1)).collect()),
            22 => {
                let entries = Fields::from(vec![
                    Field::new("keys", DataType::Utf8, false),
                    Field::new("values", self.data_type(depth - 1), true),
                ]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
            }
            23 => DataType::RunEndEncoded(
                Arc::new(Field::new("run_ends", DataType::Int32, false)),
                Arc::new(Field::new("values", self.data_type(0), true)),
            ),
            _ => DataType::Dictionary(
                Box::new(DataType::Int32),
                Box::new(DataType::Struct(vec![Field::new("s", DataType::Utf8, true)].into())),
            ),
        }
    }

    fn offsets<O: OffsetSizeTrait>(&mut self, len: usize) -> OffsetBuffer<O> {
        OffsetBuffer::from_lengths((0..len).map(|_| self.below(4)))
    }

    fn array(&mut self, data_type: &DataType, len: usize) -> ArrayRef {
        match data_type {
            DataType::Null => Arc::new(NullArray::new(len)),
            DataType::Boolean => Arc::new(BooleanArray::from(self.options(len, |r| r.below(2) == 0))),
            DataType::Int8 => Arc::new(Int8Array::from(self.options(len, |r| r.next() as i8))),
            DataType::Int64 => Arc::new(Int64Array::from(self.options(len, |r| r.next() as i64))),
            DataType::UInt64 => Arc::new(UInt64Array::from(self.options(len, Self::next))),
            DataType::Float64 => Arc::new(Float64Array::from(self.options(len, |r| r.next() as f64))),
            DataType::Decimal128(p, s) => Arc::new(
                Decimal128Array::from(self.options(len, |r| i128::from(r.next())))
                    .with_precision_and_scale(*p, *s)
                    .unwrap(),
            ),
            DataType::Date32 => Arc::new(Date32Array::from(
                self.options(len, |r| r.below(40_000) as i32 - 20_000),
            )),
            DataType::Timestamp(_, zone) => Arc::new(
                TimestampMicrosecondArray::from(self.options(len, |r| (r.next() >> 14) as i64))
                    .with_timezone_opt(zone.clone()),
            ),
            DataType::FixedSizeBinary(size) => {
                let values = self.options(len, |r| r.next().to_le_bytes()[..*size as usize].to_vec());
                Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.into_iter(), *size).unwrap())
            }
            DataType::Utf8 => Arc::new(StringArray::from_iter(self.options(len, Self::text))),
            DataType::LargeUtf8 => Arc::new(LargeStringArray::from_iter(self.options(len, Self::text))),
            DataType::Utf8View => Arc::new(StringViewArray::from_iter(self.options(len, Self::text))),
            DataType::Binary => Arc::new(BinaryArray::from_iter(self.options(len, Self::text))),
            DataType::BinaryView => Arc::new(BinaryViewArray::from_iter(self.options(len, Self::text))),
            DataType::Dictionary(keys, values) => {
                let values = self.array(values, 5);
                match keys.as_ref() {
                    DataType::Int8 => {
                        let keys = Int8Array::from(self.options(len, |r| r.below(5) as i8));
                        Arc::new(DictionaryArray::new(keys, values))
                    }
                    _ => {
                        let keys = Int32Array::from(self.options(len, |r| r.below(5) as i32));
                        Arc::new(DictionaryArray::new(keys, values))
                    }
                }
            }
            DataType::List(item) => {
                let offsets = self.offsets::<i32>(len);
                let values = self.array(item.data_type(), *offsets.last().unwrap() as usize);
                Arc::new(ListArray::new(Arc::clone(item), offsets, values, self.nulls(len)))
            }
            DataType::LargeList(item) => {
                let offsets = self.offsets::<i64>(len);
                let values = self.array(item.data_type(), *offsets.last().unwrap() as usize);
                Arc::new(LargeListArray::new(Arc::clone(item), offsets, values, self.nulls(len)))
            }
            DataType::ListView(item) => {
                let values = self.array(item.data_type(), 10);
                let sizes: ScalarBuffer<i32> = (0..len).map(|_| self.below(4) as i32).collect();
                let offsets: ScalarBuffer<i32> = (0..len).map(|_| self.below(6) as i32).collect();
                Arc::new(ListViewArray::new(
                    Arc::clone(item),
                    offsets,
                    sizes,
                    values,
                    self.nulls(len),
                ))
            }
            DataType::FixedSizeList(item, size) => {
                let values = self.array(item.data_type(), len * *size as usize);
                Arc::new(FixedSizeListArray::new(
                    Arc::clone(item),
                    *size,
                    values,
                    self.nulls(len),
                ))
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().map(|field| self.array(field.data_type(), len)).collect();
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns, self.nulls(len), len).unwrap())
            }
            DataType::Map(entries, sorted) => {
                let offsets = self.offsets::<i32>(len);
                let DataType::Struct(fields) = entries.data_type() else {
                    unreachable!()
                };
                let count = *offsets.last().unwrap() as usize;
                let keys = Arc::new(StringArray::from_iter_values((0..count).map(|_| self.text())));
                let values = self.array(fields[1].data_type(), count);
                let pairs = StructArray::new(fields.clone(), vec![keys, values], None);
                Arc::new(MapArray::new(
                    Arc::clone(entries),
                    offsets,
                    pairs,
                    self.nulls(len),
                    *sorted,
                ))
            }
            DataType::RunEndEncoded(_, values) => {
                let mut ends = Vec::new();
                while ends.last().copied().unwrap_or(0) < len as i32 {
                    ends.push((ends.last().copied().unwrap_or(0) + 1 + self.below(4) as i32).min(len as i32));
                }
                let values = self.array(values.data_type(), ends.len());
                Arc::new(RunArray::<Int32Type>::try_new(&Int32Array::from(ends), &values).unwrap())
            }
            other => unreachable!("{other}"),
        }
    }

    pub(crate) fn schema(&mut self) -> SchemaRef {
        // Names repeat now and then, as in results of joins.
        let fields: Vec<Field> = (0..self.below(5))
            .map(|index| {
                Field::new(["a", "b", "a", "", "c"][index], self.data_type(2), true)
                    .with_metadata([("unit".to_owned(), index.to_string())].into())
            })
            .collect();
        Arc::new(Schema::new_with_metadata(
            fields,
            [("origin".to_owned(), "test".to_owned())].into(),
        ))
    }

    /// Rows of a schema; now and then a slice of more.
    pub(crate) fn batch(&mut self, schema: &SchemaRef, max_rows: usize) -> RecordBatch {
        let rows = self.below(max_rows + 1);
        let columns = schema
            .fields()
            .iter()
            .map(|field| self.array(field.data_type(), rows))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).unwrap();
        if self.below(2) == 0 {
            return batch;
        }
        let start = self.below(rows + 1);
        let len = self.below(rows - start + 1);
        batch.slice(start, len)
    }
}

/// The rows as text, which is the same in all encodings of a value.
pub(crate) fn rows_as_text(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            columns
                .iter()
                .map(|column| column.value(row).to_string())
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}
