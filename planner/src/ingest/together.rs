//! Several ingests into one dataset that become one commit, as the end of a transaction asks.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::{StreamExt, stream};
use jetway_odf::chain::Vocabulary;
use jetway_odf::identity::DatasetAlias;
use jetway_odf::metadata::MergeStrategy;

use crate::ingest::append::check_root;
use crate::ingest::intake::Intake;
use crate::ingest::receipt::IdempotencyKey;
use crate::ingest::shape::{Shape, SystemColumns};
use crate::ingest::{Ingest, IngestOutcome, IngestRequest};
use crate::summary::DatasetSummary;
use crate::{BatchStream, Error, ErrorKind, PinnedDataset, Result, Subject, TableName, preprocess};

/// Rows that were sent before, and how they were to be taken in.
pub(crate) struct Waiting {
    pub(crate) request: IngestRequest,
    /// Whether the rows have the columns of the dataset already.
    pub(crate) is_insert: bool,
    pub(crate) rows: BatchStream,
}

/// Whether batches will fit, as far as it can be known.
#[derive(Debug)]
pub(crate) struct Foreseen(Option<Shape>);

impl Foreseen {
    /// # Errors
    /// `SchemaMismatch` for values that do not fit.
    pub(crate) fn batch(&self, batch: &RecordBatch) -> Result<()> {
        match &self.0 {
            Some(shape) => shape.apply(batch).map(drop),
            None => Ok(()),
        }
    }
}

impl Ingest {
    /// The dataset that a request is about: by its identity if it is there, otherwise by its full name. `is_made` tells
    /// whether a dataset of that name is about to be made.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists` as the request asks; `PermissionDenied`.
    pub(crate) async fn place(
        &self,
        subject: &Subject,
        request: &IngestRequest,
        is_made: impl Fn(String) -> bool,
    ) -> Result<TableName> {
        let full = match &request.table {
            TableName::Alias(alias) => {
                let account = alias.account.clone().unwrap_or_else(|| subject.name().clone());
                TableName::Alias(DatasetAlias::new(Some(account), alias.name.clone()))
            }
            TableName::Id(id) => TableName::Id(*id),
        };
        match self.find(subject, request).await {
            Ok(Some(dataset)) => {
                check_root(&dataset)?;
                Ok(TableName::Id(dataset.id))
            }
            Ok(None) => Ok(full),
            Err(error) if error.kind() == ErrorKind::NotFound && is_made(full.to_string()) => Ok(full),
            Err(error) => Err(error),
        }
    }

    /// Looks whether rows can be taken in, together with those that came `first`, without taking them in.
    ///
    /// # Errors
    /// Those of an ingest.
    pub(crate) async fn foresee(
        &self,
        subject: &Subject,
        request: &IngestRequest,
        is_insert: bool,
        columns: &Schema,
        first: Option<(IngestRequest, bool, SchemaRef)>,
    ) -> Result<Foreseen> {
        let TableName::Id(_) = &request.table else {
            if let Some((_, _, first)) = &first {
                unify(first, columns)?;
            }
            return Ok(Foreseen(Some(Shape::new(
                columns,
                &Arc::new(Vocabulary::default()),
                SystemColumns::Renamed,
            )?)));
        };
        let dataset = self.services.writable(subject, &request.table).await?;
        let summary = self.services.summaries.get(&dataset).await?;
        let (intake, shape) = expected(&summary, request, is_insert, columns)?;
        if let Some((request, is_insert, columns)) = first {
            let (first_intake, first_shape) = expected(&summary, &request, is_insert, &columns)?;
            check_same((&first_intake, first_shape.as_ref()), (&intake, shape.as_ref()))?;
        }
        Ok(Foreseen(shape))
    }

    /// Takes in all rows in one commit. With the same key again, it adds nothing.
    ///
    /// # Errors
    /// Those of an ingest.
    pub(crate) async fn together(
        &self,
        subject: &Subject,
        parts: Vec<Waiting>,
        key: IdempotencyKey,
    ) -> Result<IngestOutcome> {
        let Some(first) = parts.first() else {
            return Err(Error::new(ErrorKind::Internal, "there are no rows to commit"));
        };
        let request = IngestRequest {
            idempotency_key: Some(key),
            ..first.request.clone()
        };
        let columns = first.rows.schema();
        if let Some(dataset) = self.find(subject, &request).await? {
            return self.push_together(subject, dataset, &request, parts).await;
        }
        let _turn = self.creations.turn(subject, &request.table).await;
        match self.find(subject, &request).await? {
            Some(dataset) => self.push_together(subject, dataset, &request, parts).await,
            None => {
                let mut schema = columns;
                for part in &parts {
                    schema = unify(&schema, &part.rows.schema())?;
                }
                let streams: Vec<BatchStream> = parts
                    .into_iter()
                    .map(|part| align(part.rows, Arc::clone(&schema)))
                    .collect();
                let rows = BatchStream::new(Arc::clone(&schema), stream::iter(streams).flatten());
                self.create(subject, &request, MergeStrategy::Append {}, rows).await
            }
        }
    }

