//! Substrait plans: decoded within limits, and made into plans over the datasets of a subject, as the text of a query is.

use std::num::ParseIntError;

use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion_substrait::extensions::Extensions;
use datafusion_substrait::logical_plan::consumer::from_substrait_plan_with_consumer;
use datafusion_substrait::serializer::deserialize_bytes;
use datafusion_substrait::substrait::proto::plan_rel::RelType;
use datafusion_substrait::substrait::proto::{Plan, PlanRel, Version};
use datafusion_substrait::substrait::version;

mod consumer;
mod limits;

use self::consumer::Consumer;
use crate::resolve::{Resolved, Resolver};
use crate::{Error, ErrorKind, Result};

/// Longest plan, in bytes.
const MAX_PLAN_BYTES: usize = 1024 * 1024;

/// The oldest minor version whose plans are read. What changed since was added, or marked as deprecated and is read still.
const OLDEST: u32 = 42;

/// The oldest and the newest version of Substrait whose plans are understood, such as `0.42.0`.
#[must_use]
pub fn substrait_versions() -> [String; 2] {
    let (major, newest) = (version::SUBSTRAIT_MAJOR_VERSION, version::SUBSTRAIT_MINOR_VERSION);
    [
        format!("{major}.{OLDEST}.0"),
        format!("{major}.{newest}.{}", version::SUBSTRAIT_PATCH_VERSION),
    ]
}

/// Refuses plans of versions that are not understood: what a newer one added would be overlooked.
///
/// # Errors
/// `InvalidArgument` when it is no version, `Unsupported` when it is another one.
pub fn check_substrait_version(text: &str) -> Result<()> {
    let release = text.split(['-', '+']).next().unwrap_or(text);
    let numbers: std::result::Result<Vec<u32>, ParseIntError> = release.split('.').map(str::parse).collect();
    match numbers.as_deref() {
        Ok([major, minor, _]) => check_numbers(*major, *minor),
        _ => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{text:?} is no version of Substrait: write it as 0.85.0, or leave it out"),
        )),
    }
}

fn check_numbers(major: u32, minor: u32) -> Result<()> {
    let newest = version::SUBSTRAIT_MINOR_VERSION;
    if major == version::SUBSTRAIT_MAJOR_VERSION && (OLDEST..=newest).contains(&minor) {
        return Ok(());
    }
    let [oldest, newest] = substrait_versions();
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "plans of Substrait {major}.{minor} are not understood: make one for a version between {oldest} and {newest}, or \
             send SQL"
        ),
    ))
}

/// A decoded plan.
pub(crate) struct SubstraitPlan(Box<Plan>);

impl SubstraitPlan {
    /// Decodes a plan. Its messages are at most 100 deep in one another.
    ///
    /// # Errors
    /// `InvalidArgument` for bytes that are no plan; `ResourceExhausted` for one that is too large; `Unsupported` for other
    /// versions.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_PLAN_BYTES {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "the plan has {} bytes, more than {MAX_PLAN_BYTES}: move long lists of values into a dataset and join it",
                    bytes.len()
                ),
            ));
        }
        let plan = deserialize_bytes(bytes).map_err(|error| {
            let what = match error.to_string().contains("recursion limit") {
                true => "the plan is nested too deep: at most 100 messages may be inside of one another",
                false => "this is no Substrait plan: send the bytes of a substrait.Plan message",
            };
            Error::new(ErrorKind::InvalidArgument, what).with_source(error)
        })?;
        if let Some(&Version {
            major_number,
            minor_number,
            ..
        }) = plan.version.as_ref()
            && (major_number, minor_number) != (0, 0)
        {
            check_numbers(major_number, minor_number)?;
        }
        let plan = Self(plan);
        match plan.0.relations.as_slice() {
            [
                PlanRel {
                    rel_type: Some(RelType::Root(root)),
                },
            ] if root.input.is_none() => Err(malformed("its root has no input")),
            [PlanRel { rel_type: Some(_) }] => Ok(plan),
            [PlanRel { rel_type: None }] => Err(malformed("its relation is empty")),
            relations => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the plan has {} trees of relations, and only plans with one are run",
                    relations.len()
                ),
            )),
        }
    }

    /// The plan over the tables that it names, with placeholders for its parameters, and the datasets that it reads.
    ///
    /// # Errors
    /// `InvalidArgument` for what makes no sense, `Unsupported` for what is not possible here; those of the catalog.
    pub(crate) async fn resolve(
        &self,
        session: &SessionState,
        resolver: &Resolver<'_>,
    ) -> Result<(LogicalPlan, Resolved)> {
        let extensions = Extensions::try_from(&self.0.extensions)?;
        if !extensions.type_variations.is_empty() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "variations of types are not known here: use the types of Substrait without them",
            ));
        }
        let consumer = Consumer::new(&extensions, session, resolver);
        let plan = from_substrait_plan_with_consumer(&consumer, &self.0).await?;
        Ok((plan, consumer.resolved()))
    }
}

fn malformed(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("the Substrait plan is malformed: {what}"),
    )
}

/// The failure of planning a foreign plan. Whatever a consumer did not expect is a mistake in the plan.
pub(crate) fn blame(error: Error) -> Error {
    if error.kind() == ErrorKind::Internal {
        tracing::debug!(%error, "A Substrait plan was refused");
        return malformed(error.message()).with_source(error);
    }
    // What the library calls its schema is that of a dataset here.
    match error.message().strip_prefix("Substrait error: ") {
        Some(message) => {
            let message = message.replace("the DataFusion schema", "the dataset");
            let message = message.replace("the Substrait schema", "the plan's base schema");
            Error::new(error.kind(), message).with_source(error)
        }
        None => error,
    }
}

/// The failure of a task that planned a foreign plan: it was stopped, or the plan is not what its readers expect.
pub(crate) fn unreadable(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Cancelled => error,
        _ => malformed("a part is missing, or a number says that something is where nothing is").with_source(error),
    }
}
