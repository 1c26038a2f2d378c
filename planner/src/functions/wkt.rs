//! Geometries from text, which may be anybody's: the parser below calls itself for each collection within a collection, and every
//! function over geometries takes text.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DataFusionError, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Most parentheses within each other; polygons in collections need four, and collections in collections are rare.
const MAX_DEPTH: usize = 64;

/// The same function, which refuses texts that are nested deeper than anybody writes.
pub(super) fn shallow(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Shallow(function)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Shallow(Arc<ScalarUDF>);

impl ScalarUDFImpl for Shallow {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        self.0.return_type(types)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef, DataFusionError> {
        self.0.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        for argument in arguments
            .args
            .iter()
            .filter(|argument| argument.data_type().is_string())
        {
            check(&argument.to_array(arguments.number_rows)?)?;
        }
        self.0.invoke_with_args(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }
}

fn check(texts: &ArrayRef) -> Result<(), DataFusionError> {
    let texts = cast(texts, &DataType::LargeUtf8)?;
    for text in texts.as_string::<i64>().iter().flatten() {
        let (mut depth, mut deepest) = (0_usize, 0);
        for letter in text.bytes() {
            match letter {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => continue,
            }
            deepest = deepest.max(depth);
        }
        if deepest > MAX_DEPTH {
            return exec_err!("a geometry is nested deeper than {MAX_DEPTH} levels");
        }
    }
    Ok(())
}
