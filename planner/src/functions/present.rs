//! Values that only queries know, turned into what clients and datasets know: unions of JSON values into JSON texts, and
//! geometries into WKB.

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion_functions_json::JSON_UNION_DATA_TYPE;
use datafusion_functions_json::udfs::json_union_to_text_udf;

use super::nullable::nullable_subqueries;
use crate::Result;

/// Where Arrow says what a column means beyond its type.
const EXTENSION: &str = "ARROW:extension:name";

/// The plan as it is to run: with columns of its result that everybody can read, and with subqueries that may be NULL.
///
/// # Errors
/// None that can happen.
pub(crate) fn presentable(session: &SessionState, plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = nullable_subqueries(plan)?;
    let schema = plan.schema().as_ref().clone();
    if !schema.fields().iter().any(|field| is_json(field) || is_geometry(field)) {
        return Ok(plan);
    }
    let columns = columns(session, &schema)?;
    // Repeated names are told apart by their tables, which a projection over all of them keeps.
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

fn columns(session: &SessionState, schema: &DFSchema) -> Result<Vec<Expr>> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (qualifier, field) in schema.iter() {
        let column = Expr::Column(Column::from((qualifier, field)));
        let shown = if is_json(field) {
            cast(json_union_to_text_udf().call(vec![column]), DataType::Utf8)
        } else if is_geometry(field) {
            session.udf("st_asbinary")?.call(vec![column])
        } else {
            columns.push(column);
            continue;
        };
        columns.push(shown.alias_qualified(qualifier.cloned(), field.name()));
    }
    Ok(columns)
}

/// What `json_get` and `->` give.
fn is_json(field: &Field) -> bool {
    *field.data_type() == *JSON_UNION_DATA_TYPE
}

/// What functions over geometries give, but for WKB and WKT.
fn is_geometry(field: &Field) -> bool {
    let extension = field.metadata().get(EXTENSION).map(String::as_str);
    extension.is_some_and(|name| name.starts_with("geoarrow.") && !["geoarrow.wkb", "geoarrow.wkt"].contains(&name))
}
