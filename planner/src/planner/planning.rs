//! How statements become plans: a query, what is prepared, and what changes something.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};

use super::{Planner, Shared, substrait};
use crate::modify::Modification;
use crate::parameters::{Prepared, Unbound};
use crate::parse::Parsed;
use crate::plan_cache::{Kept, Key, Template, literals};
use crate::policy::Change;
use crate::resolve::{FixedNames, Reading, Resolved};
use crate::statement::is_repeatable;
use crate::summary::DatasetSummary;
use crate::update::{NewRows, Planned};
use crate::{
    BatchStream, Error, ErrorKind, Pin, PinnedDataset, PlanRequest, Query, Result, Statement, Update, parse, policy,
};

/// Most memory that rows of parameters may take which are kept for a statement that runs for each of them, in bytes.
const MAX_PARAMETER_BYTES: usize = 64 * 1024 * 1024;

/// An INSERT over datasets that were found.
pub(super) struct Insertion {
    pub(super) dataset: PinnedDataset,
    pub(super) summary: Arc<DatasetSummary>,
    pub(super) query: Unbound,
    pub(super) pins: Vec<Pin>,
}

// Free functions with boxed futures: callers do not compile the whole planning again.
pub(super) fn plan(shared: Arc<Shared>, request: PlanRequest) -> BoxFuture<'static, Result<Statement>> {
    if let Query::Substrait(plan) = &request.query {
        let plan = plan.clone();
        return substrait::plan(shared, request, plan);
    }
    async move {
        let Some(key) = Key::new(&request).filter(|_| !shared.plans.is_off()) else {
            return Ok(plan_anew(&shared, &request, None).await?.0);
        };
        if let Some(Kept::Template(template)) = shared.plans.get(&key)
            && template.is_current(&shared.catalog, &request).await
        {
            shared.plans.hit();
            return template.bind(request.parameters.as_ref()).await;
        }
        if request.parameters.is_none()
            && let Some(statement) = plan_without_literals(&shared, &request).await?
        {
            return Ok(statement);
        }
        shared.plans.miss();
        let (statement, template) = plan_anew(&shared, &request, None).await?;
        if let Some(template) = template {
            shared.plans.insert(key, Kept::Template(Arc::new(template)));
        }
        Ok(statement)
    }
    .boxed()
}

/// Plans a text by the template that it shares with all texts that have other literals; none if its literals matter, or nothing
/// can be made of it, and then the text itself says why.
pub(super) async fn plan_without_literals(shared: &Arc<Shared>, request: &PlanRequest) -> Result<Option<Statement>> {
    let Some(sql) = request.query.sql() else {
        return Ok(None);
    };
    let Some(lifted) = literals::lift(&parse::tokens(shared.engine.base(), sql)?) else {
        return Ok(None);
    };
    let key = Key::without_literals(lifted.key, request);
    match shared.plans.get(&key) {
        Some(Kept::LiteralsMatter) => return Ok(None),
        Some(Kept::Template(template)) if template.is_current(&shared.catalog, request).await => {
            shared.plans.hit();
            return template.bind(Some(&lifted.values)).await.map(Some);
        }
        // A plan at other heads than the current ones is not kept.
        Some(Kept::Template(_)) | None if request.pins.is_some() => return Ok(None),
        Some(Kept::Template(_)) | None => {}
    }
    let with_parameters = PlanRequest {
        parameters: Some(lifted.values.clone()),
        ..request.clone()
    };
    match plan_anew(shared, &with_parameters, Some(lifted.tokens)).await {
        Ok((statement, Some(template))) if template.takes(&lifted.values, literals::fits) => {
            shared.plans.miss();
            shared.plans.insert(key, Kept::Template(Arc::new(template)));
            Ok(Some(statement))
        }
        _ => {
            shared.plans.insert(key, Kept::LiteralsMatter);
            Ok(None)
        }
    }
}

