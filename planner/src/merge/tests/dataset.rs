//! A dataset in memory to which merged rows are committed.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use bytes::Bytes;
use chrono::DateTime;
use futures::{StreamExt, TryStreamExt, stream};
use jetway_odf::chain::ChainState;
use jetway_odf::codec::ManifestVersion;
use jetway_odf::identity::{DatasetAlias, DatasetId, Multihash};
use jetway_odf::metadata::{
    AddData, DataSchema, DataSlice, DatasetKind, MergeStrategy, MetadataEvent, OffsetInterval, Seed, SetDataSchema,
    SetVocab,
};
use jetway_odf::storage::{
    CommitOutcome, DatasetStorage, ObjectKind, ObjectSource, PendingObject, Repository, RepositoryOptions,
};
use parquet::arrow::ArrowWriter;

use crate::merge::Merger;
use crate::session::Engine;
use crate::summary::SummaryCache;
use crate::{BatchStream, PinnedDataset, PlannerOptions, Result};

/// One row: operation, seconds, city, number, population.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) op: i32,
    pub(crate) time: Option<i64>,
    pub(crate) city: String,
    pub(crate) number: i64,
    pub(crate) population: Option<i64>,
}

pub(crate) fn row(
    op: i32,
    time: impl Into<Option<i64>>,
    city: &str,
    number: i64,
    population: impl Into<Option<i64>>,
) -> Row {
    Row {
        op,
        time: time.into(),
        city: city.to_owned(),
        number,
        population: population.into(),
    }
}

/// The dataset, its chain, and what merges into it.
pub(crate) struct Dataset {
    pub(crate) storage: DatasetStorage,
    pub(crate) merger: Merger,
    pub(crate) engine: Engine,
    pub(crate) state: ChainState,
    slices: SchemaRef,
    summaries: SummaryCache,
}

impl Dataset {
    pub(crate) async fn new() -> Self {
        let repository = Repository::open("memory:", &RepositoryOptions::default())
            .await
            .unwrap();
        Self::in_repository(repository).await
    }

    pub(crate) async fn in_repository(repository: Repository) -> Self {
        Self::with_schema(repository, slice_schema()).await
    }

    /// With dates for event times.
    pub(crate) async fn with_dates() -> Self {
        let repository = Repository::open("memory:", &RepositoryOptions::default())
            .await
            .unwrap();
        let fields = slice_schema()
            .fields()
            .iter()
            .map(|field| {
                let field = field.as_ref().clone();
                match field.name() == "year" {
                    true => field.with_data_type(DataType::Date32),
                    false => field,
                }
            })
            .collect::<Vec<_>>();
        Self::with_schema(repository, Arc::new(Schema::new(fields))).await
    }

    async fn with_schema(repository: Repository, slices: SchemaRef) -> Self {
        let seed = Seed {
            dataset_id: DatasetId::seeded(b"merge"),
            dataset_kind: DatasetKind::Root,
        };
        let storage = repository.dataset(seed.dataset_id);
        let vocabulary = SetVocab {
            event_time_column: Some("year".to_owned()),
            ..SetVocab::default()
        };
        let schema = DataSchema::from_arrow(&slices).unwrap();
        let definition = vec![
            MetadataEvent::SetVocab(vocabulary),
            MetadataEvent::SetDataSchema(SetDataSchema {
                raw_arrow_schema: None,
                schema: Some(schema),
            }),
        ];
        let now = DateTime::from_timestamp_millis(0).unwrap();
        let (blocks, state) = ChainState::create(seed, definition, now, ManifestVersion::default()).unwrap();
        let outcome = storage.commit(None, &blocks, Vec::new()).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }));
        let engine = Engine::new(&PlannerOptions::default()).unwrap();
        Self {
            storage,
            merger: Merger::new(engine.clone()),
            engine,
            state,
            slices,
            summaries: SummaryCache::default(),
        }
    }

    pub(crate) fn pinned(&self) -> PinnedDataset {
        PinnedDataset {
            id: *self.storage.id(),
            alias: "alice/cities".parse::<DatasetAlias>().unwrap(),
            kind: DatasetKind::Root,
            storage: self.storage.clone(),
            head: self.state.head(),
        }
    }

    /// What a strategy makes of rows that come in batches of three.
    pub(crate) async fn merge(&self, strategy: &MergeStrategy, rows: &[Row], columns: Pushed) -> Result<Vec<Row>> {
        let batch = pushed(rows, columns);
        let pieces: Vec<RecordBatch> = (0..batch.num_rows())
            .step_by(3)
            .map(|start| batch.slice(start, 3.min(batch.num_rows() - start)))
            .collect();
        self.merge_batches(strategy, batch.schema(), pieces).await
    }

    pub(crate) async fn merge_batches(
        &self,
        strategy: &MergeStrategy,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
    ) -> Result<Vec<Row>> {
        let dataset = self.pinned();
        let summary = self.summaries.get(&dataset).await?;
        let rows = BatchStream::new(schema, stream::iter(batches).map(Ok));
        let merged = self
            .merger
            .merge(strategy, &dataset, &summary, &self.slices, rows)
            .await?;
        let schema = merged.schema();
        let merged: Vec<RecordBatch> = merged.try_collect().await?;
        assert!(merged.iter().all(|batch| batch.schema() == schema));
        Ok(rows_of(&concat_batches(&schema, &merged).unwrap()))
    }

    /// Adds rows as the next slice; those without an event time get one.
    pub(crate) async fn commit(&mut self, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        let first = self.state.next_offset();
        let last = first + rows.len() as u64 - 1;
        let bytes = slice(rows, first, &self.slices);
        let hash = Multihash::sha3_256(&bytes);
        let event = MetadataEvent::AddData(AddData {
            prev_checkpoint: None,
            prev_offset: self.state.last_offset(),
            new_data: Some(DataSlice {
                logical_hash: hash,
                physical_hash: hash,
                offset_interval: OffsetInterval {
                    start: first,
                    end: last,
                },
                size: bytes.len() as u64,
            }),
            new_checkpoint: None,
            new_watermark: None,
            new_source_state: None,
            extra: None,
        });
        let object = PendingObject {
            kind: ObjectKind::Data,
            hash,
            source: ObjectSource::Bytes(bytes),
        };
        self.append(event, vec![object]).await;
    }

    pub(crate) async fn append(&mut self, event: MetadataEvent, objects: Vec<PendingObject>) {
        let now = self.state.system_time();
        let (blocks, state) = self.state.append(vec![event], now, ManifestVersion::default()).unwrap();
        let outcome = self.storage.commit(Some(self.state.head()), &blocks, objects).await;
        assert!(matches!(outcome.unwrap(), CommitOutcome::Committed { .. }));
        self.state = state;
    }

    /// Merges and commits.
    pub(crate) async fn write(&mut self, strategy: &MergeStrategy, rows: &[Row], columns: Pushed) -> Vec<Row> {
        let merged = self.merge(strategy, rows, columns).await.unwrap();
        self.commit(&merged).await;
        merged
    }

    /// Forgets what is in memory, as another process would.
    pub(crate) fn reopen(&mut self) {
        self.merger = self.merger.reopened();
    }
}

