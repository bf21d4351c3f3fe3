//! Rows as Arrow columns, named as in the schema: the same for every store.

use crate::outcome::Met;
use crate::resolve::{SeriesRef, StoredRow, series_of};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Float64Builder, StringArray, TimestampMicrosecondArray, UInt32Array,
    UInt64Array, UInt64Builder,
};
use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::real::Real;
use model::time::TimeMs;
use std::sync::Arc;

/// Named columns of equal length.
pub(crate) type Columns = Vec<(&'static str, ArrayRef)>;

pub(crate) fn text<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub(crate) fn times(values: impl Iterator<Item = TimeMs>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values.map(micros)))
}

pub(crate) fn micros(time: TimeMs) -> i64 {
    time.0.saturating_mul(1_000)
}

/// Zeros are written without a sign: see [`Real`].
pub(crate) fn reals(values: impl Iterator<Item = Option<Real>>) -> ArrayRef {
    Arc::new(values.map(|value| value.map(Real::unsigned_zero)).collect::<Float64Array>())
}

/// A row stored under an identity; the greatest copy is the current one (see [`StoredRow`]).
pub(crate) trait ReportedRow: Ord + Clone + Met {
    /// Its table.
    const TABLE: &'static str;
    /// The table of late copies; its columns are KEY and CONTENT.
    const LATE_TABLE: &'static str;
    /// Columns of its identity; none is ever null.
    const KEY: &'static [&'static str];
    /// All other columns that a newer copy replaces.
    const CONTENT: &'static [&'static str];
    /// All columns but those that the store itself fills.
    fn columns(rows: &[StoredRow<&Self>]) -> Columns;
}

impl ReportedRow for Event {
    const TABLE: &'static str = "federated_events";
    const LATE_TABLE: &'static str = "late_event_copies";
    const KEY: &'static [&'static str] = &["colony_id", "event_id"];
    const CONTENT: &'static [&'static str] = &[
        "application_name",
        "environment",
        "timestamp",
        "event_type",
        "service_id",
        "severity",
        "description",
        "metadata",
        "version",
        "withdrawn",
        "late",
    ];

    fn columns(rows: &[StoredRow<&Event>]) -> Columns {
        let each = || rows.iter().map(|held| held.row);
        let metadata: Vec<String> = each().map(metadata_json).collect();
        vec![
            ("colony_id", text(each().map(|row| row.colony_id.as_str()))),
            ("event_id", text(each().map(|row| row.event_id.as_str()))),
            ("application_name", text(each().map(|row| row.application_name.as_str()))),
            ("environment", text(each().map(|row| row.environment.as_str()))),
            ("timestamp", times(each().map(|row| row.timestamp))),
            ("event_type", text(each().map(|row| row.event_type.as_str()))),
            ("service_id", text(each().map(|row| row.service_id.as_str()))),
            ("severity", text(each().map(|row| row.severity.as_str()))),
            ("description", text(each().map(|row| row.description.as_str()))),
            ("metadata", text(metadata.iter().map(String::as_str))),
            ("version", Arc::new(each().map(|row| Some(row.version)).collect::<UInt64Array>())),
            ("withdrawn", Arc::new(each().map(|row| Some(row.withdrawn)).collect::<BooleanArray>())),
            ("late", lateness(rows)),
        ]
    }
}

/// The metadata as a JSON object; a map of text to text always is one.
fn metadata_json(event: &Event) -> String {
    serde_json::to_string(&event.metadata).unwrap_or_else(|_| "{}".to_owned())
}

impl ReportedRow for MetricPoint {
    const TABLE: &'static str = "federated_metrics";
    const LATE_TABLE: &'static str = "late_metric_copies";
    const KEY: &'static [&'static str] =
        &["colony_id", "application_name", "environment", "service_id", "metric_name", "interval_seconds", "timestamp"];
    const CONTENT: &'static [&'static str] =
        &["p50", "p95", "p99", "mean", "max_value", "sample_count", "version", "late"];

    fn columns(rows: &[StoredRow<&MetricPoint>]) -> Columns {
        let mut columns = series_columns(rows.iter().map(|held| series_of(held.row)));
        columns.extend(bucket_columns(rows));
        columns
    }
}

/// What names the series of buckets.
pub(crate) fn series_columns<'a>(series: impl Iterator<Item = SeriesRef<'a>> + Clone) -> Columns {
    vec![
        ("colony_id", text(series.clone().map(|(colony, ..)| colony))),
        ("application_name", text(series.clone().map(|(_, application, ..)| application))),
        ("environment", text(series.clone().map(|(_, _, environment, ..)| environment))),
        ("service_id", text(series.clone().map(|(_, _, _, service, ..)| service))),
        ("metric_name", text(series.clone().map(|(_, _, _, _, metric, _)| metric))),
        ("interval_seconds", intervals(series.map(|(.., interval)| interval))),
    ]
}

pub(crate) fn intervals(seconds: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(seconds))
}

/// The columns of buckets but those that name their series. Each row is looked at once: by column, rows that lie apart in
/// memory are fetched as often as there are columns.
pub(crate) fn bucket_columns(rows: &[StoredRow<&MetricPoint>]) -> Columns {
    let mut times = Vec::with_capacity(rows.len());
    let mut numbers = [(); 5].map(|()| Float64Builder::with_capacity(rows.len()));
    let mut counts = UInt64Builder::with_capacity(rows.len());
    let mut versions = UInt64Builder::with_capacity(rows.len());
    for row in rows.iter().map(|held| held.row) {
        times.push(micros(row.timestamp));
        for (number, value) in numbers.iter_mut().zip([row.p50, row.p95, row.p99, row.mean, row.max]) {
            number.append_option(value.map(Real::unsigned_zero));
        }
        counts.append_option(row.count);
        versions.append_value(row.version);
    }
    let [p50, p95, p99, mean, max_value] = numbers.map(|mut number| Arc::new(number.finish()) as ArrayRef);
    vec![
        ("timestamp", Arc::new(TimestampMicrosecondArray::from(times))),
        ("p50", p50),
        ("p95", p95),
        ("p99", p99),
        ("mean", mean),
        ("max_value", max_value),
        ("sample_count", Arc::new(counts.finish())),
        ("version", Arc::new(versions.finish())),
        ("late", lateness(rows)),
    ]
}

fn lateness<T>(rows: &[StoredRow<&T>]) -> ArrayRef {
    Arc::new(rows.iter().map(|held| Some(!held.on_time)).collect::<BooleanArray>())
}

/// Says what was read and is none of our words.
pub(crate) type Unknown = Box<dyn std::error::Error + Send + Sync>;

/// A stored word that this program never writes.
pub(crate) fn unknown(column: &str, value: &str) -> Unknown {
    format!("column {column} holds {value:?}, which this program does not know").into()
}

pub(crate) fn read_severity(text: &str) -> Result<Severity, Unknown> {
    text.parse::<Severity>().map_err(|()| unknown("severity", text))
}
