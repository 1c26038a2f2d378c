//! `system.queries`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jetway_planner::{Result, Subject, SystemTableSource};

use super::{Queries, QueryRecord};

#[async_trait]
impl SystemTableSource for Queries {
    fn name(&self) -> &'static str {
        "queries"
    }

    fn schema(&self) -> SchemaRef {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let number = |name: &str| Field::new(name, DataType::Int64, false);
        let time = |name: &str| {
            Field::new(
                name,
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
                true,
            )
        };
        Arc::new(Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("account", DataType::Utf8, false),
            Field::new("state", DataType::Utf8, false),
            Field::new("command", DataType::Utf8, false),
            Field::new("query", DataType::Utf8, false),
            text("client"),
            text("peer"),
            text("trace_id"),
            time("planned_at"),
            time("queued_at"),
            time("started_at"),
            time("first_row_at"),
            time("finished_at"),
            number("rows"),
            number("bytes"),
            number("memory_bytes"),
            number("peak_memory_bytes"),
            number("spilled_bytes"),
            text("error_code"),
            text("error_message"),
        ]))
    }

    async fn rows(&self, subject: &Subject) -> Result<RecordBatch> {
        let records = self.list(subject);
        let columns = vec![
            text(&records, |record| Some(record.id.to_string())),
            text(&records, |record| Some(record.origin.account.clone())),
            text(&records, |record| Some(record.state.name().to_owned())),
            text(&records, |record| Some(record.command.to_owned())),
            text(&records, |record| Some(record.text.to_string())),
            text(&records, |record| {
                Some(record.origin.client.to_string()).filter(|client| !client.is_empty())
            }),
            text(&records, |record| record.origin.peer.map(|peer| peer.to_string())),
            text(&records, |record| record.origin.trace.as_ref().map(ToString::to_string)),
            time(&records, |record| Some(record.planned)),
            time(&records, |record| record.queued),
            time(&records, |record| record.started),
            time(&records, |record| record.first_row),
            time(&records, |record| record.finished),
            number(&records, |record| record.rows),
            number(&records, |record| record.bytes),
            number(&records, |record| record.memory),
            number(&records, |record| record.peak_memory),
            number(&records, |record| record.spilled),
            text(&records, |record| {
                record.error.as_ref().map(|(code, _)| (*code).to_owned())
            }),
            text(&records, |record| {
                record.error.as_ref().map(|(_, message)| message.to_string())
            }),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

fn text(records: &[QueryRecord], value: impl Fn(&QueryRecord) -> Option<String>) -> ArrayRef {
    Arc::new(records.iter().map(value).collect::<StringArray>())
}

fn number(records: &[QueryRecord], value: impl Fn(&QueryRecord) -> u64) -> ArrayRef {
    let values = records
        .iter()
        .map(|record| i64::try_from(value(record)).unwrap_or(i64::MAX));
    Arc::new(Int64Array::from_iter_values(values))
}

fn time(records: &[QueryRecord], value: impl Fn(&QueryRecord) -> Option<DateTime<Utc>>) -> ArrayRef {
    let values = records
        .iter()
        .map(|record| value(record).map(|time| time.timestamp_millis()));
    Arc::new(values.collect::<TimestampMillisecondArray>().with_timezone("UTC"))
}