/// Plans a statement, with other tokens than those of its text if there are some, and gives its template if it can have one.
pub(super) async fn plan_anew(
    shared: &Arc<Shared>,
    request: &PlanRequest,
    tokens: Option<Vec<TokenWithSpan>>,
) -> Result<(Statement, Option<Template>)> {
    metrics::counter!("jetway_plans_total").increment(1);
    let (subject, compute) = (&request.subject, shared.engine.compute.clone());
    let mut session = shared.engine.session(subject, &request.session);
    FixedNames::set(&mut session, &request.names);
    let sql = sql_text(request)?;
    let parsed = match tokens {
        Some(tokens) => Parsed::of_tokens(&session, tokens, sql)?,
        None => Parsed::new(&session, sql)?,
    };
    let (unbound, resolved) = shared
        .resolve(&mut session, Reading::of(request)?, parsed.clone())
        .await?;
    resolved.check_views(request)?;
    let bound = unbound.bind(&session, request.parameters.as_ref()).await?;
    // The optimizer puts values in the place of functions.
    let repeatable = is_repeatable(&session, Some(&parsed.statement), bound.unbound_plan())? && resolved.repeatable;
    let Resolved {
        pins, lookups, views, ..
    } = resolved;
    let lookups = lookups.filter(|_| repeatable && request.pins.is_none());
    let (session, template) = match lookups {
        Some(lookups) => {
            let (session, is_own) = shared.engine.planned(session);
            let depends = (lookups, pins.clone());
            let template = Template::new((Arc::clone(&session), is_own), unbound, depends, compute.clone());
            (session, Some(template))
        }
        None => (Arc::new(session), None),
    };
    let statement = Statement::repeated(session, bound, pins, compute)?;
    Ok((statement.repeatable(repeatable).over_views(views), template))
}

pub(super) fn prepare(shared: Arc<Shared>, request: PlanRequest) -> BoxFuture<'static, Result<Prepared>> {
    if let Query::Substrait(plan) = &request.query {
        let plan = plan.clone();
        return substrait::prepare(shared, request, plan);
    }
    async move {
        let subject = &request.subject;
        let mut session = shared.engine.session(subject, &request.session);
        let parsed = Parsed::new(&session, sql_text(&request)?)?;
        let (parameters, reading) = (parsed.parameters, Reading::of(&request)?);
        let change = policy::change(parsed.statement.clone())?;
        let change = change.map(|change| change.within(request.session.schema.as_deref()));
        let needed = match change.transpose()? {
            None => {
                let (query, Resolved { pins, .. }) = shared.resolve(&mut session, reading, parsed).await?;
                let (parameters, repeated) = query.announce(&session).await?;
                let compute = shared.engine.compute.clone();
                let statement = Statement::repeated(session, repeated, pins, compute)?;
                return Ok(Prepared {
                    parameters,
                    schema: Some(statement.schema()),
                });
            }
            Some(Change::Insert(insert)) => {
                let insertion = shared
                    .resolve_insert(&mut session, reading, &insert, parameters)
                    .await?;
                insertion.query.parameters()
            }
            Some(Change::Modify(modify)) => {
                let dataset = shared.changeable(subject, &modify.table).await?;
                let resolved = shared.resolve_modify(&mut session, reading, &modify, dataset, parameters);
                resolved.await?.0.query.parameters()
            }
            Some(Change::Create(create)) => match create.query.clone() {
                Some(statement) => {
                    let query = Parsed { statement, parameters };
                    let (query, _) = shared.resolve(&mut session, reading, query).await?;
                    let (parameters, repeated) = query.announce(&session).await?;
                    NewRows::None(repeated.schema()).check(&create)?;
                    parameters
                }
                None => {
                    NewRows::None(create.schema(&session).await?).check(&create)?;
                    Arc::new(Schema::empty())
                }
            },
            Some(Change::CreateView(create)) => {
                shared.check_view(reading, create.view(subject)?).await?;
                Arc::new(Schema::empty())
            }
            Some(Change::Drop(_)) => Arc::new(Schema::empty()),
        };
        Ok(Prepared {
            parameters: needed,
            schema: None,
        })
    }
    .boxed()
}

