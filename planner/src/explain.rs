//! EXPLAIN and EXPLAIN ANALYZE: what would run or did run, and what it costs. Files are counted, not named: where a dataset is
//! stored is nobody's business.

mod cost;

use std::any::Any;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::common::display::{PlanType, StringifiedPlan, ToStringifiedPlan};
use datafusion::common::format::{ExplainFormat, MetricType};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Analyze, Explain};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use futures::TryStreamExt;

use crate::Result;
pub(crate) use crate::explain::cost::Bytes;
use crate::explain::cost::Cost;

/// How a plan is printed.
#[derive(Debug, Clone, Copy)]
enum Detail {
    Plan,
    /// With the schemas of all steps.
    Verbose,
    /// With what was measured.
    Measured,
    /// With all that was measured.
    AllMeasured,
}

/// The rows of an EXPLAIN: plans and, last, the cost.
pub(crate) async fn explain(
    session: &SessionState,
    explain: &Explain,
    physical: Arc<dyn ExecutionPlan>,
) -> Result<SendableRecordBatchStream> {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut push = |plan: StringifiedPlan| {
        if explain.verbose || matches!(plan.plan_type, PlanType::FinalLogicalPlan) {
            rows.push((plan.plan_type.to_string(), plan.plan.to_string()));
        }
    };
    match explain.explain_format {
        ExplainFormat::Indent => {
            explain.stringified_plans.iter().cloned().for_each(&mut push);
            push(explain.plan.to_stringified(PlanType::FinalLogicalPlan));
        }
        ExplainFormat::Tree => {}
        ExplainFormat::PostgresJSON => {
            rows.push((
                PlanType::FinalLogicalPlan.to_string(),
                explain.plan.display_pg_json().to_string(),
            ));
        }
        ExplainFormat::Graphviz => {
            rows.push((
                PlanType::FinalLogicalPlan.to_string(),
                explain.plan.display_graphviz().to_string(),
            ));
        }
    }
    let text = match explain.explain_format {
        ExplainFormat::Tree => {
            let width = session.config_options().explain.tree_maximum_render_width;
            let tree = displayable(physical.as_ref()).set_tree_maximum_render_width(width);
            Some(tree.tree_render().to_string())
        }
        ExplainFormat::Indent if explain.verbose => Some(text(physical.as_ref(), Detail::Verbose)),
        ExplainFormat::Indent => Some(text(physical.as_ref(), Detail::Plan)),
        ExplainFormat::PostgresJSON | ExplainFormat::Graphviz => None,
    };
    rows.extend(text.map(|text| (PlanType::FinalPhysicalPlan.to_string(), text)));
    let cost = Cost::of(session, &explain.plan, physical.as_ref()).await?;
    rows.push(("cost".to_owned(), cost.to_string()));
    let schema = Arc::clone(explain.schema.inner());
    let batch = table(&schema, rows);
    Ok(Box::pin(RecordBatchStreamAdapter::new(
        schema,
        futures::stream::iter([batch]),
    )))
}

/// The rows of an EXPLAIN ANALYZE: runs the statement, throws its rows away, and tells what was measured.
pub(crate) async fn analyze(
    session: &SessionState,
    analyze: &Analyze,
    physical: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let cost = Cost::of(session, &analyze.input, physical.as_ref()).await?.to_string();
    let detail = if analyze.verbose {
        Detail::AllMeasured
    } else {
        Detail::Measured
    };
    let schema = Arc::clone(analyze.schema.inner());
    let declared = Arc::clone(&schema);
    let run = async move {
        let mut batches = execute_stream(Arc::clone(&physical), context)?;
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows();
        }
        let plan = text(physical.as_ref(), detail);
        let result = if rows == 1 {
            "1 row".to_owned()
        } else {
            format!("{rows} rows")
        };
        let told = [("Plan with Metrics", plan), ("result", result), ("cost", cost)];
        table(&schema, told.map(|(name, text)| (name.to_owned(), text)).into())
    };
    Ok(Box::pin(RecordBatchStreamAdapter::new(
        declared,
        futures::stream::once(run),
    )))
}

fn table(schema: &SchemaRef, rows: Vec<(String, String)>) -> Result<RecordBatch, DataFusionError> {
    let (names, texts): (Vec<String>, Vec<String>) = rows.into_iter().unzip();
    let columns: [ArrayRef; 2] = [Arc::new(StringArray::from(names)), Arc::new(StringArray::from(texts))];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.to_vec())?)
}

/// A line for each step, those that it reads from below it and further to the right.
fn text(plan: &dyn ExecutionPlan, detail: Detail) -> String {
    let mut text = String::new();
    print(plan, detail, 0, &mut text);
    text
}

fn print(plan: &dyn ExecutionPlan, detail: Detail, depth: usize, text: &mut String) {
    let step = match scan(plan) {
        Some(scan) => scan_line(scan),
        None => {
            let shown = displayable(plan).one_line().to_string();
            shown.trim_end().to_owned()
        }
    };
    // Writing to a text cannot fail.
    let _ = write!(text, "{:1$}{step}", "", depth * 2);
    match detail {
        Detail::Plan => {}
        Detail::Verbose => {
            let columns = plan.schema();
            let columns = columns
                .fields()
                .iter()
                .map(|field| format!("{}:{}", field.name(), field.data_type()));
            let _ = write!(text, ", schema=[{}]", columns.collect::<Vec<_>>().join(", "));
        }
        Detail::Measured | Detail::AllMeasured => {
            let metrics = plan.metrics().unwrap_or_default();
            let mut metrics = metrics.aggregate_by_name().sorted_for_display().timestamps_removed();
            if let Detail::Measured = detail {
                metrics = metrics.filter_by_metric_types(&[MetricType::Summary]);
            }
            let _ = write!(text, ", metrics=[{metrics}]");
        }
    }
    text.push('\n');
    for child in plan.children() {
        print(child.as_ref(), detail, depth + 1, text);
    }
}

/// The files that a step reads, if it is one that does.
fn scan(plan: &dyn ExecutionPlan) -> Option<&FileScanConfig> {
    let plan: &dyn Any = plan;
    let source = plan.downcast_ref::<DataSourceExec>()?.data_source().as_ref();
    let source: &dyn Any = source;
    source.downcast_ref()
}

fn scan_line(scan: &FileScanConfig) -> String {
    let files: usize = scan.file_groups.iter().map(|group| group.len()).sum();
    let mut line = format!("DataSourceExec: files={files}, groups={}", scan.file_groups.len());
    let columns = scan.projected_schema();
    let names = columns
        .iter()
        .flat_map(|schema| schema.fields().iter().map(|field| field.name().as_str()));
    let _ = write!(line, ", projection=[{}]", names.collect::<Vec<_>>().join(", "));
    if let Some(limit) = scan.limit {
        let _ = write!(line, ", limit={limit}");
    }
    for ordering in &scan.output_ordering {
        let _ = write!(line, ", output_ordering=[{ordering}]");
    }
    if let Some(filter) = scan.file_source().filter() {
        let _ = write!(line, ", predicate={filter}");
    }
    line
}
