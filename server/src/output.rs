//! What commands print: tables for people, documents for programs, bars while they wait.

use std::io::{IsTerminal, Write};

use anyhow::{Result, bail};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::ValueEnum;
use comfy_table::{Cell, CellAlignment};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// How a command prints what it has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// One JSON document; one per line where there may be many.
    Json,
    /// One YAML document; several where there may be many.
    Yaml,
}

impl Output {
    /// Prints one document, or what says the same to people.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn print<P>(self, document: &impl Serialize, for_people: impl FnOnce() -> P) -> Result<()>
    where
        P: std::fmt::Display,
    {
        let text = match self {
            Self::Table => for_people().to_string(),
            Self::Json => serde_json::to_string_pretty(document)? + "\n",
            Self::Yaml => serde_yaml_ng::to_string(document)?,
        };
        Ok(std::io::stdout().write_all(text.as_bytes())?)
    }
}

/// Rows of text under column names.
#[derive(Debug)]
pub(crate) struct Table {
    inner: comfy_table::Table,
}

impl Table {
    /// An empty table. Columns whose names start with `>` hold numbers and are aligned to the right.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut inner = comfy_table::Table::new();
        // As tables of rows look.
        inner.load_preset("||--+-++|    ++++++");
        inner.set_header(columns.iter().map(|name| name.trim_start_matches('>')));
        for (column, name) in inner.column_iter_mut().zip(columns) {
            if name.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self { inner }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.inner.add_row(cells.into_iter().map(Cell::new));
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.inner)
    }
}

/// A bar with a total, on a terminal only. The template is one of `indicatif`.
pub(crate) fn progress_bar(total: u64, template: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(template);
    ProgressBar::with_draw_target(Some(total), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Asks before something that cannot be undone.
///
/// # Errors
/// When the answer is not yes, or there is nobody to ask.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!("{question} Give --yes to do it without being asked");
    }
    let mut terminal = console::Term::stderr();
    write!(terminal, "{question} [y/N] ")?;
    match terminal.read_line()?.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => bail!("nothing was done"),
    }
}

/// Bytes in a unit that people read.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// A number or word, or nothing.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A time to the second.
pub(crate) fn seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
