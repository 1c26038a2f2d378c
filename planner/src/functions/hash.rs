//! SHA3-256, the hash that Open Data Fabric names files and blocks with.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, plan_err};
use datafusion::logical_expr::scalar_doc_sections::DOC_SECTION_HASHING;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use jetway_odf::identity::Multihash;

/// `sha3_256(text or bytes)`: 32 bytes.
pub(super) fn sha3_256() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Sha3 {
        signature: Signature::any(1, Volatility::Immutable),
        documentation: Documentation::builder(
            DOC_SECTION_HASHING,
            "Computes the SHA3-256 hash of a text or of bytes.",
            "sha3_256(expression)",
        )
        .build(),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sha3 {
    signature: Signature,
    documentation: Documentation,
}

impl ScalarUDFImpl for Sha3 {
    fn name(&self) -> &str {
        "sha3_256"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        match types {
            [data_type] if data_type.is_string() || data_type.is_binary() || data_type.is_null() => {
                Ok(DataType::Binary)
            }
            _ => plan_err!("sha3_256 takes a text or bytes; cast other values to varchar"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [values] = arrays.as_slice() else {
            return plan_err!("sha3_256 takes one argument");
        };
        Ok(ColumnarValue::Array(digests(values)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

fn digests(values: &ArrayRef) -> Result<ArrayRef, DataFusionError> {
    let values = cast(values, &DataType::LargeBinary)?;
    let mut digests = BinaryBuilder::with_capacity(values.len(), values.len() * Multihash::DIGEST_LEN);
    for value in values.as_binary::<i64>() {
        digests.append_option(value.map(|value| *Multihash::sha3_256(value).digest()));
    }
    Ok(Arc::new(digests.finish()))
}
