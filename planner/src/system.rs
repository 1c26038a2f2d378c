//! The schema `system`: what the node knows about itself, as tables.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;

use crate::summary::SummaryCache;
use crate::{DatasetCatalog, Result, Subject};

/// Name of the schema. No account has it.
pub const SYSTEM_SCHEMA: &str = "system";

/// A table of the schema `system`. Whoever owns what it shows implements it; [`crate::PlannerOptions::system_tables`] takes it.
#[async_trait]
pub trait SystemTableSource: fmt::Debug + Send + Sync {
    /// Its name, in lower case.
    fn name(&self) -> &'static str;

    /// Its columns, which do not change.
    fn schema(&self) -> SchemaRef;

    /// Its rows, as they are now; those that the subject may see.
    async fn rows(&self, subject: &Subject) -> Result<RecordBatch>;
}

/// A system table as one subject sees it.
#[derive(Debug)]
pub(crate) struct SystemProvider {
    pub(crate) table: Arc<dyn SystemTableSource>,
    pub(crate) subject: Subject,
}

#[async_trait]
impl TableProvider for SystemProvider {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let rows = self.table.rows(&self.subject).await;
        let rows = rows.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let table = MemTable::try_new(self.table.schema(), vec![vec![rows]])?;
        table.scan(session, projection, filters, limit).await
    }
}

/// Whether running it takes next to nothing: it reads constants or what the node knows about itself, and multiplies no rows.
pub(crate) fn is_light(plan: &LogicalPlan) -> bool {
    let here = match plan {
        LogicalPlan::TableScan(scan) => scan
            .table_name
            .schema()
            .is_some_and(|schema| schema == SYSTEM_SCHEMA || schema == "information_schema"),
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::Explain(_) => true,
        _ => false,
    };
    here && (matches!(plan, LogicalPlan::Explain(_)) || plan.inputs().into_iter().all(is_light))
}

/// `system.datasets`: what there is to read, and how much of it.
#[derive(Debug)]
pub(crate) struct Datasets {
    pub(crate) catalog: Arc<dyn DatasetCatalog>,
    pub(crate) summaries: Arc<SummaryCache>,
}

#[async_trait]
impl SystemTableSource for Datasets {
    fn name(&self) -> &'static str {
        "datasets"
    }

    fn schema(&self) -> SchemaRef {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let number = |name: &str| Field::new(name, DataType::Int64, false);
        Arc::new(Schema::new(vec![
            text("account"),
            text("name"),
            text("id"),
            text("kind"),
            text("head"),
            number("rows"),
            number("slices"),
            number("bytes"),
        ]))
    }

    async fn rows(&self, subject: &Subject) -> Result<RecordBatch> {
        let [mut accounts, mut names, mut ids, mut kinds, mut heads] = std::array::from_fn(|_| StringBuilder::new());
        let [mut rows, mut slices, mut bytes] = std::array::from_fn(|_| Int64Builder::new());
        let mut datasets = self.catalog.list(subject);
        while let Some(dataset) = datasets.try_next().await? {
            let summary = self.summaries.get(&dataset).await?;
            accounts.append_value(dataset.alias.account.as_ref().map_or("", |account| account.as_str()));
            names.append_value(dataset.alias.name.to_string());
            ids.append_value(dataset.id.to_string());
            kinds.append_value(format!("{:?}", dataset.kind).to_lowercase());
            heads.append_value(dataset.head.to_string());
            rows.append_value(number(summary.slices.rows()));
            slices.append_value(number(summary.slices.len() as u64));
            bytes.append_value(number(summary.slices.bytes()));
        }
        let columns: [ArrayRef; 8] = [
            Arc::new(accounts.finish()),
            Arc::new(names.finish()),
            Arc::new(ids.finish()),
            Arc::new(kinds.finish()),
            Arc::new(heads.finish()),
            Arc::new(rows.finish()),
            Arc::new(slices.finish()),
            Arc::new(bytes.finish()),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns.to_vec())?)
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
