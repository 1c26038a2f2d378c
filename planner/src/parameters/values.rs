//! Values for parameters: checked, in the types of their places.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::logical_expr::LogicalPlan;

use crate::{Error, ErrorKind, Result};

/// Rows of values, one column for each parameter.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    columns: Vec<ArrayRef>,
    rows: usize,
}

/// There must be one column for each parameter.
pub(crate) fn check_columns(schema: &Schema, parameters: usize) -> Result<()> {
    let given = schema.fields().len();
    if given == parameters {
        return Ok(());
    }
    let which = if given < parameters {
        format!("parameter ${} has no value", given + 1)
    } else if parameters == 0 {
        "it has no parameters".to_owned()
    } else {
        format!("there is no parameter ${}", parameters + 1)
    };
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!("the statement has {parameters} parameters, and {given} values are bound in each row: {which}"),
    ))
}

impl Bound {
    /// Rows with one column for each type, in which values are cast to it where they keep what they say.
    ///
    /// # Errors
    /// `InvalidArgument` that names the parameter.
    pub(super) fn new(values: &RecordBatch, types: &[Option<DataType>]) -> Result<Self> {
        let columns = values.columns().iter().zip(types).zip(1..);
        let columns = columns.map(|((column, wanted), number)| match wanted {
            Some(wanted) if wanted != column.data_type() => convert(column, wanted, number),
            _ => Ok(ArrayRef::clone(column)),
        });
        Ok(Self {
            columns: columns.collect::<Result<_>>()?,
            rows: values.num_rows(),
        })
    }

    /// A row for a statement without parameters.
    pub(super) fn nothing() -> Self {
        Self {
            columns: Vec::new(),
            rows: 1,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn types(&self) -> impl Iterator<Item = DataType> {
        self.columns.iter().map(|column| column.data_type().clone())
    }

    /// The plan with the values of a row in the places of its parameters; with nulls if there is no such row.
    pub(crate) fn bind(&self, plan: LogicalPlan, row: usize) -> Result<LogicalPlan> {
        if self.columns.is_empty() {
            return Ok(plan);
        }
        let mut values = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            values.push(if row < self.rows {
                ScalarValue::try_from_array(column, row)?
            } else {
                ScalarValue::try_new_null(column.data_type())?
            });
        }
        Ok(plan.replace_params_with_values(&ParamValues::from(values))?)
    }
}

/// The values as another type if all of them stay what they are, and otherwise as they were: `n > 1.5` is not `n > 1`.
fn convert(column: &ArrayRef, wanted: &DataType, number: usize) -> Result<ArrayRef> {
    let given = column.data_type();
    let refused = |why: String| {
        Error::new(
            ErrorKind::InvalidArgument,
            format!("the value of parameter ${number} must be {wanted}, and is {given}{why}"),
        )
    };
    if !can_cast_types(given, wanted) {
        return Err(refused(String::new()));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let converted = cast_with_options(column, wanted, &options);
    if matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        // There are many texts for a value.
        return converted.map_err(|error| refused(format!(": {error}")).with_source(error));
    }
    let Ok(converted) = converted else {
        return Ok(ArrayRef::clone(column));
    };
    let is_same = match cast_with_options(&converted, given, &options) {
        Ok(back) => back.null_count() == column.null_count() && *back == **column,
        // A type without a way back, such as what is text now.
        Err(_) => true,
    };
    Ok(if is_same { converted } else { ArrayRef::clone(column) })
}