pub(super) fn plan_update(
    planner: Planner,
    request: PlanRequest,
    values: Option<BatchStream>,
) -> BoxFuture<'static, Result<Option<Update>>> {
    async move {
        let shared = &planner.shared;
        let subject = &request.subject;
        let mut session = shared.engine.session(subject, &request.session);
        // Substrait plans only read.
        let Some(sql) = request.query.sql() else {
            return Ok(None);
        };
        let Parsed { statement, parameters } = Parsed::new(&session, sql)?;
        let Some(change) = policy::change(statement)? else {
            return Ok(None);
        };
        let (compute, reading) = (shared.engine.compute.clone(), Reading::of(&request)?);
        let planned = match change.within(request.session.schema.as_deref())? {
            Change::Insert(insert) => {
                let Insertion {
                    dataset,
                    summary,
                    query,
                    pins,
                } = shared
                    .resolve_insert(&mut session, reading, &insert, parameters)
                    .await?;
                let rows = match (values, query.values_row()) {
                    (Some(values), Some(row)) => {
                        // Rows stay in their order.
                        session.config_mut().options_mut().execution.target_partitions = 1;
                        let plan = insert.project(row.over(values)?, &summary)?;
                        let plan = session.optimize(&plan)?;
                        Statement::new(session, plan, pins, compute)
                    }
                    (values, _) => {
                        let query = query.bind(&session, keep(values).await?.as_ref()).await?;
                        let query = query.project(|plan| insert.project(plan, &summary))?;
                        Statement::repeated(session, query, pins, compute)?
                    }
                };
                Planned::Insert { dataset, summary, rows }
            }
            Change::Modify(modify) => {
                let dataset = shared.changeable(subject, &modify.table).await?;
                let values = keep(values).await?;
                let resolved = shared.resolve_modify(&mut session, reading, &modify, dataset, parameters);
                let (
                    Insertion {
                        dataset,
                        summary,
                        query,
                        pins,
                    },
                    insert,
                ) = resolved.await?;
                let query = query.bind(&session, values.as_ref()).await?;
                let query = query.project(|plan| insert.project(plan, &summary))?;
                let schema = Statement::repeated(session, query, pins, compute)?.schema();
                Planned::Modify(Arc::new(Modification {
                    subject: subject.clone(),
                    session: request.session.clone(),
                    statement: modify,
                    parameters,
                    values,
                    dataset,
                    schema,
                }))
            }
            Change::Create(create) => {
                let rows = match create.query.clone() {
                    Some(statement) => {
                        let query = Parsed { statement, parameters };
                        let (query, Resolved { pins, .. }) = shared.resolve(&mut session, reading, query).await?;
                        let query = query.bind(&session, keep(values).await?.as_ref()).await?;
                        NewRows::Query(Statement::repeated(session, query, pins, compute)?)
                    }
                    None => NewRows::None(create.schema(&session).await?),
                };
                rows.check(&create)?;
                Planned::Create { create, rows }
            }
            Change::CreateView(create) => {
                let view = create.view(subject)?;
                shared.check_view(reading, view.clone()).await?;
                Planned::CreateView { create, view }
            }
            Change::Drop(drop) => Planned::Drop(drop),
        };
        Ok(Some(Update::new(
            planner.clone(),
            request.subject,
            request.transaction,
            planned,
        )))
    }
    .boxed()
}

/// The rows that an UPDATE or DELETE means for its dataset at a pinned head.
pub(super) fn evaluate(
    shared: Arc<Shared>,
    modification: Arc<Modification>,
    dataset: PinnedDataset,
) -> BoxFuture<'static, Result<BatchStream>> {
    async move {
        let Modification {
            subject,
            session,
            statement,
            parameters,
            values,
            ..
        } = modification.as_ref();
        let mut session = shared.engine.session(subject, session);
        let reading = Reading {
            subject,
            pins: None,
            known: None,
            as_of: None,
        };
        let resolved = shared.resolve_modify(&mut session, reading, statement, dataset, *parameters);
        let (
            Insertion {
                summary, query, pins, ..
            },
            insert,
        ) = resolved.await?;
        let query = query.bind(&session, values.as_ref()).await?;
        let query = query.project(|plan| insert.project(plan, &summary))?;
        let compute = shared.engine.compute.clone();
        Statement::repeated(session, query, pins, compute)?.execute().await
    }
    .boxed()
}

pub(super) fn one_batch(batch: RecordBatch) -> BatchStream {
    BatchStream::new(batch.schema(), stream::iter([Ok(batch)]))
}

/// All rows of parameters in memory, if there are any.
pub(super) async fn keep(rows: Option<BatchStream>) -> Result<Option<RecordBatch>> {
    let Some(mut rows) = rows else { return Ok(None) };
    let (mut batches, mut bytes) = (Vec::new(), 0);
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        bytes += batch.get_array_memory_size();
        if bytes > MAX_PARAMETER_BYTES {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "the rows of parameters take more than {MAX_PARAMETER_BYTES} bytes: bind them in several steps, write the \
                     statement as INSERT INTO ... VALUES (?, ...), or ingest them into a dataset and join it"
                ),
            ));
        }
        batches.push(batch);
    }
    Ok(Some(concat_batches(&rows.schema(), &batches)?))
}

/// The text of a request.
pub(super) fn sql_text(request: &PlanRequest) -> Result<&str> {
    request
        .query
        .sql()
        .ok_or_else(|| Error::new(ErrorKind::Internal, "a Substrait plan was taken for SQL"))
}
