//! Rules of push and polling sources.

use crate::chain::apply::Strictness;
use crate::chain::check::check_kind;
use crate::chain::check::transform::check_normalized;
use crate::chain::rule::Rule;
use crate::chain::state::ChainState;
use crate::error::Result;
use crate::metadata::{AddPushSource, DataSchema, DatasetKind, FetchStep, ReadStep, ReadStepCsv, SetPollingSource};

/// All rules of AddPushSource.
pub(in crate::chain) fn check_push(state: &ChainState, event: &AddPushSource, strictness: Strictness) -> Result<()> {
    check_kind(state, "AddPushSource", DatasetKind::Root, strictness)?;
    if let Some(transform) = &event.preprocess {
        check_normalized(transform)?;
    }
    check_read(&event.read)?;
    if state.polling_source.is_some() {
        return Err(Rule::S7.broken(format!(
            "a dataset has either push sources or a polling source, and this one has a polling source, \
             so the push source \"{}\" cannot be added",
            event.source_name.escape_debug()
        )));
    }
    if state
        .push_sources
        .get(&event.source_name)
        .is_some_and(|previous| is_same_source(previous, event))
    {
        return Err(Rule::S6.broken(format!(
            "the push source \"{}\" must differ from the previous one, but is the same",
            event.source_name.escape_debug()
        )));
    }
    Ok(())
}

/// All rules of SetPollingSource.
pub(in crate::chain) fn check_polling(
    state: &ChainState,
    event: &SetPollingSource,
    strictness: Strictness,
) -> Result<()> {
    check_kind(state, "SetPollingSource", DatasetKind::Root, strictness)?;
    if let Some(transform) = &event.preprocess {
        check_normalized(transform)?;
    }
    check_read(&event.read)?;
    if let FetchStep::EthereumLogs {
        chain_id: None,
        node_url: None,
        ..
    } = &event.fetch
    {
        return Err(Rule::S8.broken("a source of Ethereum logs must have `chainId` or `nodeUrl`, but has neither"));
    }
    if let Some(name) = state.push_sources.keys().next() {
        return Err(Rule::S7.broken(format!(
            "a dataset has either push sources or a polling source, and this one has the push source \"{}\", \
             so a polling source cannot be set",
            name.escape_debug()
        )));
    }
    Ok(())
}

/// S5: columns are given in one form at most.
pub(in crate::chain) fn check_read(read: &ReadStep) -> Result<()> {
    let (ReadStep::Csv(ReadStepCsv { schema, ddl_schema, .. })
    | ReadStep::GeoJson { schema, ddl_schema }
    | ReadStep::EsriShapefile { schema, ddl_schema, .. }
    | ReadStep::Parquet { schema, ddl_schema }
    | ReadStep::Json { schema, ddl_schema, .. }
    | ReadStep::NdJson { schema, ddl_schema, .. }
    | ReadStep::NdGeoJson { schema, ddl_schema }) = read;
    if schema.is_some() && ddl_schema.is_some() {
        return Err(Rule::S5
            .broken("the columns of a source must be given either as `schema` or as `ddlSchema`, but both are there"));
    }
    Ok(())
}

/// Whether two sources mean the same: an option that is left out is its default.
fn is_same_source(left: &AddPushSource, right: &AddPushSource) -> bool {
    let (mut left, mut right) = (left.clone(), right.clone());
    let same_columns = match (strip_read(&mut left.read), strip_read(&mut right.read)) {
        (Some(left), Some(right)) => left.is_equivalent(&right),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    same_columns && left == right
}

/// Drops options that have their default value, and takes the schema out.
fn strip_read(read: &mut ReadStep) -> Option<DataSchema> {
    if let ReadStep::Csv(csv) = read {
        drop_default(&mut csv.separator, ",");
        drop_default(&mut csv.quote, "\"");
        drop_default(&mut csv.escape, "\\");
        drop_default(&mut csv.null_value, "");
        csv.header = csv.header.filter(|header| *header);
        csv.infer_schema = csv.infer_schema.filter(|infer| *infer);
    }
    match read {
        ReadStep::Csv(ReadStepCsv {
            encoding,
            date_format,
            timestamp_format,
            schema,
            ..
        })
        | ReadStep::Json {
            encoding,
            date_format,
            timestamp_format,
            schema,
            ..
        }
        | ReadStep::NdJson {
            encoding,
            date_format,
            timestamp_format,
            schema,
            ..
        } => {
            drop_default(encoding, "utf8");
            drop_default(date_format, "rfc3339");
            drop_default(timestamp_format, "rfc3339");
            schema.take()
        }
        ReadStep::GeoJson { schema, .. }
        | ReadStep::NdGeoJson { schema, .. }
        | ReadStep::Parquet { schema, .. }
        | ReadStep::EsriShapefile { schema, .. } => schema.take(),
    }
}

fn drop_default(option: &mut Option<String>, default: &str) {
    if option.as_deref() == Some(default) {
        *option = None;
    }
}
