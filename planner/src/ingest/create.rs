//! A dataset that is made by pushing to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::StreamExt;
use jetway_odf::chain::{ChainState, Vocabulary};
use jetway_odf::codec::ManifestVersion;
use jetway_odf::identity::{DatasetAlias, DatasetId};
use jetway_odf::metadata::{AddPushSource, DatasetKind, MergeStrategy, MetadataEvent, ReadStep, Seed, SetDataSchema};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::ingest::append::{Additions, append};
use crate::ingest::intake::DEFAULT_SOURCE;
use crate::ingest::receipt::Receipt;
use crate::ingest::rows::SliceSequence;
use crate::ingest::shape::{Shape, SystemColumns};
use crate::ingest::{IfExists, Ingest, IngestOutcome, IngestRequest};
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
    /// Makes the dataset and its first rows in one step: it is there with all of them, or not at all.
    pub(super) async fn create(
        &self,
        subject: &Subject,
        request: &IngestRequest,
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
        let shape = Arc::new(Shape::new(&rows.schema(), &vocabulary, SystemColumns::Renamed)?);
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
        );
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
        let definition = definition(source, &shape);
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
            Err(error) if error.kind() == ErrorKind::AlreadyExists && request.if_exists == IfExists::Append => {
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
fn definition(source: &str, shape: &Shape) -> Vec<MetadataEvent> {
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
        merge: MergeStrategy::Append {},
    };
    vec![
        MetadataEvent::AddPushSource(source),
        MetadataEvent::SetDataSchema(SetDataSchema {
            raw_arrow_schema: None,
            schema: Some(shape.data_schema.clone()),
        }),
    ]
}
