//! One step of the fold: check a block, then take it in.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chain::check::{data, link, schema, source, transform};
use crate::chain::rule::Rule;
use crate::chain::state::{AddPoint, ChainState, Counts, ExecutePoint};
use crate::chain::vocabulary::Vocabulary;
use crate::error::Result;
use crate::identity::Multihash;
use crate::metadata::{AddData, DataSchema, ExecuteTransform, MetadataBlock, MetadataEvent};

/// How strictly blocks are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// What is written here: all rules.
    Append,
    /// What others wrote. Chains that the reference implementation accepts stay readable: system columns may be
    /// missing from a schema (only a warning is logged), other columns of a schema may change when columns are added,
    /// removed or re-ordered at the same time as far as the reference does not see it, inputs of a transform may
    /// change between runs, the first data block may continue from an offset, and kinds of events are not compared
    /// with the kind of dataset.
    Read,
}

impl ChainState {
    /// The state after the first block, which must be a Seed.
    ///
    /// # Errors
    /// `InvalidEvent` with the rule (G1, G2) that is broken.
    pub fn start(hash: Multihash, block: &MetadataBlock) -> Result<Self> {
        let seed = link::check_first(block)?;
        Ok(Self {
            head: hash,
            sequence_number: 0,
            system_time: block.system_time,
            created_at: block.system_time,
            last_data_at: None,
            id: seed.dataset_id,
            kind: seed.dataset_kind,
            vocabulary: Arc::new(Vocabulary::default()),
            schema: None,
            legacy_schema: None,
            last_offset: None,
            watermark: None,
            last_add: None,
            last_execute: None,
            push_sources: Arc::new(BTreeMap::new()),
            polling_source: None,
            transform: None,
            info: None,
            license: None,
            attachments: None,
            counts: Counts {
                blocks: 1,
                ..Counts::default()
            },
        })
    }

    /// Checks the next block against all rules and takes it in. `hash` is that of the block's bytes. On an error the
    /// state is what it was.
    ///
    /// # Errors
    /// `InvalidEvent` with the rule that is broken. A schema in the legacy form that cannot be translated fails as the
    /// schema translation does.
    pub fn apply(&mut self, hash: Multihash, block: &MetadataBlock, strictness: Strictness) -> Result<()> {
        let schema = self.check(block, strictness)?;
        self.take(hash, block, schema);
        Ok(())
    }

    /// Takes the next block in whatever rule it breaks, and says which. For those who look for all that is wrong with a
    /// chain; the state is then not that of a valid one.
    pub(crate) fn apply_anyway(
        &mut self,
        hash: Multihash,
        block: &MetadataBlock,
        strictness: Strictness,
    ) -> Result<()> {
        let checked = self.check(block, strictness);
        let (schema, outcome) = match (checked, &block.event) {
            (Ok(schema), _) => (schema, Ok(())),
            (Err(error), MetadataEvent::SetDataSchema(event)) => (event.to_schema().ok(), Err(error)),
            (Err(error), _) => (None, Err(error)),
        };
        self.take(hash, block, schema);
        outcome
    }

    /// All rules of the next block; gives the schema that it sets.
    fn check(&self, block: &MetadataBlock, strictness: Strictness) -> Result<Option<DataSchema>> {
        link::check_next(self, block)?;
        match &block.event {
            MetadataEvent::Seed(_) => {
                Err(Rule::G1.broken("a Seed must be the first block and cannot follow another one"))
            }
            MetadataEvent::AddData(event) => data::check_add(self, event, strictness).map(|()| None),
            MetadataEvent::ExecuteTransform(event) => transform::check_execute(self, event, strictness).map(|()| None),
            MetadataEvent::SetPollingSource(event) => source::check_polling(self, event, strictness).map(|()| None),
            MetadataEvent::AddPushSource(event) => source::check_push(self, event, strictness).map(|()| None),
            MetadataEvent::DisablePushSource(_) | MetadataEvent::DisablePollingSource(_) => Err(Rule::G7
                .broken("sources cannot be disabled, because other implementations fail on that; replace the source")),
            MetadataEvent::SetTransform(event) => transform::check_set(self, event, strictness).map(|()| None),
            MetadataEvent::SetDataSchema(event) => schema::check_schema(self, event, strictness).map(Some),
            MetadataEvent::SetVocab(_)
            | MetadataEvent::SetAttachments(_)
            | MetadataEvent::SetInfo(_)
            | MetadataEvent::SetLicense(_) => Ok(None),
        }
    }

    fn take(&mut self, hash: Multihash, block: &MetadataBlock, schema: Option<DataSchema>) {
        match &block.event {
            MetadataEvent::Seed(_) | MetadataEvent::DisablePushSource(_) | MetadataEvent::DisablePollingSource(_) => {}
            MetadataEvent::AddData(event) => self.take_add(event, block),
            MetadataEvent::ExecuteTransform(event) => self.take_execute(event, block),
            MetadataEvent::SetPollingSource(event) => self.polling_source = Some(Arc::new(event.clone())),
            MetadataEvent::AddPushSource(event) => {
                Arc::make_mut(&mut self.push_sources).insert(event.source_name.clone(), event.clone());
            }
            MetadataEvent::SetTransform(event) => self.transform = Some(Arc::new(event.clone())),
            MetadataEvent::SetDataSchema(event) => {
                self.schema = schema.map(Arc::new);
                self.legacy_schema = event.raw_arrow_schema.is_some().then(|| Arc::new(event.clone()));
            }
            MetadataEvent::SetVocab(event) => self.vocabulary = Arc::new(Vocabulary::from(event)),
            MetadataEvent::SetAttachments(event) => self.attachments = Some(Arc::new(event.clone())),
            MetadataEvent::SetInfo(event) => self.info = Some(Arc::new(event.clone())),
            MetadataEvent::SetLicense(event) => self.license = Some(Arc::new(event.clone())),
        }
        self.head = hash;
        self.sequence_number = block.sequence_number;
        self.system_time = block.system_time;
        self.counts.blocks = self.counts.blocks.saturating_add(1);
    }

    fn take_add(&mut self, event: &AddData, block: &MetadataBlock) {
        self.take_data(&data::DataEvent::from(event), block);
        self.last_add = Some(Arc::new(AddPoint::from(event)));
    }

    fn take_execute(&mut self, event: &ExecuteTransform, block: &MetadataBlock) {
        self.take_data(&data::DataEvent::from(event), block);
        self.last_execute = Some(Arc::new(ExecutePoint::from(event)));
    }

    fn take_data(&mut self, event: &data::DataEvent<'_>, block: &MetadataBlock) {
        self.last_offset = event
            .new_data
            .map_or(event.prev_offset, |slice| Some(slice.offset_interval.end));
        self.watermark = event.new_watermark;
        self.last_data_at = Some(block.system_time);
        if let Some(slice) = event.new_data {
            self.counts.add_slice(slice);
        }
        self.counts.add_checkpoint(event.prev_checkpoint, event.new_checkpoint);
    }
}
