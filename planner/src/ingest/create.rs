//! A dataset that is made by pushing to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arrow::datatypes::Schema;
use futures::StreamExt;
use jetway_odf::chain::{ChainState, Vocabulary};
use jetway_odf::codec::ManifestVersion;
use jetway_odf::identity::{DatasetAlias, DatasetId};
use jetway_odf::metadata::{AddPushSource, DatasetKind, MergeStrategy, MetadataEvent, ReadStep, Seed, SetDataSchema};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::ddl::CreateStatement;
use crate::ingest::append::{Additions, append};
use crate::ingest::intake::DEFAULT_SOURCE;
use crate::ingest::lane::Lane;
use crate::ingest::receipt::{IdempotencyKey, Receipt};
use crate::ingest::rows::SliceSequence;
use crate::ingest::shape::{Shape, SystemColumns};
use crate::ingest::{IfExists, IfNotExists, Ingest, IngestOutcome, IngestRequest};
use crate::merge::check_columns;
use crate::{BatchStream, Error, ErrorKind, Result, Subject, TableName};

/// Names that one at a time works on in this process.
#[derive(Debug, Default)]
pub(super) struct Turns {
    turns: Mutex<HashMap<String, Weak<AsyncMutex<()>>>>,
}

impl Turns {
    /// Waits until nobody else works on a dataset of that name.
    pub(super) async fn turn(&self, subject: &Subject, table: &TableName) -> OwnedMutexGuard<()> {
        let name = match table {
            TableName::Alias(DatasetAlias { account: None, name }) => format!("{}/{name}", subject.name()),
            other => other.to_string(),
        };
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let entry = turns.entry(name.to_lowercase()).or_default();
            entry.upgrade().unwrap_or_else(|| {
                let turn = Arc::new(AsyncMutex::new(()));
                *entry = Arc::downgrade(&turn);
                turn
            })
        };
        turn.lock_owned().await
    }
}

impl Ingest {
    /// Makes a dataset as CREATE TABLE says.
    pub(crate) async fn make(
        &self,
        subject: &Subject,
        create: &CreateStatement,
        key: Option<IdempotencyKey>,
        rows: BatchStream,
    ) -> Result<IngestOutcome> {
        let request = IngestRequest {
            if_exists: IfExists::Fail,
            if_not_exists: IfNotExists::Create,
            idempotency_key: key,
            ..IngestRequest::append(create.table.clone())
        };
        let _turn = self.creations.turn(subject, &request.table).await;
        let dataset = match self.services.writable(subject, &request.table).await {
            Ok(dataset) => dataset,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return self.create(subject, &request, create.merge(), rows).await;
            }
            Err(error) => return Err(error),
        };
        let summary = self.services.summaries.get(&dataset).await?;
        if let Some(known) = request
            .idempotency_key
            .as_ref()
            .and_then(|key| summary.receipts.find(key))
        {
            return Ok(known.answer(dataset.id));
        }
        if !create.if_not_exists {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!(
                    "{} is already there; write CREATE TABLE IF NOT EXISTS, or choose another name",
                    create.table
                ),
            ));
        }
        Ok(IngestOutcome {
            dataset: dataset.id,
            rows: 0,
            events: 0,
            head: dataset.head,
            created: false,
            changed: false,
        })
    }

    /// Makes the dataset and its first rows in one step: it is there with all of them, or not at all.
    pub(super) async fn create(
        &self,
        subject: &Subject,
        request: &IngestRequest,
        merge: MergeStrategy,
        mut rows: BatchStream,
    ) -> Result<IngestOutcome> {
        let alias = match &request.table {
            TableName::Alias(alias) => {
                let account = alias.account.clone().unwrap_or_else(|| subject.name().clone());
                DatasetAlias::new(Some(account), alias.name.clone())
            }
            TableName::Id(id) => {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("there is no dataset {id}, and an identity cannot be chosen; give a name"),
                ));
            }
        };
        let vocabulary = Arc::new(Vocabulary::default());
        let shape = Arc::new(Shape::new(&rows.schema(), &vocabulary, SystemColumns::of(&merge))?);
        let (id, _) = DatasetId::generate();
        let storage = self.services.catalog.storage(&id);
        let now = self.services.clock.now();
        let mut sequence = SliceSequence::new(
            self.services.engine.compute.clone(),
            storage,
            Arc::clone(&shape),
            0,
            now,
            request.event_time,
        )
        .in_lane(Lane::new(&self.lanes));
        while let Some(batch) = rows.next().await {
            sequence.write(shape.apply(&batch?)?).await?;
        }
        let written = sequence.finish().await?;
        let count = written.rows;
        let seed = Seed {
            dataset_id: id,
            dataset_kind: DatasetKind::Root,
        };
        let source = request.source.as_deref().unwrap_or(DEFAULT_SOURCE);
        let definition = definition(source, merge, &shape);
        let (mut blocks, state) = ChainState::create(seed, definition, now, ManifestVersion::default())?;
        let receipt = request.idempotency_key.clone().map(|key| Receipt {
            key,
            rows: count,
            events: count,
            created: true,
        });
        let additions = Additions {
            receipts: receipt.as_slice(),
            ..Additions::default()
        };
        self.services.learn(&written);
        let appended = append(&state, &additions, written)?;
        blocks.extend(appended.blocks);
        match self
            .services
            .catalog
            .create(subject, &alias, blocks, appended.objects)
            .await
        {
            Ok(dataset) => Ok(IngestOutcome {
                dataset: dataset.id,
                rows: count,
                events: count,
                head: dataset.head,
                created: true,
                changed: true,
            }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && request.if_exists != IfExists::Fail => {
                Err(Error::new(
                    ErrorKind::Conflict,
                    format!("{alias} was made by somebody else at the same moment; send the rows again"),
                )
                .with_source(error))
            }
            Err(error) => Err(error),
        }
    }
}

/// What a dataset is told about itself when it is made for a push.
fn definition(source: &str, merge: MergeStrategy, shape: &Shape) -> Vec<MetadataEvent> {
    let source = AddPushSource {
        source_name: source.to_owned(),
        read: ReadStep::NdJson {
            ddl_schema: None,
            date_format: None,
            encoding: None,
            timestamp_format: None,
            schema: None,
        },
        preprocess: None,
        merge,
    };
    vec![
        MetadataEvent::AddPushSource(source),
        MetadataEvent::SetDataSchema(SetDataSchema {
            raw_arrow_schema: None,
            schema: Some(shape.data_schema.clone()),
        }),
    ]
}

/// Whether a dataset can be made with these columns and meet its rows like that.
///
/// # Errors
/// `InvalidArgument` naming the column that does not fit.
pub(crate) fn check_new(columns: &Schema, merge: &MergeStrategy) -> Result<()> {
    let vocabulary = Arc::new(Vocabulary::default());
    let shape = Shape::new(columns, &vocabulary, SystemColumns::of(merge))?;
    check_columns(merge, &vocabulary, &shape.schema)
}
