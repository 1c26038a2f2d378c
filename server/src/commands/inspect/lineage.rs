//! What a dataset is computed from, as a tree, a graph or a document.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::io::Write;

use anyhow::Result;
use clap::ValueEnum;
use jetway_control::datasets::Input;
use jetway_odf::identity::DatasetId;
use jetway_odf::metadata::DatasetKind;
use jetway_planner::{Access, DatasetCatalog, ErrorKind, PinnedDataset};
use serde::Serialize;

use crate::workspace::{DatasetArgument, Place, Workspace};

/// How lineage is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Tree,
    /// One JSON document with all datasets and their inputs.
    Json,
    /// A graph for Graphviz.
    Dot,
}

/// A dataset and everything that it is computed from, directly or not.
#[derive(Debug, Serialize)]
struct Lineage {
    root: DatasetId,
    datasets: Vec<Node>,
}

#[derive(Debug, Serialize)]
struct Node {
    id: DatasetId,
    /// Absent if the dataset is not here.
    name: Option<String>,
    kind: Option<DatasetKind>,
    inputs: Vec<Edge>,
}

#[derive(Debug, Serialize)]
struct Edge {
    id: DatasetId,
    /// What the query calls the input.
    alias: Option<String>,
}

impl From<Input> for Edge {
    fn from(Input { id, alias }: Input) -> Self {
        Self { id, alias }
    }
}

pub(super) async fn run(name: DatasetArgument, output: Output, place: &Place) -> Result<()> {
    let workspace = place.open().await?;
    let dataset = workspace.dataset(&name).await?;
    let lineage = read(&workspace, dataset).await?;
    let text = match output {
        Output::Tree => lineage.tree(),
        Output::Json => serde_json::to_string_pretty(&lineage)? + "\n",
        Output::Dot => lineage.dot(),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// Reads each dataset once.
async fn read(workspace: &Workspace, root: PinnedDataset) -> Result<Lineage> {
    let mut lineage = Lineage {
        root: root.id,
        datasets: Vec::new(),
    };
    let mut seen = HashSet::from([root.id]);
    let mut waiting = VecDeque::from([root.id]);
    while let Some(id) = waiting.pop_front() {
        let node = match workspace
            .catalog
            .resolve_id(&workspace.subject, &id, Access::Read)
            .await
        {
            Ok(dataset) => {
                let inputs = workspace.catalog.inputs(&dataset).await?;
                let new = inputs.iter().map(|input| input.id).filter(|id| seen.insert(*id));
                waiting.extend(new);
                Node {
                    id,
                    name: Some(dataset.alias.to_string()),
                    kind: Some(dataset.kind),
                    inputs: inputs.into_iter().map(Edge::from).collect(),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Node {
                id,
                name: None,
                kind: None,
                inputs: Vec::new(),
            },
            Err(error) => return Err(error.into()),
        };
        lineage.datasets.push(node);
    }
    Ok(lineage)
}

impl Lineage {
    /// Inputs are below what is computed from them. What is drawn twice has its inputs the first time only.
    fn tree(&self) -> String {
        let nodes: HashMap<DatasetId, &Node> = self.datasets.iter().map(|node| (node.id, node)).collect();
        let mut text = String::new();
        let mut drawn = HashSet::new();
        // What is to be drawn, last first: the dataset, the lines before it, and its alias.
        let mut waiting = vec![(self.root, String::new(), String::new(), None::<&str>)];
        while let Some((id, first, rest, alias)) = waiting.pop() {
            let Some(node) = nodes.get(&id) else { continue };
            let is_new = drawn.insert(id);
            let again = if is_new || node.inputs.is_empty() {
                ""
            } else {
                " (see above)"
            };
            // Writing to a text does not fail.
            let _ = writeln!(text, "{first}{}{again}", node.label(alias));
            if !is_new {
                continue;
            }
            for (index, input) in node.inputs.iter().enumerate().rev() {
                let (branch, below) = if index + 1 == node.inputs.len() {
                    ("└── ", "    ")
                } else {
                    ("├── ", "│   ")
                };
                let alias = input.alias.as_deref();
                waiting.push((input.id, format!("{rest}{branch}"), format!("{rest}{below}"), alias));
            }
        }
        text
    }

    fn dot(&self) -> String {
        let mut text = "digraph lineage {\n  rankdir = LR;\n  node [shape = box];\n".to_owned();
        let quoted = |label: &str| format!("\"{}\"", label.replace('\\', "\\\\").replace('"', "\\\""));
        for node in &self.datasets {
            let label = node.name.clone().unwrap_or_else(|| node.id.to_string());
            let style = match node.kind {
                Some(DatasetKind::Root) => "",
                Some(DatasetKind::Derivative) => ", style = rounded",
                None => ", style = dashed",
            };
            let _ = writeln!(
                text,
                "  {} [label = {}{style}];",
                quoted(&node.id.to_string()),
                quoted(&label)
            );
            for input in &node.inputs {
                let label = input.alias.as_deref().unwrap_or_default();
                let (from, to) = (input.id.to_string(), node.id.to_string());
                let _ = writeln!(
                    text,
                    "  {} -> {} [label = {}];",
                    quoted(&from),
                    quoted(&to),
                    quoted(label)
                );
            }
        }
        text.push_str("}\n");
        text
    }
}

impl Node {
    fn label(&self, alias: Option<&str>) -> String {
        let mut label = match (&self.name, self.kind) {
            (Some(name), Some(kind)) => format!("{name} ({})", format!("{kind:?}").to_lowercase()),
            _ => format!("{} (not here)", self.id),
        };
        // Most queries call an input by its name.
        if let Some(alias) = alias
            && self
                .name
                .as_deref()
                .is_none_or(|name| name.rsplit('/').next() != Some(alias))
        {
            let _ = write!(label, " as {alias}");
        }
        label
    }
}
