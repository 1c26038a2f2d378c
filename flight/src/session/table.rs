//! `system.sessions`.

use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jetway_planner::{Clock, Result, Subject, SystemTableSource};

use super::{SessionInfo, Sessions};

#[async_trait]
impl SystemTableSource for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn schema(&self) -> SchemaRef {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let zone = Some("UTC".into());
        let time = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, zone.clone()), false);
        Arc::new(Schema::new(vec![
            text("id"),
            text("account"),
            text("client"),
            time("first_seen_at"),
            time("last_seen_at"),
            time("expires_at"),
            text("options"),
        ]))
    }

    async fn rows(&self, subject: &Subject) -> Result<RecordBatch> {
        let mut sessions = self.snapshot(Clock::system().now().into());
        sessions.retain(|session| may_see(subject, &session.account));
        let columns = vec![
            text(&sessions, |session| session.id.clone()),
            text(&sessions, |session| session.account.clone()),
            text(&sessions, |session| session.client.clone()),
            time(&sessions, |session| session.first_seen),
            time(&sessions, |session| session.last_seen),
            time(&sessions, |session| session.expires),
            text(&sessions, |session| {
                let options = session.options.iter().map(|(name, value)| format!("{name}={value}"));
                options.collect::<Vec<_>>().join(", ")
            }),
        ];
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

/// Own things, or all for an administrator. Those without an account are many, who share a name.
pub(crate) fn may_see(subject: &Subject, account: &str) -> bool {
    subject.is_admin() || !subject.is_anonymous() && account.eq_ignore_ascii_case(subject.name().as_str())
}

fn text(sessions: &[SessionInfo], value: impl Fn(&SessionInfo) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(sessions.iter().map(value)))
}

fn time(sessions: &[SessionInfo], value: impl Fn(&SessionInfo) -> SystemTime) -> ArrayRef {
    let times = sessions
        .iter()
        .map(|session| DateTime::<Utc>::from(value(session)).timestamp_millis());
    Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC"))
}
