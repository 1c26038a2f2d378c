//! `jetway add`: makes datasets from manifests.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use jetway_control::datasets::{CheckedDataset, NewDataset, Refusal};
use jetway_odf::identity::{DatasetAlias, DatasetId};
use jetway_odf::metadata::DatasetKind;
use serde::Serialize;

use crate::output::{Output, Table, confirm};
use crate::workspace::{Place, Workspace};

mod source;

use source::Found;

const EXAMPLES: &str = "\
Examples:
  jetway add trades.yaml
  jetway add manifests -r --dry-run               check all manifests of a folder, make nothing
  jetway add trades.yaml --name alice/trades-2    under another name
  jetway add trades.yaml --replace --yes          delete the dataset of that name first
  cat *.yaml | jetway add -

A manifest of a root dataset:
  kind: DatasetSnapshot
  version: 1
  content:
    name: trades
    kind: Root
    metadata:
      - kind: AddPushSource
        sourceName: default
        read:
          kind: NdJson
        merge:
          kind: Append

A file may hold several manifests, in any order: datasets are made after those that they are
computed from. All of them are checked before the first one is made.";

/// Make datasets from manifests (DatasetSnapshot in YAML).
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files with manifests, - for standard input, or folders with --recursive.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Take all .yaml and .yml files in folders and in folders in them.
    #[arg(long, short)]
    recursive: bool,
    /// Name of the dataset, instead of that in its manifest.
    #[arg(long)]
    name: Option<DatasetAlias>,
    /// Delete datasets that are there already, and make them anew.
    #[arg(long)]
    replace: bool,
    /// Only check, and say what would be made.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before datasets are deleted.
    #[arg(long, short)]
    yes: bool,
    /// How the outcome is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

/// What became of a manifest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    id: DatasetId,
    name: String,
    kind: DatasetKind,
    outcome: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    Created,
    Replaced,
    WouldBeCreated,
    WouldBeReplaced,
    Failed,
    NotTried,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let (files, recursive) = (args.files, args.recursive);
    let read = tokio::task::spawn_blocking(move || source::read(&files, recursive));
    let mut found = read.await?.context("nothing was made")?;
    if let Some(name) = args.name {
        let [only] = found.as_mut_slice() else {
            bail!("--name names one dataset, but there are {} manifests", found.len());
        };
        only.dataset.snapshot.name = name;
    }
    let workspace = args.place.open_or_create().await?;
    let checked = check(&workspace, &found, args.replace).await?;
    let mut outcomes: Vec<Outcome> = checked.iter().map(|dataset| planned(dataset, args.dry_run)).collect();
    if args.dry_run {
        return args.output.print(&outcomes, || table(&outcomes));
    }
    let replaced: Vec<String> = checked
        .iter()
        .filter_map(|dataset| dataset.replaces.as_ref())
        .map(|old| old.alias.to_string())
        .collect();
    if !replaced.is_empty() {
        let question = format!("Delete and make anew, without their rows: {}?", replaced.join(", "));
        confirm(&question, args.yes)?;
    }
    let failure = make(&workspace, &found, checked, &mut outcomes).await.err();
    args.output.print(&outcomes, || table(&outcomes))?;
    failure.map_or(Ok(()), Err)
}

/// Checks everything; says which manifest is at fault.
async fn check(workspace: &Workspace, found: &[Found], replace: bool) -> Result<Vec<CheckedDataset>> {
    let datasets: Vec<NewDataset> = found.iter().map(|found| found.dataset.clone()).collect();
    let now = workspace.clock.now();
    let checked = workspace
        .catalog
        .check_new(&workspace.subject, datasets, replace, now)
        .await;
    checked.map_err(|Refusal { position, error }| {
        let place = position.and_then(|position| found.get(position)).map(Found::place);
        let error = anyhow!(error);
        let error = match place {
            Some(place) => error.context(place),
            None => error,
        };
        error.context("nothing was made")
    })
}

/// Makes one dataset after the other, and notes what became of each.
async fn make(
    workspace: &Workspace,
    found: &[Found],
    checked: Vec<CheckedDataset>,
    outcomes: &mut [Outcome],
) -> Result<()> {
    for (dataset, outcome) in checked.into_iter().zip(outcomes.iter_mut()) {
        let verdict = match dataset.replaces {
            Some(_) => Verdict::Replaced,
            None => Verdict::Created,
        };
        let place = found.get(dataset.position).map(Found::place).unwrap_or_default();
        match workspace.catalog.make(&workspace.subject, dataset).await {
            Ok(_) => outcome.outcome = verdict,
            Err(error) => {
                outcome.outcome = Verdict::Failed;
                return Err(anyhow!(error).context(place));
            }
        }
    }
    Ok(())
}

fn planned(dataset: &CheckedDataset, dry_run: bool) -> Outcome {
    Outcome {
        id: dataset.id,
        name: dataset.alias.to_string(),
        kind: dataset.kind,
        outcome: match (dry_run, &dataset.replaces) {
            (false, _) => Verdict::NotTried,
            (true, Some(_)) => Verdict::WouldBeReplaced,
            (true, None) => Verdict::WouldBeCreated,
        },
    }
}

fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(&["Dataset", "Kind", "Id", "Outcome"]);
    for outcome in outcomes {
        let verdict = match outcome.outcome {
            Verdict::Created => "created",
            Verdict::Replaced => "replaced",
            Verdict::WouldBeCreated => "would be created",
            Verdict::WouldBeReplaced => "would be replaced",
            Verdict::Failed => "failed",
            Verdict::NotTried => "not tried",
        };
        table.row([
            outcome.name.clone(),
            format!("{:?}", outcome.kind).to_lowercase(),
            outcome.id.to_string(),
            verdict.to_owned(),
        ]);
    }
    table
}
