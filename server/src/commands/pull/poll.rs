//! Takes in what polling sources have that is new.

use anyhow::{Result, bail};
use futures::stream::{self, StreamExt};
use jetway_control::RegisteredDataset;
use jetway_odf::chain::load;
use jetway_odf::identity::DatasetId;
use jetway_planner::{PullOptions, TableName};
use jetway_sources::FetchOptions;
use serde::Serialize;

use crate::cli::chain;
use crate::config::Period;
use crate::output::{Output, Table, counted, progress_bar};
use crate::workspace::{DatasetArgument, Workspace};

/// How many sources are fetched at the same time.
const CONCURRENT_PULLS: usize = 4;

/// What sources are allowed, and how patient the fetch is.
#[derive(Debug, clap::Args)]
#[group(id = "polling", multiple = true, conflicts_with = "from")]
#[command(next_help_heading = "Polling")]
pub(super) struct Polling {
    /// A variable that sources may use as ${{ env.NAME }}; without a value, that of the environment. May be repeated.
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Let `Pipe` steps of sources run their commands on this machine. Look at the manifests first.
    #[arg(long)]
    allow_pipe: bool,
    /// Fetch also sources that do not say what state they are in: all of their rows come once more.
    #[arg(long)]
    fetch_uncacheable: bool,
    /// How often a request that failed is repeated.
    #[arg(long, default_value_t = FetchOptions::default().retries)]
    retries: u32,
    /// How long a server may send nothing.
    #[arg(long, value_name = "PERIOD", default_value = "60s")]
    idle_timeout: Period,
}

/// The name and value of a variable. Others than those that are named stay out of reach of sources, which somebody else may
/// have written.
fn variable(text: &str) -> Result<(String, String), String> {
    if let Some((name, value)) = text.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    match std::env::var(text) {
        Ok(value) => Ok((text.to_owned(), value)),
        Err(_) => Err(format!("the environment has no variable {text}; write {text}=VALUE")),
    }
}

impl Polling {
    /// Whoever runs the command may read these files and reach these hosts anyway.
    fn options(&self) -> PullOptions {
        PullOptions {
            fetch_uncacheable: self.fetch_uncacheable,
            fetch: FetchOptions {
                variables: self.env.iter().cloned().collect(),
                allow_pipe: self.allow_pipe,
                retries: self.retries,
                idle_timeout: self.idle_timeout.duration(),
                ..FetchOptions::local()
            },
        }
    }
}

/// What became of one dataset.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    id: DatasetId,
    name: String,
    #[serde(flatten)]
    result: Pulled,
}

#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
enum Pulled {
    Updated {
        files: u64,
        rows: u64,
        events: u64,
    },
    UpToDate,
    /// The source does not say what state it is in, so it was not fetched again.
    Uncacheable,
    Failed {
        error: String,
    },
}

/// Pulls the named datasets; of those that patterns or no names mean, the ones with a polling source. What fails does not
/// keep the others from going on.
pub(super) async fn run(
    workspace: &Workspace,
    names: &[DatasetArgument],
    polling: &Polling,
    output: Output,
) -> Result<()> {
    let mut datasets = Vec::new();
    for dataset in workspace.registered(names).await? {
        let is_named = names.iter().any(|name| name.is_name_of(&dataset, &workspace.subject));
        if is_named || is_polled(workspace, &dataset).await {
            datasets.push(dataset);
        }
    }
    let bar = progress_bar(datasets.len() as u64, "{bar:40} {pos}/{len} {msg} {elapsed}");
    let outcomes: Vec<Outcome> = stream::iter(datasets)
        .map(async |dataset| {
            bar.set_message(dataset.alias.to_string());
            let result = pull(workspace, &dataset, polling.options()).await;
            bar.inc(1);
            Outcome {
                id: dataset.id,
                name: dataset.alias.to_string(),
                result: result.unwrap_or_else(|error| Pulled::Failed {
                    error: chain(error.as_ref()),
                }),
            }
        })
        .buffered(CONCURRENT_PULLS)
        .collect()
        .await;
    bar.finish_and_clear();
    output.print(&outcomes, || table(&outcomes))?;
    let failed = outcomes
        .iter()
        .filter(|outcome| matches!(outcome.result, Pulled::Failed { .. }));
    match failed.count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} not pulled", counted(outcomes.len() as u64, "dataset")),
    }
}

/// A dataset that cannot be read may have a polling source; the pull says what is wrong with it.
async fn is_polled(workspace: &Workspace, dataset: &RegisteredDataset) -> bool {
    let state = async {
        let dataset = workspace.pin(dataset).await?;
        Ok::<_, anyhow::Error>(load(&dataset.storage, dataset.head, |_| ()).await?)
    };
    state.await.map_or(true, |state| state.polling_source().is_some())
}

async fn pull(workspace: &Workspace, dataset: &RegisteredDataset, options: PullOptions) -> Result<Pulled> {
    let name = TableName::Id(dataset.id);
    let outcome = workspace.planner()?.pull(&workspace.subject, &name, options).await?;
    Ok(match (outcome.changed, outcome.uncacheable) {
        (true, _) => Pulled::Updated {
            files: outcome.files,
            rows: outcome.rows,
            events: outcome.events,
        },
        (false, true) => Pulled::Uncacheable,
        (false, false) => Pulled::UpToDate,
    })
}

fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(&["Dataset", "Outcome", ">Files", ">Rows", ">Events"]);
    for outcome in outcomes {
        let mut cells = vec![outcome.name.clone()];
        match &outcome.result {
            Pulled::Updated { files, rows, events } => cells.extend([
                "updated".to_owned(),
                files.to_string(),
                rows.to_string(),
                events.to_string(),
            ]),
            Pulled::UpToDate => cells.push("up to date".to_owned()),
            Pulled::Uncacheable => {
                cells.push("not fetched again: its state is not known (--fetch-uncacheable)".to_owned())
            }
            Pulled::Failed { error } => cells.push(format!("failed: {error}")),
        }
        table.row(cells);
    }
    table
}
