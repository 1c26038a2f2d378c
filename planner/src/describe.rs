//! What clients are told about a table beside its rows: its columns, the key of its rows, and which tables it refers to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use jetway_odf::chain::ChainState;
use jetway_odf::codec::decode_block;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::{DataSchema, MergeStrategy, MetadataEvent};
use serde::Deserialize;

use crate::summary::{DatasetSummary, SummaryCache};
use crate::{PinnedDataset, Result, TableName};

#[cfg(test)]
mod tests;

/// Attribute of a column in which the format keeps its description.
const DESCRIPTION: &str = "opendatafabric.org/description";

/// Attribute of a schema that declares its foreign keys.
const FOREIGN_KEYS: &str = "jetway.dev/foreignKeys";

/// Descriptions that are kept. Some kilobytes each.
const MAX_DESCRIPTIONS: usize = 65_536;

/// How many new blocks are looked through before the chain is read as a whole.
const MAX_STEPS: usize = 64;

/// A table without its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDescription {
    /// The columns as `SELECT *` gives them.
    pub schema: SchemaRef,
    /// What the dataset's schema says about its columns, by their names.
    pub remarks: BTreeMap<String, String>,
    /// Columns that the node fills in.
    pub generated: BTreeSet<String>,
    /// The column that counts the rows.
    pub counter: String,
    /// Columns whose values say which thing a row is about: the key of the merge strategy, when all sources agree on one;
    /// empty otherwise.
    pub primary_key: Vec<String>,
    /// Keys into other tables that the schema declares.
    pub foreign_keys: Vec<ForeignKey>,
}

/// A declared reference from columns of one table to columns of another one. It is told to clients, and nothing enforces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Name of the constraint.
    pub name: Option<String>,
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The table that they refer to. Without an account it is in the account of the table that refers.
    pub table: TableName,
    /// The columns that are referred to, in the same order; empty for the primary key of the table.
    pub referenced: Vec<String>,
}

/// A foreign key as the attribute spells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Declared {
    name: Option<String>,
    columns: Vec<String>,
    references: References,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct References {
    dataset: String,
    #[serde(default)]
    columns: Vec<String>,
}

impl TableDescription {
    fn new(summary: &DatasetSummary) -> Self {
        let state = &summary.state;
        let vocabulary = state.vocabulary();
        let schema = state.schema().map(AsRef::as_ref);
        Self {
            schema: Arc::clone(&summary.schema),
            remarks: schema.map(remarks).unwrap_or_default(),
            generated: [&vocabulary.offset, &vocabulary.operation_type, &vocabulary.system_time]
                .into_iter()
                .cloned()
                .collect(),
            counter: vocabulary.offset.clone(),
            primary_key: primary_key(state).unwrap_or_default().to_vec(),
            foreign_keys: schema.map(foreign_keys).unwrap_or_default(),
        }
    }
}

fn remarks(schema: &DataSchema) -> BTreeMap<String, String> {
    let described = schema.fields.iter().filter_map(|field| {
        let text = field.extra.as_ref()?.0.get(DESCRIPTION)?.as_str()?;
        Some((field.name.clone(), text.to_owned()))
    });
    described.collect()
}

/// The key that all sources of a dataset merge by.
fn primary_key(state: &ChainState) -> Option<&[String]> {
    let pushed = state.push_sources().values().map(|source| &source.merge);
    let mut keys = pushed
        .chain(state.polling_source().map(|source| &source.merge))
        .map(key);
    let first = keys.next()?;
    keys.all(|key| key == first).then_some(first)
}

fn key(strategy: &MergeStrategy) -> &[String] {
    match strategy {
        MergeStrategy::Append {} => &[],
        MergeStrategy::Ledger { primary_key }
        | MergeStrategy::Snapshot { primary_key, .. }
        | MergeStrategy::ChangelogStream { primary_key }
        | MergeStrategy::UpsertStream { primary_key } => primary_key,
    }
}

/// The declared foreign keys. Anybody may have written the attribute, so one that makes no sense is left out.
fn foreign_keys(schema: &DataSchema) -> Vec<ForeignKey> {
    let Some(value) = schema.extra.as_ref().and_then(|extra| extra.0.get(FOREIGN_KEYS)) else {
        return Vec::new();
    };
    let Ok(declared) = Vec::<Declared>::deserialize(value) else {
        return Vec::new();
    };
    let is_column = |name: &String| schema.fields.iter().any(|field| field.name == *name);
    let keys = declared.into_iter().filter_map(|key| {
        let pairs_up = key.references.columns.is_empty() || key.references.columns.len() == key.columns.len();
        let makes_sense = !key.columns.is_empty() && pairs_up && key.columns.iter().all(is_column);
        let table = TableName::parse(None, None, &key.references.dataset).ok()?;
        makes_sense.then_some(ForeignKey {
            name: key.name,
            columns: key.columns,
            table,
            referenced: key.references.columns,
        })
    });
    keys.collect()
}

/// Descriptions of datasets at the heads that they were last seen with. All of it can be read again from storage.
#[derive(Debug, Default)]
pub(crate) struct Descriptions {
    by_id: Mutex<HashMap<DatasetId, (Multihash, Arc<TableDescription>)>>,
}

impl Descriptions {
    /// The description of a dataset at its pinned head. The chain is read the first time, and when one of its newer blocks
    /// changes what is told.
    pub(crate) async fn get(&self, summaries: &SummaryCache, dataset: &PinnedDataset) -> Result<Arc<TableDescription>> {
        let known = self.lock().get(&dataset.id).cloned();
        if let Some((head, description)) = known
            && (head == dataset.head || is_unchanged(dataset, head).await?)
        {
            if head != dataset.head {
                self.put(dataset, &description);
            }
            return Ok(description);
        }
        let summary = summaries.look(dataset).await?;
        let description = Arc::new(TableDescription::new(&summary));
        self.put(dataset, &description);
        Ok(description)
    }

    fn put(&self, dataset: &PinnedDataset, description: &Arc<TableDescription>) {
        let mut by_id = self.lock();
        if by_id.len() >= MAX_DESCRIPTIONS && !by_id.contains_key(&dataset.id) {
            by_id.clear();
        }
        by_id.insert(dataset.id, (dataset.head, Arc::clone(description)));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DatasetId, (Multihash, Arc<TableDescription>)>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether no block after `seen` changes a description. When that takes many blocks to say, it says no.
async fn is_unchanged(dataset: &PinnedDataset, seen: Multihash) -> Result<bool> {
    let mut next = dataset.head;
    for _ in 0..MAX_STEPS {
        let block = decode_block(&dataset.storage.block(&next).await?)?;
        let changes = match &block.event {
            MetadataEvent::AddData(_)
            | MetadataEvent::ExecuteTransform(_)
            | MetadataEvent::SetAttachments(_)
            | MetadataEvent::SetInfo(_)
            | MetadataEvent::SetLicense(_) => false,
            MetadataEvent::Seed(_)
            | MetadataEvent::SetTransform(_)
            | MetadataEvent::SetVocab(_)
            | MetadataEvent::SetDataSchema(_)
            | MetadataEvent::SetPollingSource(_)
            | MetadataEvent::DisablePollingSource(_)
            | MetadataEvent::AddPushSource(_)
            | MetadataEvent::DisablePushSource(_) => true,
        };
        match block.prev_block_hash {
            Some(previous) if !changes && previous == seen => return Ok(true),
            Some(previous) if !changes => next = previous,
            _ => return Ok(false),
        }
    }
    Ok(false)
}
