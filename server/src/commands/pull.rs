//! `jetway pull`: takes in what polling sources have that is new, or copies a dataset here.

use anyhow::{Context, Result, bail};
use jetway_odf::identity::DatasetAlias;
use jetway_odf::transfer::Place as Copied;
use jetway_planner::{Access, DatasetCatalog, ErrorKind};

use crate::copying::{Copying, location};
use crate::workspace::{DatasetArgument, Place, Workspace};

mod poll;

const EXAMPLES: &str = "\
Examples:
  jetway pull weather 'net.*'               what their sources have that is new
  jetway pull --all --output json
  jetway pull stations --env STATIONS_KEY   with a variable that the source's URL names
  jetway pull --from https://node.example.org/alice/trades
  jetway pull --from s3://bucket/datasets --dataset trades --as alice/trades
  jetway pull --from /mnt/backup/fed01...

The copy is the same to the byte. What is here already is not fetched again, and a copy that was cut
off goes on where it stopped. Objects that rows link to are not copied.";

/// Take in what polling sources have that is new, or copy a dataset from a node, a bucket or a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Datasets with a polling source: NAME, ACCOUNT/NAME, a DID, or a pattern such as 'net.*'.
    #[arg(required_unless_present_any = ["from", "all"], conflicts_with_all = ["from", "all"])]
    names: Vec<DatasetArgument>,
    /// All datasets with a polling source.
    #[arg(long, conflicts_with = "from")]
    all: bool,
    #[command(flatten)]
    polling: poll::Polling,
    /// A dataset as http(s)://HOST/ACCOUNT/NAME or as a folder (file:///PATH/ID, s3://BUCKET/PREFIX/ID), or a repository.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// Which dataset of the repository or node, by name or DID.
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Name that a new dataset gets here [default: its name there]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<DatasetAlias>,
    #[command(flatten)]
    copying: Copying,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let Some(from) = &args.from else {
        let workspace = args.place.open().await?;
        return poll::run(&workspace, &args.names, &args.polling, args.copying.output).await;
    };
    let workspace = args.place.open_or_create().await?;
    let token = args.copying.token.as_ref();
    let (source, name_there) = location::source(from, args.dataset.as_deref(), token, &workspace).await?;
    let id = source
        .dataset_id()
        .await?
        .with_context(|| format!("there is no dataset at {from}"))?;
    let (target, alias, is_new) = match workspace
        .catalog
        .resolve_id(&workspace.subject, &id, Access::Write)
        .await
    {
        Ok(dataset) => {
            if let Some(name) = &args.name
                && with_account(name.clone(), &workspace) != dataset.alias
            {
                bail!(
                    "the dataset is here already, as {}; leave out --as, or rename it first",
                    dataset.alias
                );
            }
            (dataset.storage, dataset.alias, false)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let name = args
                .name
                .or_else(|| name_there.map(|alias| DatasetAlias::new(None, alias.name)));
            let alias = with_account(
                name.context("the source does not say the dataset's name; give one with --as")?,
                &workspace,
            );
            let target = workspace
                .catalog
                .push_target(&workspace.subject, &alias, Some(id))
                .await;
            (target.context("choose another name with --as")?, alias, true)
        }
        Err(error) => return Err(error.into()),
    };
    let new_alias = is_new.then(|| alias.clone());
    let places = (&source, &Copied::Stored(target));
    args.copying.copy(id, places, alias.to_string(), new_alias).await
}

fn with_account(alias: DatasetAlias, workspace: &Workspace) -> DatasetAlias {
    DatasetAlias {
        account: Some(alias.account.unwrap_or_else(|| workspace.subject.name().clone())),
        name: alias.name,
    }
}
