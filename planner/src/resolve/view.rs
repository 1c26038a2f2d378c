//! What a view stands for in a statement: the plan of its query, made anew for each reader and with the reader's permissions.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::logical_expr::LogicalPlan;
use futures::FutureExt;
use futures::future::BoxFuture;
use jetway_odf::identity::{DatasetAlias, Multihash};

use super::{Pins, Reading, Resolver, Sources};
use crate::bounds::has_more_nodes;
use crate::parse::Parsed;
use crate::statement::is_repeatable;
use crate::view::check_query;
use crate::{Error, ErrorKind, Result, SessionOptions, Subject, TableName, View, policy, view};

/// How many views may be within each other.
const MAX_DEPTH: usize = 16;

/// How many nodes the plan of a view may have: views that name other ones several times double with each step.
const MAX_NODES: usize = 4096;

impl Resolver<'_> {
    /// The view of a name, if there is one.
    pub(super) async fn view(&self, name: &TableName) -> Result<Option<View>> {
        let TableName::Alias(_) = name else { return Ok(None) };
        let alias = view::alias(self.reading.subject, name)?;
        self.sources.catalog.view(self.reading.subject, &alias).await
    }

    /// Says that a name means no dataset, and whether it means a view.
    pub(super) async fn no_dataset(&self, name: &TableName, error: Error) -> Error {
        match self.view(name).await {
            Ok(Some(view)) => Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{} is a view, and only a dataset has events, a state and a past; use the view as a table",
                    view.alias
                ),
            ),
            Ok(None) => self.with_suggestion(name, error).await,
            Err(error) => error,
        }
    }

    /// A view as a table, within the views of a path.
    pub(super) fn expand<'b>(
        &'b self,
        view: View,
        path: &'b [DatasetAlias],
        pins: &'b mut Pins,
    ) -> BoxFuture<'b, Result<Arc<dyn TableProvider>>> {
        async move {
            check_path(&view.alias, path)?;
            let path = [path, std::slice::from_ref(&view.alias)].concat();
            let plan = self.plan_view(&view, &path, pins).await;
            let plan = plan.map_err(|error| match error.has_context("view") {
                true => error,
                false => error.with_context("view", view.alias.to_string()),
            })?;
            let before = pins.views.map(|digest| digest.to_string()).unwrap_or_default();
            let text = format!("{before}\n{}\n{}", view.alias, view.query);
            pins.views = Some(Multihash::sha3_256(text.as_bytes()));
            Ok(Arc::new(ViewTable::new(plan, Some(view.query))) as Arc<dyn TableProvider>)
        }
        .boxed()
    }

    async fn plan_view(&self, view: &View, path: &[DatasetAlias], pins: &mut Pins) -> Result<LogicalPlan> {
        let options = SessionOptions {
            schema: view.alias.account.as_ref().map(ToString::to_string),
            ..SessionOptions::default()
        };
        let mut session = self.sources.engine.session(self.reading.subject, &options);
        let Parsed { statement, parameters } = Parsed::new(&session, &view.query)?;
        check_query(&statement, parameters)?;
        self.register_in(&mut session, &statement, path, pins).await?;
        let plan = session.statement_to_plan(statement.clone()).await?;
        policy::check(&plan)?;
        check_columns(&plan)?;
        check_size(&plan)?;
        pins.changes |= !is_repeatable(&session, Some(&statement), &plan)?;
        Ok(plan)
    }

    /// Looks whether a view can be read, before it is kept.
    ///
    /// # Errors
    /// Whatever its readers would be told.
    pub(crate) async fn check_view(&self, view: View) -> Result<()> {
        self.expand(view, &[], &mut Pins::default()).await.map(drop)
    }

    /// A view as a table.
    ///
    /// # Errors
    /// Whatever readers are told.
    pub(crate) async fn view_table(&self, view: View) -> Result<Arc<dyn TableProvider>> {
        self.expand(view, &[], &mut Pins::default()).await
    }
}

fn check_path(alias: &DatasetAlias, path: &[DatasetAlias]) -> Result<()> {
    let names = || {
        let names = path.iter().chain([alias]).map(ToString::to_string);
        names.collect::<Vec<_>>().join(" -> ")
    };
    if path.contains(alias) {
        return Err(Error::new(
            ErrorKind::InvalidSql,
            format!("a view cannot be part of itself: {}", names()),
        ));
    }
    if path.len() >= MAX_DEPTH {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("at most {MAX_DEPTH} views may be within each other: {}", names()),
        ));
    }
    Ok(())
}

/// Columns of a view are found by their names.
fn check_columns(plan: &LogicalPlan) -> Result<()> {
    let mut names: Vec<&String> = plan.schema().fields().iter().map(|field| field.name()).collect();
    names.sort_unstable();
    let twice = names.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(one),
        _ => None,
    });
    match twice {
        Some(name) => Err(Error::new(
            ErrorKind::InvalidSql,
            format!("two columns of the view are called \"{name}\"; give one of them another name with AS"),
        )),
        None => Ok(()),
    }
}

fn check_size(plan: &LogicalPlan) -> Result<()> {
    if has_more_nodes(plan, MAX_NODES)? {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            "the view stands for too large a query; keep intermediate results with CREATE TABLE ... AS SELECT",
        ));
    }
    Ok(())
}

/// A view that a statement does not read, but may list.
#[derive(Debug)]
pub(super) struct ListedView {
    pub(super) view: View,
    pub(super) sources: Arc<Sources>,
    pub(super) subject: Subject,
}

impl ListedView {
    /// Its columns; none when it cannot be read, which must not hide the others.
    pub(super) async fn describe(&self) -> Option<Arc<dyn TableProvider>> {
        let reading = Reading {
            subject: &self.subject,
            pins: None,
            known: None,
            as_of: None,
        };
        let resolver = Resolver::new(&self.sources, reading);
        match resolver.view_table(self.view.clone()).await {
            Ok(table) => Some(table),
            Err(error) => {
                tracing::debug!(view = %self.view.alias, %error, "a view that cannot be read has no columns in a listing");
                None
            }
        }
    }
}
