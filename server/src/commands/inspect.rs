//! `jetway inspect`: what a dataset is made of.

use std::io::Write;

use anyhow::{Result, bail};
use clap::Subcommand;
use jetway_odf::metadata::Transform;

use crate::workspace::{DatasetArgument, Place};

mod lineage;
mod schema;

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// The columns of a dataset.
    #[command(after_help = "Examples:\n  jetway inspect schema trades\n  jetway inspect schema trades --output ddl")]
    Schema {
        /// NAME, ACCOUNT/NAME or a DID.
        name: DatasetArgument,
        /// In which language the columns are described.
        #[arg(long, short, value_enum, default_value_t = schema::Output::Yaml)]
        output: schema::Output,
        #[command(flatten)]
        place: Place,
    },
    /// What a dataset is computed from, and what that is computed from.
    #[command(
        after_help = "Examples:\n  jetway inspect lineage report\n  jetway inspect lineage report --output dot | dot -Tsvg > report.svg"
    )]
    Lineage {
        /// NAME, ACCOUNT/NAME or a DID.
        name: DatasetArgument,
        /// How the datasets are drawn.
        #[arg(long, short, value_enum, default_value_t = lineage::Output::Tree)]
        output: lineage::Output,
        #[command(flatten)]
        place: Place,
    },
    /// The SQL that computes a derivative dataset.
    #[command(after_help = "Example:\n  jetway inspect query report")]
    Query {
        /// NAME, ACCOUNT/NAME or a DID.
        name: DatasetArgument,
        #[command(flatten)]
        place: Place,
    },
}

pub(crate) async fn run(action: Action) -> Result<()> {
    match action {
        Action::Schema { name, output, place } => schema::run(name, output, &place).await,
        Action::Lineage { name, output, place } => lineage::run(name, output, &place).await,
        Action::Query { name, place } => query(name, &place).await,
    }
}

async fn query(name: DatasetArgument, place: &Place) -> Result<()> {
    let workspace = place.open().await?;
    let dataset = workspace.dataset(&name).await?;
    let Some(transform) = workspace.catalog.transform(&dataset).await? else {
        bail!(
            "{} is not computed from other datasets, so it has no query",
            dataset.alias
        );
    };
    let mut stdout = std::io::stdout();
    let Transform::Sql(sql) = transform.transform;
    let version = sql.version.map(|version| format!(" {version}")).unwrap_or_default();
    writeln!(stdout, "-- engine: {}{version}", sql.engine)?;
    for input in transform.inputs {
        let alias = input.alias.unwrap_or_default();
        writeln!(stdout, "-- input: {alias} is {}", input.dataset_ref)?;
    }
    for table in sql.temporal_tables.unwrap_or_default() {
        let key = table.primary_key.join(", ");
        writeln!(stdout, "-- temporal table: {} by {key}", table.name)?;
    }
    if let Some(query) = sql.query {
        writeln!(stdout, "{};", query.trim_end())?;
    }
    for step in sql.queries.unwrap_or_default() {
        if let Some(alias) = step.alias {
            writeln!(stdout, "-- step: {alias}")?;
        }
        writeln!(stdout, "{};", step.query.trim_end().trim_end_matches(';'))?;
    }
    Ok(())
}
