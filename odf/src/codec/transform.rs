//! The tables of transformations. Names and order are those of `opendatafabric.fbs`.

use super::declare::{records, unions};
use crate::metadata::{SqlQueryStep, TemporalTable, Transform, TransformInput, TransformSql};

unions! {
    Transform {
        1 Sql(record),
    }
}

records! {
    TransformInput { dataset_ref, alias }
    TransformSql { engine, version, query, queries, temporal_tables }
    SqlQueryStep { alias, query }
    TemporalTable { name, primary_key }
}
