//! `jetway verify-query`: checks an answer and its proof, and asks again.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use arrow_flight::Action;
use futures::TryStreamExt;
use jetway_odf::proof::{DidKey, Document, Fault, QueryInput};
use serde::Serialize;
use serde_json::Value;

use super::identity;
use crate::client::{Client, Connection, explain, explain_status};
use crate::output::Output;
use crate::workspace::Place;

const EXAMPLES: &str = "\
Examples:
  jetway verify-query answer.json                           at the node: hashes, signature, signer, and the query again
  jetway verify-query answer.json --signer did:key:z6Mk...  signed by the node of this name, verified at any other
  jetway verify-query answer.json --offline --signer did:key:z6Mk...
  jetway verify-query answer.json --workspace --repository s3://bucket/prefix

`jetway sql --proof FILE` and POST /query write such files; `jetway identity` tells the name of a node.
The exit code is 1 when the answer is not proved.";

/// Check an answer and its proof: its hashes, its signature, who signed, and whether the query gives it again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// File with the answer and its proof.
    file: PathBuf,
    /// Name of the node that must have signed; several are possible. Unless given, the node that is asked, or whose data
    /// folder it is.
    #[arg(long, value_name = "DID")]
    signer: Vec<DidKey>,
    /// Do not run the query again: check hashes, signature and signer only.
    #[arg(long, conflicts_with = "workspace")]
    offline: bool,
    /// Run the query again over the datasets of --repository or --data-dir, without a node.
    #[arg(long)]
    workspace: bool,
    /// How the outcome is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    place: Place,
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    ok: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
    /// Who signed.
    signer: DidKey,
    /// Whether it is somebody whose signature was to be expected; unknown if nobody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    known_signer: Option<bool>,
    /// Whether the query was run again.
    ran_again: bool,
    /// What was asked; absent if the input is not to be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<QueryInput>,
}

/// Where the query is run again.
enum Where {
    Nowhere,
    Node(Box<Client>),
    Workspace(Box<crate::workspace::Workspace>),
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let text = std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let document = Document::parse(&text).with_context(|| {
        format!(
            "{} is no answer with a proof; `jetway sql --proof FILE` writes one",
            args.file.display()
        )
    })?;
    drop(text);
    if document.output.is_none() {
        bail!(
            "{} has a proof, but not the answer that it is about",
            args.file.display()
        );
    }
    // A false document is told without asking anybody.
    let mut outcome = document.check(&args.signer).map_err(|fault| told(&fault));
    let (mut signers, mut ran_again) = (args.signer.clone(), false);
    if outcome.is_ok() {
        let mut place = open(&args).await?;
        if signers.is_empty() {
            signers = usual_signers(&mut place).await?;
            outcome = document.check(&signers).map_err(|fault| told(&fault));
        }
        if outcome.is_ok() {
            outcome = ask_again(&mut place, document.clone()).await?;
            ran_again = !matches!(place, Where::Nowhere);
        }
    }
    let error = outcome.err();
    let verified = Verified {
        ok: error.is_none(),
        signer: document.proof.verification_method,
        known_signer: (!signers.is_empty()).then(|| signers.contains(&document.proof.verification_method)),
        ran_again,
        input: match &error {
            None => Some(serde_json::from_value(document.input).context("the input of the proof is no query")?),
            Some(_) => None,
        },
        error,
    };
    args.output.print(&verified, || ForPeople(&verified))?;
    match &verified.error {
        None => Ok(()),
        Some(error) => bail!("the answer is not proved: {}", sentence(error)),
    }
}

async fn open(args: &Args) -> Result<Where> {
    Ok(if args.offline {
        Where::Nowhere
    } else if args.workspace {
        Where::Workspace(Box::new(args.place.open().await?))
    } else {
        Where::Node(Box::new(args.connection.open().await?))
    })
}

/// Who signs at the place where the query is run again.
async fn usual_signers(place: &mut Where) -> Result<Vec<DidKey>> {
    Ok(match place {
        Where::Nowhere => Vec::new(),
        Where::Workspace(workspace) => identity::of(&workspace.config)?.into_iter().collect(),
        Where::Node(client) => {
            let name = act(client, "jetway.Identity", Vec::new()).await?;
            vec![
                String::from_utf8_lossy(&name)
                    .parse()
                    .context("the node told no name of its key")?,
            ]
        }
    })
}

/// Runs the query again; the inner error is what is wrong with the proof.
async fn ask_again(place: &mut Where, document: Document) -> Result<Result<(), Value>> {
    // The answer was compared with its hash here.
    let document = Document {
        output: None,
        ..document
    };
    match place {
        Where::Nowhere => Ok(Ok(())),
        Where::Workspace(workspace) => {
            let outcome = workspace.planner()?.verify(&workspace.subject, &document).await?;
            Ok(outcome.map_err(|fault| told(&fault)))
        }
        Where::Node(client) => {
            let body = document.to_json().to_string().into_bytes();
            let verdict = act(client, "jetway.Verify", body).await?;
            let verdict: Value = serde_json::from_slice(&verdict).context("the node told no verdict")?;
            Ok(match verdict.get("ok") {
                Some(Value::Bool(true)) => Ok(()),
                _ => Err(verdict.get("error").cloned().unwrap_or(Value::Null)),
            })
        }
    }
}

async fn act(client: &mut Client, action: &str, body: Vec<u8>) -> Result<Vec<u8>> {
    let action = Action {
        r#type: action.to_owned(),
        body: body.into(),
    };
    let mut answers = client.do_action(action).await.map_err(explain)?;
    let answer = answers.try_next().await.map_err(|status| explain_status(&status))?;
    Ok(answer.context("the node did not answer")?.body.to_vec())
}

fn told(fault: &Fault) -> Value {
    serde_json::to_value(fault).unwrap_or_else(|_| Value::from(fault.kind()))
}

/// What is wrong, with what it is about.
fn sentence(error: &Value) -> String {
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let members = error.as_object().into_iter().flatten();
    let about = members.filter(|(name, _)| *name != "kind" && *name != "message");
    let about: Vec<String> = about
        .map(|(name, value)| format!("{name}: {}", value.as_str().unwrap_or_default()))
        .collect();
    let about = if about.is_empty() {
        String::new()
    } else {
        format!(" ({})", about.join(", "))
    };
    format!("{}{about}", text("message"))
}

struct ForPeople<'a>(&'a Verified);

impl fmt::Display for ForPeople<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verified {
            signer,
            known_signer,
            ran_again,
            input: Some(input),
            ..
        } = self.0
        else {
            return Ok(());
        };
        let mut datasets = String::new();
        for state in input.datasets.iter().flatten() {
            let block = state.block_hash.map(|hash| hash.to_string()).unwrap_or_default();
            write!(datasets, "\n           {} ({}) at {block}", state.alias, state.id)?;
        }
        let signer_is = match known_signer {
            Some(true) => "",
            _ => ", and nobody said whether that is the node that was asked: give --signer",
        };
        let again = if *ran_again {
            "gives the same answer again"
        } else {
            "was not run again"
        };
        writeln!(f, "the answer is the one that was signed")?;
        writeln!(f, "signed by  {signer}{signer_is}")?;
        writeln!(f, "query      {}", input.query.replace('\n', "\n           "))?;
        writeln!(f, "datasets   {}", datasets.trim_start())?;
        writeln!(f, "the query  {again}")
    }
}
