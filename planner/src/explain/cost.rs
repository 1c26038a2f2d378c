//! What a statement would cost, told before it runs.

use std::any::Any;
use std::fmt;

use datafusion::catalog::TableProvider;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{StatisticsArgs, StatisticsContext};

use crate::Result;
use crate::session::BATCH_ROWS;
use crate::table::{DatasetTable, ScanCost, width};

/// Datasets and memory of a statement.
#[derive(Debug)]
pub(super) struct Cost {
    scans: Vec<(String, ScanCost)>,
    memory: u64,
    /// Whether a step holds rows of which nobody knows how many there are.
    at_least: bool,
}

impl Cost {
    /// # Errors
    /// Those of the storage.
    pub(super) async fn of(session: &SessionState, plan: &LogicalPlan, physical: &dyn ExecutionPlan) -> Result<Self> {
        let mut found: Vec<TableScan> = Vec::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                found.push(scan.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let mut scans = Vec::new();
        for scan in found {
            let provider = source_as_provider(&scan.source)?;
            let provider: &dyn TableProvider = provider.as_ref();
            let provider: &dyn Any = provider;
            let Some(table) = provider.downcast_ref::<DatasetTable>() else {
                continue;
            };
            let filters = unnormalize_cols(scan.filters.iter().cloned());
            scans.push((
                scan.table_name.to_string(),
                table.scan_cost(session, &filters, scan.fetch).await?,
            ));
        }
        let mut cost = Self {
            scans,
            memory: 0,
            at_least: false,
        };
        cost.add_memory(physical);
        Ok(cost)
    }

    /// Adds what a step and those below it hold at most: batches on their way, and all rows where a step needs them all.
    fn add_memory(&mut self, plan: &dyn ExecutionPlan) {
        let row: u64 = plan
            .schema()
            .fields()
            .iter()
            .map(|field| width(field.data_type()))
            .sum();
        let partitions = plan.properties().output_partitioning().partition_count() as u64;
        self.memory = self
            .memory
            .saturating_add(partitions.saturating_mul(BATCH_ROWS as u64).saturating_mul(row));
        let any: &dyn Any = plan;
        let children = plan.children();
        let held = if let Some(sort) = any.downcast_ref::<SortExec>() {
            match sort.fetch() {
                Some(rows) => {
                    self.memory = self.memory.saturating_add((rows as u64).saturating_mul(row));
                    None
                }
                None => Some(sort.input().as_ref()),
            }
        } else if any.is::<HashJoinExec>() || any.is::<NestedLoopJoinExec>() || any.is::<CrossJoinExec>() {
            children.first().map(|child| child.as_ref())
        } else if let Some(aggregate) = any.downcast_ref::<AggregateExec>() {
            // Without groups there is one row.
            (!aggregate.group_expr().is_empty()).then_some(plan)
        } else {
            None
        };
        if let Some(held) = held {
            match rows(held) {
                Some(rows) => {
                    let row: u64 = held
                        .schema()
                        .fields()
                        .iter()
                        .map(|field| width(field.data_type()))
                        .sum();
                    self.memory = self.memory.saturating_add(rows.saturating_mul(row));
                }
                None => self.at_least = true,
            }
        }
        for child in children {
            self.add_memory(child.as_ref());
        }
    }
}

/// How many rows a step gives, as far as that is known.
fn rows(plan: &dyn ExecutionPlan) -> Option<u64> {
    let statistics = StatisticsContext::new().compute(plan, &StatisticsArgs::new()).ok()?;
    match statistics.num_rows {
        Precision::Exact(rows) | Precision::Inexact(rows) => Some(rows as u64),
        Precision::Absent => None,
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut total = ScanCost::default();
        for (name, scan) in &self.scans {
            total += *scan;
            writeln!(f, "{name}: {scan}")?;
        }
        if self.scans.len() != 1 {
            writeln!(f, "in all: {total}")?;
        }
        let about = if self.at_least { "at least" } else { "about" };
        write!(f, "memory: {about} {}", Bytes(self.memory))
    }
}

/// A number of bytes as people write it.
#[derive(Debug)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        let mut unit = "bytes";
        let mut tenths = u128::from(self.0) * 10;
        for larger in UNITS {
            if tenths < 10_240 {
                break;
            }
            tenths /= 1024;
            unit = larger;
        }
        if unit == "bytes" {
            return write!(f, "{} bytes", self.0);
        }
        write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
    }
}
