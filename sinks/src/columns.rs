//! Rows as Arrow columns, named as in the schema: the same for every store.

use crate::outcome::Met;
use crate::stored::StoredRow;
use arrow::array::{
    ArrayRef, BooleanArray, BooleanBuilder, Float64Array, Float64Builder, StringArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array, UInt64Builder,
};
use model::columns::MetricRow;
use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::statistics::Statistics;
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
        let mut columns = series_columns(rows.iter().map(|held| held.row.series));
        columns.extend(bucket_columns(rows.iter().map(|held| Bucket::from(*held))));
        columns
    }
}

/// What names the series of buckets.
pub(crate) fn series_columns(series: impl Iterator<Item = SeriesId> + Clone) -> Columns {
    let names: Vec<SeriesRef<'static>> = series.map(|id| id.series().names()).collect();
    let each = || names.iter();
    vec![
        ("colony_id", text(each().map(|names| names.colony_id))),
        ("application_name", text(each().map(|names| names.application_name))),
        ("environment", text(each().map(|names| names.environment))),
        ("service_id", text(each().map(|names| names.service_id))),
        ("metric_name", text(each().map(|names| names.metric_name))),
        ("interval_seconds", intervals(each().map(|names| names.interval_seconds.unwrap_or(0)))),
    ]
}

pub(crate) fn intervals(seconds: impl Iterator<Item = u32>) -> ArrayRef {
    Arc::new(UInt32Array::from_iter_values(seconds))
}

/// A bucket as it is written, except the names of its series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) on_time: bool,
    pub(crate) timestamp: TimeMs,
    pub(crate) statistics: Statistics,
}

impl From<StoredRow<MetricRow<'_>>> for Bucket {
    fn from(StoredRow { on_time, row }: StoredRow<MetricRow<'_>>) -> Bucket {
        Bucket { on_time, timestamp: row.timestamp(), statistics: *row.statistics() }
    }
}

impl From<StoredRow<&MetricPoint>> for Bucket {
    fn from(StoredRow { on_time, row }: StoredRow<&MetricPoint>) -> Bucket {
        Bucket { on_time, timestamp: row.timestamp, statistics: Statistics::of(row) }
    }
}

/// The columns of buckets except the names of their series. Each row is read once: column by column, scattered rows
/// would be fetched once per column.
pub(crate) fn bucket_columns(rows: impl ExactSizeIterator<Item = Bucket>) -> Columns {
    let mut times = Vec::with_capacity(rows.len());
    let mut numbers = [(); 5].map(|()| Float64Builder::with_capacity(rows.len()));
    let mut counts = UInt64Builder::with_capacity(rows.len());
    let mut versions = UInt64Builder::with_capacity(rows.len());
    let mut late = BooleanBuilder::with_capacity(rows.len());
    for Bucket { on_time, timestamp, statistics } in rows {
        times.push(micros(timestamp));
        let values = [statistics.p50(), statistics.p95(), statistics.p99(), statistics.mean(), statistics.max()];
        for (number, value) in numbers.iter_mut().zip(values) {
            number.append_option(value.map(Real::unsigned_zero));
        }
        counts.append_option(statistics.count());
        versions.append_value(statistics.version());
        late.append_value(!on_time);
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
        ("late", Arc::new(late.finish())),
    ]
}

fn lateness<T>(rows: &[StoredRow<&T>]) -> ArrayRef {
    Arc::new(rows.iter().map(|held| Some(!held.on_time)).collect::<BooleanArray>())
}

/// The error for an unknown stored value.
pub(crate) type Unknown = Box<dyn std::error::Error + Send + Sync>;

/// A stored value that this program never writes.
pub(crate) fn unknown(column: &str, value: &str) -> Unknown {
    format!("column {column} holds {value:?}, which this program does not know").into()
}

pub(crate) fn read_severity(text: &str) -> Result<Severity, Unknown> {
    text.parse::<Severity>().map_err(|()| unknown("severity", text))
}
