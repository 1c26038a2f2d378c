//! Copies of datasets, as the command line does them.

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::transfer::{self, CopyOptions, CopyOutcome, CopyStats, Place, Progress, Relation};
use secrecy::SecretString;
use serde::Serialize;

use crate::output::{self, Output, Table, progress_bar};

pub(crate) mod location;

/// Flags of every copy.
#[derive(Debug, clap::Args)]
pub(crate) struct Copying {
    /// Replace the chain at the target also if it has blocks that would be lost.
    #[arg(long)]
    force: bool,
    /// Access token for the other node.
    #[arg(long, env = "JETWAY_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<SecretString>,
    /// How many slices are copied at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    parallel: usize,
    /// How the outcome is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// What a copy has done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    id: DatasetId,
    /// Where it went.
    target: String,
    outcome: &'static str,
    /// The target's head before.
    from: Option<Multihash>,
    head: Multihash,
    blocks: u64,
    objects: u64,
    objects_skipped: u64,
    bytes: u64,
    bytes_resumed: u64,
}

impl Copying {
    /// Copies, shows how far it is, and prints what came of it.
    ///
    /// # Errors
    /// When the copy fails, or is refused because blocks would be lost.
    pub(crate) async fn copy(
        &self,
        id: DatasetId,
        (source, target): (&Place, &Place),
        target_name: String,
        alias: Option<jetway_odf::identity::DatasetAlias>,
    ) -> Result<()> {
        let options = CopyOptions {
            force: self.force,
            alias,
            parallel: self.parallel,
            ..CopyOptions::default()
        };
        let bar = progress_bar(0, "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {msg}");
        let outcome = {
            let show = |progress: Progress| show(&bar, progress);
            transfer::copy(source, target, &options, &show).await
        };
        bar.finish_and_clear();
        let report = Report::of(id, &target_name, outcome?)?;
        self.output.print(&report, || report.table())
    }
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.bytes_total.max(progress.bytes));
    bar.set_position(progress.bytes);
    bar.set_message(if progress.objects_total == 0 {
        format!("{}/{} blocks", progress.blocks, progress.blocks_total)
    } else {
        format!("{}/{} objects", progress.objects, progress.objects_total)
    });
}

impl Report {
    fn of(id: DatasetId, target: &str, outcome: CopyOutcome) -> Result<Self> {
        let report = |outcome, from, head, stats: CopyStats| Self {
            id,
            target: target.to_owned(),
            outcome,
            from,
            head,
            blocks: stats.blocks,
            objects: stats.objects,
            objects_skipped: stats.objects_skipped,
            bytes: stats.bytes,
            bytes_resumed: stats.bytes_resumed,
        };
        match outcome {
            CopyOutcome::UpToDate { head } => Ok(report("upToDate", Some(head), head, CopyStats::default())),
            CopyOutcome::Copied {
                relation,
                from,
                head,
                stats,
            } => {
                let outcome = match relation {
                    Relation::New => "created",
                    Relation::Equal | Relation::Ahead { .. } => "forwarded",
                    Relation::Behind { .. } | Relation::Diverged { .. } | Relation::Unrelated => "overwritten",
                };
                Ok(report(outcome, from, head, stats))
            }
            CopyOutcome::Refused { relation } => match relation {
                Relation::Behind { blocks } => bail!(
                    "nothing was copied: {target} is {blocks} blocks ahead of the source; --force would take them away"
                ),
                Relation::Diverged {
                    common,
                    source_blocks,
                    target_blocks,
                } => bail!(
                    "nothing was copied: after block {common} the source has {source_blocks} blocks and {target} has {target_blocks} \
                     others; --force would replace them"
                ),
                Relation::Unrelated | Relation::New | Relation::Equal | Relation::Ahead { .. } => {
                    bail!("nothing was copied: {target} is another dataset with a history of its own")
                }
            },
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["Target", "Outcome", ">Blocks", ">Objects", ">Skipped", ">Bytes", "Head"]);
        table.row([
            self.target.clone(),
            self.outcome.to_owned(),
            self.blocks.to_string(),
            self.objects.to_string(),
            self.objects_skipped.to_string(),
            output::bytes(self.bytes),
            self.head.to_string(),
        ]);
        table
    }
}
