//! The columns of a dataset in several languages.

use std::io::Write;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use jetway_odf::chain::load;
use parquet::arrow::ArrowSchemaConverter;
use parquet::schema::printer::print_schema;

use crate::workspace::{DatasetArgument, Place};

mod arrow_json;
mod ddl;

/// In which language columns are described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The format's own, as in SetDataSchema.
    Yaml,
    /// The same as JSON.
    Json,
    /// Column definitions of SQL.
    Ddl,
    /// The JSON form of Arrow schemas.
    ArrowJson,
    /// A message type of Parquet.
    Parquet,
}

pub(super) async fn run(name: DatasetArgument, output: Output, place: &Place) -> Result<()> {
    let workspace = place.open().await?;
    let dataset = workspace.dataset(&name).await?;
    let state = load(&dataset.storage, dataset.head, |_| ()).await?;
    let Some(schema) = state.schema() else {
        bail!("{} has no schema yet: it gets one with its first rows", dataset.alias);
    };
    let text = match output {
        Output::Yaml => serde_yaml_ng::to_string(&**schema)?,
        Output::Json => serde_json::to_string_pretty(&**schema)? + "\n",
        Output::Ddl => ddl::columns(schema),
        Output::ArrowJson => serde_json::to_string_pretty(&arrow_json::schema(&schema.to_arrow()?)?)? + "\n",
        Output::Parquet => {
            let converted = ArrowSchemaConverter::new()
                .schema_root("arrow_schema")
                .convert(&schema.to_arrow()?);
            let mut text = Vec::new();
            print_schema(
                &mut text,
                converted.context("Parquet cannot hold these columns")?.root_schema(),
            );
            String::from_utf8(text)?
        }
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

#[cfg(test)]
mod tests;
