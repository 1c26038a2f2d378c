//! Substrait plans, as commands and actions carry them.

use arrow_flight::sql::SubstraitPlan;
use jetway_planner::{Query, check_substrait_version};

use crate::{Error, Result};

/// The query that a plan is.
pub(super) fn query(plan: Option<SubstraitPlan>) -> Result<Query> {
    let plan = plan.filter(|plan| !plan.plan.is_empty());
    let SubstraitPlan { plan, version } = plan.ok_or_else(|| {
        Error::invalid_argument("the command has no plan: put the bytes of a substrait.Plan message into it")
    })?;
    if !version.is_empty() {
        check_substrait_version(&version)?;
    }
    Ok(Query::Substrait(plan))
}
