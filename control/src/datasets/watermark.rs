//! Saying up to which event time the data of a root dataset is complete.

use chrono::{DateTime, Utc};
use jetway_odf::chain::{self, Advanced};
use jetway_odf::codec::ManifestVersion;
use jetway_odf::identity::Multihash;
use jetway_odf::metadata::{AddData, DatasetKind, MetadataEvent};
use jetway_odf::storage::CommitOutcome;
use jetway_planner::{Access, DatasetCatalog, Error, ErrorKind, PinnedDataset, Result, Subject};

use crate::registry::{StorageCatalog, allow, not_found};

/// How often a commit is tried again when somebody else was faster.
const ATTEMPTS: usize = 16;

/// What came of setting a watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Watermark {
    /// It was set, by this block.
    Set(Multihash),
    /// The dataset had it already.
    Unchanged,
}

impl StorageCatalog {
    /// Sets the watermark of a root dataset, keeping everything else that its last block says. When somebody else commits
    /// at the same moment, it is set after that.
    ///
    /// # Errors
    /// `InvalidArgument` if the watermark would go back or the dataset is a derivative one; `Conflict` if others were
    /// faster again and again; `PermissionDenied`; those of storage.
    pub async fn set_watermark(
        &self,
        subject: &Subject,
        dataset: &PinnedDataset,
        watermark: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Watermark> {
        allow(subject, &dataset.alias, Access::Write)?;
        let invalid = |message: String| {
            Error::new(ErrorKind::InvalidArgument, message).with_context("dataset", dataset.alias.to_string())
        };
        if dataset.kind == DatasetKind::Derivative {
            return Err(invalid(
                "the watermark of a derivative dataset follows from its inputs; set it on those".to_owned(),
            ));
        }
        let mut state = chain::load(&dataset.storage, dataset.head, |_| ()).await?;
        for _ in 0..ATTEMPTS {
            match state.watermark() {
                Some(current) if current == watermark => return Ok(Watermark::Unchanged),
                Some(current) if current > watermark => {
                    return Err(invalid(format!(
                        "a watermark never goes back: it is {current:?} already; give a later time"
                    )));
                }
                _ => {}
            }
            let event = AddData {
                prev_checkpoint: state.checkpoint().map(|checkpoint| checkpoint.physical_hash),
                prev_offset: state.last_offset(),
                new_data: None,
                new_checkpoint: state.checkpoint().cloned(),
                new_watermark: Some(watermark),
                new_source_state: state.source_state().cloned(),
                ..AddData::default()
            };
            let (blocks, _) = state.append(
                vec![MetadataEvent::AddData(event)],
                state.next_system_time(now),
                ManifestVersion::default(),
            )?;
            let committed = self.commit(subject, dataset, state.head(), blocks, Vec::new()).await?;
            match committed {
                CommitOutcome::Committed { head } => return Ok(Watermark::Set(head)),
                CommitOutcome::Unchanged => return Ok(Watermark::Unchanged),
                CommitOutcome::Conflict { actual: None } => return Err(not_found()),
                CommitOutcome::Conflict { actual: Some(head) } => {
                    if chain::advance(&mut state, &dataset.storage, head, |_| ()).await? == Advanced::Diverged {
                        state = chain::load(&dataset.storage, head, |_| ()).await?;
                    }
                }
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "others have written to the dataset again and again, so the watermark was not set; try again",
        )
        .with_context("dataset", dataset.alias.to_string()))
    }
}
