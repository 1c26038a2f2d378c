//! What is known about arriving rows besides the rows: how they meet the history, and what is committed with them.

use chrono::{DateTime, Utc};
use jetway_odf::chain::ChainState;
use jetway_odf::metadata::{
    AddPushSource, MergeStrategy, ReadStep, ReadStepCsv, SetPollingSource, SourceState, Transform,
};

use crate::ingest::receipt::IdempotencyKey;
use crate::ingest::shape::{ShapeRules, SystemColumns};
use crate::ingest::{IfExists, IngestRequest};
use crate::{Error, ErrorKind, Result};

/// Name of the source that pushes without another name go through.
pub(super) const DEFAULT_SOURCE: &str = "default";

/// How the rows of one push or one polled file are taken in.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    pub(super) preprocess: Option<Transform>,
    pub(super) merge: MergeStrategy,
    /// When rows happened that do not say it; at the commit if this is absent.
    pub(super) event_time: Option<DateTime<Utc>>,
    /// For rows that were polled.
    pub(super) polled: Option<Polled>,
    /// Whether columns that the dataset does not have are added to it.
    pub(super) evolves: bool,
    pub(super) key: Option<IdempotencyKey>,
}

/// Where a polled source stands.
#[derive(Debug, Clone)]
pub(super) struct Polled {
    /// When the rows were fetched. If it is another one at the commit, somebody else has polled meanwhile.
    pub(super) before: Option<SourceState>,
    /// The dataset's next offset when the rows were fetched.
    pub(super) next_offset: u64,
    /// After the rows.
    pub(super) after: Option<SourceState>,
}

impl Intake {
    /// What the dataset's polling source says.
    pub(super) fn of_poll(source: &SetPollingSource, event_time: Option<DateTime<Utc>>, polled: Polled) -> Self {
        Self {
            preprocess: source.preprocess.clone(),
            merge: source.merge.clone(),
            event_time,
            polled: Some(polled),
            evolves: declares_columns(&source.read),
            key: None,
        }
    }

    /// What the dataset's push source and the request say.
    ///
    /// # Errors
    /// As [`push_source`].
    pub(super) fn of_push(state: &ChainState, request: &IngestRequest) -> Result<Self> {
        let source = push_source(state, request.source.as_deref())?;
        Ok(Self {
            preprocess: source.and_then(|source| source.preprocess.clone()),
            merge: match request.if_exists {
                IfExists::Replace => replacing(source.map(|source| &source.merge))?,
                IfExists::Append | IfExists::Fail => {
                    source.map_or(MergeStrategy::Append {}, |source| source.merge.clone())
                }
            },
            event_time: request.event_time,
            polled: None,
            evolves: request.evolve_schema,
            key: request.idempotency_key.clone(),
        })
    }

    /// For rows that a statement changes.
    pub(super) fn of_modification(merge: MergeStrategy, key: Option<IdempotencyKey>) -> Self {
        Self {
            preprocess: None,
            merge,
            event_time: None,
            polled: None,
            evolves: false,
            key,
        }
    }

    pub(super) fn shape_rules(&self) -> ShapeRules {
        ShapeRules {
            system: SystemColumns::of(&self.merge),
            evolves: self.evolves,
        }
    }
}

/// The merge that makes pushed rows the state of a dataset.
///
/// # Errors
/// `Unsupported` for datasets whose state is not one row for each key.
fn replacing(merge: Option<&MergeStrategy>) -> Result<MergeStrategy> {
    match merge {
        Some(snapshot @ MergeStrategy::Snapshot { .. }) => Ok(snapshot.clone()),
        Some(MergeStrategy::UpsertStream { primary_key }) => Ok(MergeStrategy::Snapshot {
            primary_key: primary_key.clone(),
            compare_columns: None,
        }),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "rows can be replaced in datasets whose source merges upserts or snapshots by a primary key, and this is none: \
             append, or DROP TABLE it first",
        )),
    }
}

/// The push source of a name; without a name, the only one or the one called `default`. None for a dataset that has no
/// source at all: its rows are appended.
///
/// # Errors
/// `InvalidArgument` telling which sources there are, `Unsupported` for a dataset that is fed by polling.
pub(super) fn push_source<'a>(state: &'a ChainState, name: Option<&str>) -> Result<Option<&'a AddPushSource>> {
    let sources = state.push_sources();
    if state.polling_source().is_some() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the dataset gets its rows by polling its source; pull it, or push to another dataset",
        ));
    }
    let found = match name {
        Some(name) => sources.get(name),
        None if sources.is_empty() => return Ok(None),
        None => sources
            .get(DEFAULT_SOURCE)
            .or_else(|| sources.values().next().filter(|_| sources.len() == 1)),
    };
    match (found, name) {
        (Some(source), _) => Ok(Some(source)),
        (None, Some(name)) => Err(no_source(
            state,
            format!("the dataset has no push source \"{}\"", name.escape_debug()),
        )),
        (None, None) => Err(no_source(
            state,
            "the dataset has several push sources and none is called \"default\"; say which one".to_owned(),
        )),
    }
}

/// The polling source of a dataset.
///
/// # Errors
/// `InvalidArgument` for a dataset that has none.
pub(super) fn polling_source(state: &ChainState) -> Result<&SetPollingSource> {
    state.polling_source().map(AsRef::as_ref).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            "the dataset has no polling source, so there is nothing to pull from; set one, or push rows",
        )
    })
}

/// How the push source reads files.
///
/// # Errors
/// Those of [`push_source`]; `InvalidArgument` for a dataset without a source.
pub(super) fn read_step<'a>(state: &'a ChainState, name: Option<&str>) -> Result<&'a ReadStep> {
    let source = push_source(state, name)?.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            "the dataset has no source that says how files are read; add a push source, or push rows that are read already",
        )
    })?;
    Ok(&source.read)
}

/// Whether a step says which columns there are, instead of taking those of each file.
pub(super) fn declares_columns(read: &ReadStep) -> bool {
    let (ReadStep::Csv(ReadStepCsv { schema, ddl_schema, .. })
    | ReadStep::GeoJson { schema, ddl_schema }
    | ReadStep::EsriShapefile { schema, ddl_schema, .. }
    | ReadStep::Parquet { schema, ddl_schema }
    | ReadStep::Json { schema, ddl_schema, .. }
    | ReadStep::NdJson { schema, ddl_schema, .. }
    | ReadStep::NdGeoJson { schema, ddl_schema }) = read;
    schema.is_some() || ddl_schema.is_some()
}

fn no_source(state: &ChainState, message: String) -> Error {
    let names: Vec<&str> = state.push_sources().keys().map(String::as_str).take(50).collect();
    Error::new(ErrorKind::InvalidArgument, message).with_context("sources", names.join(", "))
}
