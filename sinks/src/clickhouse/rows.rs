//! Reported rows in the server's response format, and the columns that only this store has. Others: [`crate::columns`].

use super::fault::Fault;
use crate::columns::{Columns, ReportedRow, read_severity, text};
use crate::stored::StoredRow;
use arrow::array::{Float64Array, StringArray, UInt8Array, UInt64Array};
use model::event::Event;
use model::metric::MetricPoint;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::TimeMs;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A row that can be read from the server.
pub(super) trait ReadRow: ReportedRow {
    /// Its response format.
    type Answer: clickhouse::RowOwned + clickhouse::RowRead + DeserializeOwned;
    /// Columns of the response that only this store has.
    const OWN: &'static [&'static str];
    /// Their values for tables without them.
    const OWN_LATE: &'static [&'static str];
    /// The row.
    fn read(answer: Self::Answer) -> Result<StoredRow<Self>, Fault>;
}

/// `SELECT` list of [`ReadRow::Answer`].
pub(super) fn selection<R: ReadRow>() -> String {
    [R::KEY, R::CONTENT, R::OWN].concat().join(", ")
}

/// The same from the table of late copies.
pub(super) fn late_selection<R: ReadRow>() -> String {
    [R::KEY, R::CONTENT, R::OWN_LATE].concat().join(", ")
}

#[derive(clickhouse::Row, Deserialize)]
pub(super) struct EventAnswer {
    pub(super) colony_id: String,
    pub(super) event_id: String,
    application_name: String,
    environment: String,
    timestamp: i64,
    event_type: String,
    service_id: String,
    severity: String,
    description: String,
    metadata: String,
    version: u64,
    withdrawn: bool,
    late: bool,
    pub(super) correlation_group: Option<String>,
    pub(super) correlation_score: Option<f64>,
}

impl ReadRow for Event {
    type Answer = EventAnswer;
    const OWN: &'static [&'static str] = &["correlation_group", "correlation_score"];
    const OWN_LATE: &'static [&'static str] = &[
        "CAST(NULL, 'Nullable(String)') AS correlation_group",
        "CAST(NULL, 'Nullable(Float64)') AS correlation_score",
    ];

    fn read(answer: EventAnswer) -> Result<StoredRow<Event>, Fault> {
        let metadata = serde_json::from_str(&answer.metadata);
        let event = Event {
            colony_id: answer.colony_id,
            event_id: answer.event_id,
            version: answer.version,
            withdrawn: answer.withdrawn,
            application_name: answer.application_name,
            environment: answer.environment,
            timestamp: TimeMs(answer.timestamp),
            event_type: answer.event_type,
            service_id: answer.service_id,
            severity: read_severity(&answer.severity)?,
            description: answer.description,
            metadata: metadata
                .map_err(|error| Fault::stop("column metadata is not what this program writes", error))?,
        };
        Ok(StoredRow { on_time: !answer.late, row: event })
    }
}

#[derive(clickhouse::Row, Deserialize)]
pub(super) struct MetricAnswer {
    colony_id: String,
    application_name: String,
    environment: String,
    service_id: String,
    metric_name: String,
    interval_seconds: u32,
    timestamp: i64,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    mean: Option<f64>,
    max_value: Option<f64>,
    sample_count: Option<u64>,
    version: u64,
    late: bool,
}

impl ReadRow for MetricPoint {
    type Answer = MetricAnswer;
    const OWN: &'static [&'static str] = &[];
    const OWN_LATE: &'static [&'static str] = &[];

    fn read(answer: MetricAnswer) -> Result<StoredRow<MetricPoint>, Fault> {
        let names = SeriesRef {
            colony_id: &answer.colony_id,
            application_name: &answer.application_name,
            environment: &answer.environment,
            service_id: &answer.service_id,
            metric_name: &answer.metric_name,
            interval_seconds: Some(answer.interval_seconds),
        };
        let point = MetricPoint {
            series: SeriesId::of(names),
            timestamp: TimeMs(answer.timestamp),
            version: answer.version,
            count: answer.sample_count,
            mean: answer.mean.map(Real),
            p50: answer.p50.map(Real),
            p95: answer.p95.map(Real),
            p99: answer.p99.map(Real),
            max: answer.max_value.map(Real),
        };
        Ok(StoredRow { on_time: !answer.late, row: point })
    }
}

/// The best-scored link of an event, as its row shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Mark {
    pub(super) correlation_group: Option<String>,
    pub(super) correlation_score: Option<f64>,
}

/// The stored form of an event.
pub(super) struct EventCopy {
    pub(super) held: StoredRow<Event>,
    pub(super) mark: Mark,
    pub(super) version: u64,
    pub(super) removed: bool,
}

pub(super) fn event_columns(copies: &[EventCopy]) -> Columns {
    let held: Vec<StoredRow<&Event>> = copies.iter().map(|copy| copy.held.each_ref()).collect();
    let mut columns = Event::columns(&held);
    let groups = copies.iter().map(|copy| copy.mark.correlation_group.as_deref());
    let scores = copies.iter().map(|copy| copy.mark.correlation_score);
    columns.push(("correlation_group", Arc::new(groups.collect::<StringArray>())));
    columns.push(("correlation_score", Arc::new(scores.collect::<Float64Array>())));
    columns.extend(versions(copies.iter().map(|copy| (copy.version, copy.removed))));
    columns
}

/// The columns that decide between copies of a row: its version, and whether the row is deleted.
pub(super) fn versions(copies: impl Iterator<Item = (u64, bool)> + Clone) -> Columns {
    let removed = copies.clone().map(|(_, removed)| u8::from(removed));
    vec![
        ("ingest_version", Arc::new(UInt64Array::from_iter_values(copies.map(|(version, _)| version)))),
        ("removed", Arc::new(UInt8Array::from_iter_values(removed))),
    ]
}

/// A column of texts taken from rows.
pub(super) fn texts<T>(rows: &[T], of: impl Fn(&T) -> &str) -> arrow::array::ArrayRef {
    text(rows.iter().map(of))
}
