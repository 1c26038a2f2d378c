//! Statements in parts, for clients that read several streams at once.

use std::any::Any;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};

use super::{BatchStream, Statement};
use crate::budget::Usage;
use crate::table::DatasetTable;
use crate::{Error, ErrorKind, Result};

/// Consecutive rows of a dataset, by their offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    /// Offset of the first row.
    pub first: u64,
    /// Offset of the last row, if there are so many.
    pub last: u64,
}

impl Statement {
    /// About how many bytes the result has in memory at most; none if the statement has no parts. It has some if each of its
    /// rows comes from one row of one dataset, and what it gives is the same at every run.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn parts_size(&self) -> Result<Option<u64>> {
        let Some((scan, table)) = self.only_scan() else {
            return Ok(None);
        };
        let filters = filters(scan);
        let size = table.scan_size(self.session.as_ref(), scan.projection.as_ref(), &filters);
        Ok(Some(size.await?))
    }

    /// Cuts the statement into about so many parts of about the same size: together they give its rows, each once, wherever and
    /// whenever they run at the same heads. Nothing if the statement has no parts.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn parts(&self, count: usize) -> Result<Option<Vec<Part>>> {
        let Some((scan, table)) = self.only_scan() else {
            return Ok(None);
        };
        Ok(Some(table.parts(self.session.as_ref(), &filters(scan), count).await?))
    }

    /// Starts running for the rows of one part. See [`Self::execute`].
    ///
    /// # Errors
    /// Those of [`Self::execute`]; `InvalidArgument` when the statement has no parts.
    pub async fn execute_part(&self, part: Part) -> Result<BatchStream> {
        self.execute_part_as(part, &Usage::default()).await
    }

    /// Starts running for the rows of one part, and counts what it uses.
    ///
    /// # Errors
    /// Those of [`Self::execute_part`].
    pub async fn execute_part_as(&self, part: Part, usage: &Usage) -> Result<BatchStream> {
        if self.only_scan().is_none() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the statement cannot be read in parts; run it again for a new ticket",
            ));
        }
        let plan = self.plan.as_ref().clone().transform_down(|node| match node {
            LogicalPlan::TableScan(mut scan) => {
                let provider = source_as_provider(&scan.source)?;
                let Some(table) = dataset(provider.as_ref()) else {
                    return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
                };
                scan.source = provider_as_source(Arc::new(table.part(part)));
                Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
            }
            other => Ok(Transformed::no(other)),
        });
        self.run(Arc::new(plan.data()?), usage).await
    }

    /// The one scan of a statement that only filters and computes, row by row.
    fn only_scan(&self) -> Option<(&TableScan, DatasetTable)> {
        let mut plan = self.plan.as_ref();
        while self.repeatable && self.repeated.is_none() {
            plan = match plan {
                LogicalPlan::Projection(node) if node.expr.iter().all(is_plain) => &node.input,
                LogicalPlan::Filter(node) if is_plain(&node.predicate) => &node.input,
                LogicalPlan::SubqueryAlias(node) => &node.input,
                LogicalPlan::TableScan(scan) if scan.fetch.is_none() && scan.filters.iter().all(is_plain) => {
                    let provider = source_as_provider(&scan.source).ok()?;
                    return Some((scan, dataset(provider.as_ref())?.clone()));
                }
                _ => return None,
            }
        }
        None
    }
}

/// The filters as a scan gets them: columns without the name of the table.
fn filters(scan: &TableScan) -> Vec<Expr> {
    unnormalize_cols(scan.filters.iter().cloned())
}

fn dataset(provider: &dyn TableProvider) -> Option<&DatasetTable> {
    let provider: &dyn Any = provider;
    provider.downcast_ref()
}

/// Whether an expression reads nothing but its row.
fn is_plain(expr: &Expr) -> bool {
    let reads_more = |expr: &Expr| {
        matches!(
            expr,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
        )
    };
    matches!(expr.exists(|expr| Ok(reads_more(expr))), Ok(false))
}