/// Which system columns the rows come with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pushed {
    pub(crate) operation: bool,
    pub(crate) event_time: bool,
}

impl Pushed {
    pub(crate) const DATA: Self = Self {
        operation: false,
        event_time: false,
    };
    pub(crate) const TIME: Self = Self {
        operation: false,
        event_time: true,
    };
    pub(crate) const ALL: Self = Self {
        operation: true,
        event_time: true,
    };
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

pub(crate) fn slice_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("offset", DataType::Int64, false),
        Field::new("op", DataType::Int32, false),
        Field::new("system_time", time_type(), false),
        Field::new("year", time_type(), false),
        Field::new("city", DataType::Utf8, false),
        Field::new("number", DataType::Int64, true),
        Field::new("population", DataType::Int64, true),
    ]))
}

/// Rows as they are pushed.
pub(crate) fn pushed(rows: &[Row], columns: Pushed) -> RecordBatch {
    let mut fields = vec![];
    let mut arrays: Vec<ArrayRef> = vec![];
    if columns.operation {
        fields.push(Field::new("op", DataType::Int32, true));
        arrays.push(Arc::new(rows.iter().map(|row| Some(row.op)).collect::<Int32Array>()));
    }
    if columns.event_time {
        fields.push(Field::new("year", time_type(), true));
        arrays.push(times(rows.iter().map(|row| row.time)));
    }
    fields.extend(
        slice_schema()
            .fields()
            .iter()
            .skip(4)
            .map(|field| field.as_ref().clone()),
    );
    arrays.extend(data(rows));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn times(seconds: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let millis: TimestampMillisecondArray = seconds.map(|time| time.map(|time| time * 1000)).collect();
    Arc::new(millis.with_timezone("UTC"))
}

fn data(rows: &[Row]) -> [ArrayRef; 3] {
    let cities: arrow::array::StringArray = rows.iter().map(|row| Some(row.city.as_str())).collect();
    let numbers: Int64Array = rows.iter().map(|row| Some(row.number)).collect();
    let populations: Int64Array = rows.iter().map(|row| row.population).collect();
    [Arc::new(cities), Arc::new(numbers), Arc::new(populations)]
}

fn slice(rows: &[Row], first: u64, schema: &SchemaRef) -> Bytes {
    let first = first as i64;
    let fallback = 1_000_000 + first;
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(first..first + rows.len() as i64)),
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.op))),
        times(rows.iter().map(|_| Some(0))),
        times(rows.iter().map(|row| Some(row.time.unwrap_or(fallback)))),
    ];
    columns.extend(data(rows));
    for (column, field) in columns.iter_mut().zip(schema.fields()) {
        *column = cast(column, field.data_type()).unwrap();
    }
    let batch = RecordBatch::try_new(Arc::clone(schema), columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap().into()
}

/// What a row's event time becomes when it has none.
pub(crate) fn fallback_time(first_offset: u64) -> i64 {
    1_000_000 + first_offset as i64
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let operations = batch.column(0).as_primitive::<Int32Type>();
    let times = cast(batch.column(1), &time_type()).unwrap();
    let times = times.as_primitive::<TimestampMillisecondType>();
    let cities = batch.column(2).as_string::<i32>();
    let numbers = batch.column(3).as_primitive::<Int64Type>();
    let populations = batch.column(4).as_primitive::<Int64Type>();
    (0..batch.num_rows())
        .map(|index| Row {
            op: operations.value(index),
            time: times.is_valid(index).then(|| times.value(index) / 1000),
            city: cities.value(index).to_owned(),
            number: numbers.value(index),
            population: populations.is_valid(index).then(|| populations.value(index)),
        })
        .collect()
}

pub(crate) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(crate) fn ledger(key: &[&str]) -> MergeStrategy {
    MergeStrategy::Ledger {
        primary_key: names(key),
    }
}

pub(crate) fn snapshot(key: &[&str]) -> MergeStrategy {
    MergeStrategy::Snapshot {
        primary_key: names(key),
        compare_columns: None,
    }
}

pub(crate) fn changelog(key: &[&str]) -> MergeStrategy {
    MergeStrategy::ChangelogStream {
        primary_key: names(key),
    }
}

pub(crate) fn upsert(key: &[&str]) -> MergeStrategy {
    MergeStrategy::UpsertStream {
        primary_key: names(key),
    }
}
