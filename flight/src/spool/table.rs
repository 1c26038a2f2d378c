//! `system.spool`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use jetway_planner::{Result, Subject, SystemTableSource};

use super::{Spool, SpooledAnswer};
use crate::session::may_see;

#[async_trait]
impl SystemTableSource for Spool {
    fn name(&self) -> &'static str {
        "spool"
    }

    fn schema(&self) -> SchemaRef {
        let field = |name: &str, data_type| Field::new(name, data_type, false);
        Arc::new(Schema::new(vec![
            field("query_id", DataType::Utf8),
            field("account", DataType::Utf8),
            field("is_complete", DataType::Boolean),
            field("rows", DataType::Int64),
            field("memory_bytes", DataType::Int64),
            field("disk_bytes", DataType::Int64),
            field("reads", DataType::Int64),
            field("age_seconds", DataType::Float64),
        ]))
    }

    async fn rows(&self, subject: &Subject) -> Result<RecordBatch> {
        let mut answers = self.snapshot();
        answers.retain(|answer| may_see(subject, &answer.account));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(
                answers.iter().map(|answer| answer.run.to_string()),
            )),
            Arc::new(StringArray::from_iter_values(
                answers.iter().map(|answer| &answer.account),
            )),
            Arc::new(BooleanArray::from_iter(
                answers.iter().map(|answer| Some(answer.is_complete)),
            )),
            numbers(&answers, |answer| answer.rows),
            numbers(&answers, |answer| answer.memory),
            numbers(&answers, |answer| answer.disk),
            numbers(&answers, |answer| answer.reads),
            Arc::new(Float64Array::from_iter_values(
                answers.iter().map(|answer| answer.age.as_secs_f64()),
            )),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

fn numbers(answers: &[SpooledAnswer], value: impl Fn(&SpooledAnswer) -> u64) -> ArrayRef {
    let values = answers
        .iter()
        .map(|answer| i64::try_from(value(answer)).unwrap_or(i64::MAX));
    Arc::new(Int64Array::from_iter_values(values))
}
