//! Figures for people and for programs.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) what: String,
    /// The figure, with its unit.
    pub(crate) value: String,
    /// What it is measured against, and what that took.
    pub(crate) against: String,
    /// What it should be.
    pub(crate) target: String,
}

/// All figures of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn add(
        &mut self,
        what: impl Into<String>,
        value: impl Into<String>,
        against: impl Into<String>,
        target: &str,
    ) {
        let figure = Figure {
            what: what.into(),
            value: value.into(),
            against: against.into(),
            target: target.to_owned(),
        };
        eprintln!("{}: {} ({})", figure.what, figure.value, figure.against);
        self.figures.push(figure);
    }

    /// Prints the figures; a full run is also kept in `docs/benchmarks.md`.
    pub(crate) fn print(&self, json: bool, full: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(&self.figures)?);
            return Ok(());
        }
        let table = self.table()?;
        println!("{table}");
        if full {
            let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
            std::fs::create_dir_all(&docs)?;
            std::fs::write(docs.join("benchmarks.md"), format!("{INTRODUCTION}\n{table}"))?;
        }
        Ok(())
    }

    fn table(&self) -> Result<String> {
        let mut table = String::from("| what | measured | against | target |\n|---|---|---|---|\n");
        for figure in &self.figures {
            writeln!(
                table,
                "| {} | {} | {} | {} |",
                figure.what, figure.value, figure.against, figure.target
            )?;
        }
        Ok(table)
    }
}

const INTRODUCTION: &str = "# Benchmarks

Made by `cargo xtask bench`: a release build, one run, client, node and peers side by side on one machine with two cores.
Each figure that is a ratio is one against a peer or a limit measured in the same run; the median of several runs counts.
";
