//! Random batches for tests.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::WireProfile;
use crate::wire::any_type;

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

    /// What some client may have asked for.
    pub(crate) fn profile(&mut self) -> WireProfile {
        loop {
            if let Some(profile) = WireProfile::from_bits(self.below(256) as u32) {
                return profile;
            }
        }
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
        match self.below(if depth == 0 { 37 } else { 47 }) {
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
            17 => DataType::UInt8,
            18 => DataType::UInt16,
            19 => DataType::UInt32,
            20 => DataType::Int16,
            21 => DataType::Int32,
            22 => DataType::Float16,
            23 => DataType::Float32,
            24 => DataType::Decimal32(9, 2),
            25 => DataType::Decimal64(18, 4),
            26 => DataType::Decimal256(76, -2),
            27 => DataType::Date64,
            28 => DataType::Time32(TimeUnit::Second),
            29 => DataType::Time64(TimeUnit::Nanosecond),
            30 => DataType::Timestamp(TimeUnit::Nanosecond, None),
            31 => DataType::Duration(TimeUnit::Millisecond),
            32 => DataType::Interval(IntervalUnit::YearMonth),
            33 => DataType::Interval(IntervalUnit::DayTime),
            34 => DataType::Interval(IntervalUnit::MonthDayNano),
            35 => DataType::LargeBinary,
            36 => DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::UInt64)),
            37 => DataType::List(self.field(depth - 1)),
            38 => DataType::LargeList(self.field(depth - 1)),
            39 => DataType::ListView(self.field(depth - 1)),
            40 => DataType::FixedSizeList(self.field(depth - 1), 2),
            41 => DataType::Struct((0..self.below(3)).map(|_| self.field(depth - 1)).collect()),
            42 | 43 => {
                let mode = [UnionMode::Sparse, UnionMode::Dense][self.below(2)];
                let fields = (0..2).map(|id| (id, Arc::new(Field::new(format!("u{id}"), self.data_type(0), true))));
                DataType::Union(fields.collect(), mode)
            }
            44 => {
                let entries = Fields::from(vec![
                    Field::new("keys", DataType::Utf8, false),
                    Field::new("values", self.data_type(depth - 1), true),
                ]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
            }
            45 => DataType::RunEndEncoded(
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
            DataType::UInt8 => Arc::new(UInt8Array::from(self.options(len, |r| r.next() as u8))),
            DataType::UInt16 => Arc::new(UInt16Array::from(self.options(len, |r| r.next() as u16))),
            DataType::UInt32 => Arc::new(UInt32Array::from(self.options(len, |r| r.next() as u32))),
            DataType::Int16 => Arc::new(Int16Array::from(self.options(len, |r| r.next() as i16))),
            DataType::Int32 => Arc::new(Int32Array::from(self.options(len, |r| r.next() as i32))),
            // Numbers that look the same with more bits.
            DataType::Float16 => {
                let numbers = Float32Array::from(self.options(len, |r| r.below(1000) as f32 + 0.5));
                arrow::compute::cast(&numbers, &DataType::Float16).unwrap()
            }
            DataType::Float32 => Arc::new(Float32Array::from(self.options(len, |r| r.next() as f32))),
            DataType::Decimal32(p, s) => Arc::new(
                Decimal32Array::from(self.options(len, |r| r.below(999_999_999) as i32))
                    .with_precision_and_scale(*p, *s)
                    .unwrap(),
            ),
            DataType::Decimal64(p, s) => Arc::new(
                Decimal64Array::from(self.options(len, |r| (r.next() >> 8) as i64))
                    .with_precision_and_scale(*p, *s)
                    .unwrap(),
            ),
            DataType::Decimal256(p, s) => Arc::new(
                Decimal256Array::from(self.options(len, |r| i256::from_i128(i128::from(r.next()))))
                    .with_precision_and_scale(*p, *s)
                    .unwrap(),
            ),
            DataType::Date64 => Arc::new(Date64Array::from(
                self.options(len, |r| (r.below(40_000) as i64 - 20_000) * 86_400_000),
            )),
            DataType::Time32(_) => Arc::new(Time32SecondArray::from(self.options(len, |r| r.below(86_400) as i32))),
            DataType::Time64(_) => Arc::new(Time64NanosecondArray::from(
                self.options(len, |r| r.below(86_400_000_000_000) as i64),
            )),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Arc::new(TimestampNanosecondArray::from(
                self.options(len, |r| (r.next() >> 4) as i64),
            )),
            DataType::Duration(_) => Arc::new(DurationMillisecondArray::from(
                self.options(len, |r| (r.next() >> 20) as i64),
            )),
            DataType::Interval(IntervalUnit::YearMonth) => Arc::new(IntervalYearMonthArray::from(
                self.options(len, |r| r.below(1000) as i32),
            )),
            DataType::Interval(IntervalUnit::DayTime) => {
                Arc::new(IntervalDayTimeArray::from(self.options(len, |r| {
                    IntervalDayTime::new(r.below(100) as i32, r.below(1000) as i32)
                })))
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Arc::new(IntervalMonthDayNanoArray::from(self.options(len, |r| {
                    IntervalMonthDayNano::new(r.below(9) as i32, r.below(9) as i32, r.below(9) as i64)
                })))
            }
            DataType::LargeBinary => Arc::new(LargeBinaryArray::from_iter(self.options(len, Self::text))),
            DataType::Union(fields, mode) => {
                let ids: ScalarBuffer<i8> = (0..len).map(|_| self.below(2) as i8).collect();
                let (offsets, children) = match mode {
                    UnionMode::Sparse => (
                        None,
                        fields.iter().map(|(_, f)| self.array(f.data_type(), len)).collect(),
                    ),
                    UnionMode::Dense => {
                        let mut counts = [0; 2];
                        let offsets = ids.iter().map(|id| {
                            counts[*id as usize] += 1;
                            counts[*id as usize] - 1
                        });
                        let offsets: ScalarBuffer<i32> = offsets.collect();
                        let children = fields
                            .iter()
                            .map(|(id, f)| self.array(f.data_type(), counts[id as usize] as usize));
                        (Some(offsets), children.collect())
                    }
                };
                Arc::new(UnionArray::try_new(fields.clone(), ids, offsets, children).unwrap())
            }
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
                    DataType::UInt16 => {
                        let keys = UInt16Array::from(self.options(len, |r| r.below(5) as u16));
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

    /// A schema of what can be sent to the node.
    pub(crate) fn upload_schema(&mut self) -> SchemaRef {
        let union = |data_type: &DataType| matches!(data_type, DataType::Union(_, _));
        loop {
            let schema = self.schema();
            if !schema.fields().iter().any(|field| any_type(field.data_type(), &union)) {
                return schema;
            }
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
