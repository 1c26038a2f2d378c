//! Substrait plans on the way that SQL takes: names through the catalog, the same policy, the same binding of parameters.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::execution::session_state::SessionState;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::Shared;
use crate::parameters::{Prepared, Unbound};
use crate::resolve::{Reading, Resolved};
use crate::statement::is_repeatable;
use crate::substrait::{SubstraitPlan, blame, unreadable};
use crate::{PlanRequest, Result, Statement};

/// Plans what a Substrait plan asks for.
pub(super) fn plan(shared: Arc<Shared>, request: PlanRequest, bytes: Bytes) -> BoxFuture<'static, Result<Statement>> {
    apart(Arc::clone(&shared), async move {
        metrics::counter!("jetway_plans_total").increment(1);
        let (session, unbound, resolved) = resolve(&shared, &request, &bytes).await?;
        resolved.check_views(&request)?;
        let bound = unbound.bind(&session, request.parameters.as_ref()).await?;
        let repeatable = is_repeatable(&session, None, bound.unbound_plan())?;
        let statement = Statement::repeated(session, bound, resolved.pins, shared.engine.compute.clone())?;
        Ok(statement
            .repeatable(repeatable && resolved.repeatable)
            .over_views(resolved.views))
    })
}

/// Tells what a Substrait plan needs and gives.
pub(super) fn prepare(shared: Arc<Shared>, request: PlanRequest, bytes: Bytes) -> BoxFuture<'static, Result<Prepared>> {
    apart(Arc::clone(&shared), async move {
        let (session, unbound, Resolved { pins, .. }) = resolve(&shared, &request, &bytes).await?;
        let (parameters, repeated) = unbound.announce(&session).await?;
        let statement = Statement::repeated(session, repeated, pins, shared.engine.compute.clone())?;
        Ok(Prepared {
            parameters,
            schema: Some(statement.schema()),
        })
    })
}

async fn resolve(shared: &Shared, request: &PlanRequest, bytes: &[u8]) -> Result<(SessionState, Unbound, Resolved)> {
    let plan = SubstraitPlan::decode(bytes)?;
    let session = shared.engine.session(&request.subject, &request.session);
    let resolver = shared.resolver(Reading::of(request)?);
    let (plan, resolved) = plan.resolve(&session, &resolver).await?;
    Ok((session, Unbound::of_plan(plan)?, resolved))
}

/// Runs the planning as a task of its own: the libraries that read plans trust them, and one that they do not expect makes them panic.
fn apart<T: Send + 'static>(
    shared: Arc<Shared>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> BoxFuture<'static, Result<T>> {
    async move {
        match shared.engine.compute.spawn(work).join().await {
            Ok(outcome) => outcome.map_err(blame),
            Err(error) => Err(unreadable(error)),
        }
    }
    .boxed()
}