    async fn push_together(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        request: &IngestRequest,
        parts: Vec<Waiting>,
    ) -> Result<IngestOutcome> {
        check_root(&dataset)?;
        let summary = self.services.summaries.get(&dataset).await?;
        let known = request
            .idempotency_key
            .as_ref()
            .and_then(|key| summary.receipts.find(key));
        if let Some(known) = known {
            return Ok(known.answer(dataset.id));
        }
        let mut first: Option<(Intake, Arc<Shape>)> = None;
        let mut streams = Vec::with_capacity(parts.len());
        for part in parts {
            let mut intake = intake_of(&summary, &part.request, part.is_insert)?;
            intake.key.clone_from(&request.idempotency_key);
            let rows = match &intake.preprocess {
                Some(transform) => preprocess::run(transform, part.rows, &self.services.engine).await?,
                None => part.rows,
            };
            let shape = Arc::new(Shape::of(&rows.schema(), &summary, intake.shape_rules())?);
            streams.push(shape.apply_to(rows));
            match &first {
                Some((other, other_shape)) => check_same((other, Some(other_shape)), (&intake, Some(&shape)))?,
                None => first = Some((intake, shape)),
            }
        }
        let Some((intake, shape)) = first else {
            return Err(Error::new(ErrorKind::Internal, "there are no rows to commit"));
        };
        let rows = BatchStream::new(shape.row_schema(), stream::iter(streams).flatten());
        self.take_in_shaped(subject, dataset, &summary, shape, intake, rows)
            .await
    }
}

fn intake_of(summary: &DatasetSummary, request: &IngestRequest, is_insert: bool) -> Result<Intake> {
    let mut intake = Intake::of_push(&summary.state, request)?;
    if is_insert {
        intake.preprocess = None;
    }
    Ok(intake)
}

/// How rows will be taken in; their shape is known unless a source's SQL makes other rows of them.
fn expected(
    summary: &DatasetSummary,
    request: &IngestRequest,
    is_insert: bool,
    columns: &Schema,
) -> Result<(Intake, Option<Shape>)> {
    let intake = intake_of(summary, request, is_insert)?;
    let shape = match intake.preprocess {
        Some(_) => None,
        None => Some(Shape::of(columns, summary, intake.shape_rules())?),
    };
    Ok((intake, shape))
}

fn check_same(first: (&Intake, Option<&Shape>), other: (&Intake, Option<&Shape>)) -> Result<()> {
    let differ = |what: &str| {
        Err(Error::new(
            ErrorKind::SchemaMismatch,
            format!("all rows that a transaction sends to a dataset become one commit, and {what}; commit in between"),
        ))
    };
    if first.0.merge != other.0.merge || first.0.event_time != other.0.event_time {
        return differ("these would be merged in another way than the first ones");
    }
    match (first.1, other.1) {
        (Some(first), Some(other)) if !first.gives_same_rows(other) => differ(
            "these have an event time, an operation or new columns and the first ones do not, or the other way round",
        ),
        _ => Ok(()),
    }
}

/// The columns of a dataset that is made of two pushes: they have the same ones, in any order.
fn unify(first: &Schema, other: &Schema) -> Result<SchemaRef> {
    let mismatch = |name: &str| {
        Error::new(
            ErrorKind::SchemaMismatch,
            format!(
                "all rows of a transaction that makes a dataset have the same columns of the same types, and \"{name}\" differs \
                 from the first ones"
            ),
        )
    };
    let mut fields = Vec::with_capacity(first.fields().len());
    for field in first.fields() {
        let found = other
            .field_with_name(field.name())
            .map_err(|_| mismatch(field.name()))?;
        if found.data_type() != field.data_type() {
            return Err(mismatch(field.name()));
        }
        let field: Field = field.as_ref().clone();
        let nullable = field.is_nullable() || found.is_nullable();
        fields.push(field.with_nullable(nullable));
    }
    match other
        .fields()
        .iter()
        .find(|field| first.field_with_name(field.name()).is_err())
    {
        Some(extra) => Err(mismatch(extra.name())),
        None => Ok(Arc::new(Schema::new_with_metadata(fields, first.metadata().clone()))),
    }
}

/// Batches with their columns in the order of a schema.
fn align(rows: BatchStream, schema: SchemaRef) -> BatchStream {
    let target = Arc::clone(&schema);
    let batches = rows.map(move |batch| {
        let batch = batch?;
        let columns = target
            .fields()
            .iter()
            .filter_map(|field| batch.column_by_name(field.name()).cloned());
        Ok(RecordBatch::try_new(Arc::clone(&target), columns.collect())?)
    });
    BatchStream::new(schema, batches)
}
