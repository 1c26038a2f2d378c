//! Pulls: fetch, unpack and read what a polling source has, and take it in.

use futures::TryStreamExt;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_sources::{FetchOptions, Fetched, FetchedFile};

use crate::ingest::intake::{Intake, Polled, polling_source};
use crate::ingest::{Ingest, IngestOutcome};
use crate::{BatchStream, Error, Result, Subject, TableName};

/// How a pull is done.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Limits of fetching, and what the caller may reach.
    pub fetch: FetchOptions,
    /// Whether a source that does not say what state it is in is fetched again. Usually it is not, because all of its rows
    /// would come once more.
    pub fetch_uncacheable: bool,
}

/// What a pull did.
#[derive(Debug, Clone)]
pub struct PullOutcome {
    /// The dataset.
    pub dataset: DatasetId,
    /// Files that were fetched; each becomes a commit of its own.
    pub files: u64,
    /// Rows that were taken in, after the source's preprocessing.
    pub rows: u64,
    /// Events that they became.
    pub events: u64,
    /// The dataset's newest block.
    pub head: Multihash,
    /// Whether anything was committed.
    pub changed: bool,
    /// Whether nothing was fetched because the source does not say what state it is in, see
    /// [`PullOptions::fetch_uncacheable`].
    pub uncacheable: bool,
}

impl Ingest {
    /// Takes in what the dataset's polling source has that is new, file by file.
    pub(crate) async fn pull(
        &self,
        subject: &Subject,
        name: &TableName,
        mut options: PullOptions,
    ) -> Result<PullOutcome> {
        let dataset = self.writable(subject, name).await?;
        options
            .fetch
            .temp_dir
            .get_or_insert_with(|| self.services.temp_dir.clone());
        // Of several pulls of a dataset one fetches, and the others then see what it left.
        let _turn = self.pulls.turn(subject, &TableName::Id(dataset.id)).await;
        let mut outcome = PullOutcome {
            dataset: dataset.id,
            files: 0,
            rows: 0,
            events: 0,
            head: dataset.head,
            changed: false,
            uncacheable: false,
        };
        loop {
            let (more, file) = match self.pull_file(subject, dataset.id, &options).await? {
                Step::Nothing => return Ok(outcome),
                Step::Uncacheable => {
                    outcome.uncacheable = outcome.files == 0;
                    return Ok(outcome);
                }
                Step::File { more, outcome } => (more, outcome),
            };
            outcome.files += 1;
            outcome.rows += file.rows;
            outcome.events += file.events;
            outcome.head = file.head;
            outcome.changed |= file.changed;
            // What leaves the state as it was would be fetched for ever.
            if !more || !file.changed {
                return Ok(outcome);
            }
        }
    }

    async fn pull_file(&self, subject: &Subject, id: DatasetId, options: &PullOptions) -> Result<Step> {
        let dataset = self.writable(subject, &TableName::Id(id)).await?;
        let summary = self.services.summaries.get(&dataset).await?;
        let source = polling_source(&summary.state)?;
        let before = summary.state.source_state();
        if before.is_none() && summary.state.last_offset().is_some() && !options.fetch_uncacheable {
            return Ok(Step::Uncacheable);
        }
        let fetched = jetway_sources::fetch(&source.fetch, before, &options.fetch).await?;
        let Fetched::Changed(FetchedFile {
            input,
            event_time,
            state,
            has_more,
        }) = fetched
        else {
            return Ok(Step::Nothing);
        };
        let steps = source.prepare.as_deref().unwrap_or_default();
        let input = jetway_sources::prepare(steps, input, &options.fetch).await?;
        let rows = jetway_sources::read(&source.read, input, &self.read_options()).await?;
        let rows = BatchStream::new(rows.schema(), rows.map_err(Error::from));
        let polled = Polled {
            before: before.cloned(),
            next_offset: summary.state.next_offset(),
            after: state,
        };
        let intake = Intake::of_poll(source, event_time, polled);
        let outcome = self.take_in(subject, dataset, &summary, intake, rows).await?;
        Ok(Step::File {
            more: has_more,
            outcome,
        })
    }
}

/// One round of a pull.
enum Step {
    Nothing,
    Uncacheable,
    File { more: bool, outcome: IngestOutcome },
}
