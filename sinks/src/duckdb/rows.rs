//! Rows as Arrow columns on the way in and as SQL results on the way out. Column names are the schema's.

use super::fault::Cause;
use crate::resolve::Held;
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use duckdb::Row;
use model::event::{Event, Severity};
use model::metric::{MetricPoint, SeriesKey};
use model::real::Real;
use model::time::TimeMs;
use std::sync::Arc;

/// Named columns of equal length.
pub(super) type Columns = Vec<(&'static str, ArrayRef)>;

pub(super) fn text<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub(super) fn times(values: impl Iterator<Item = TimeMs>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values.map(|time| time.0.saturating_mul(1_000))))
}

pub(super) fn reals(values: impl Iterator<Item = Option<Real>>) -> ArrayRef {
    Arc::new(values.map(|value| value.map(|real| real.0)).collect::<Float64Array>())
}

/// A row kept under an identity, of which the greatest copy stays (see [`Held`]).
pub(super) trait KeptRow: Ord + Clone {
    /// Its table.
    const TABLE: &'static str;
    /// Columns of its identity; none is ever null.
    const KEY: &'static [&'static str];
    /// All other columns that a newer copy replaces.
    const CONTENT: &'static [&'static str];
    /// All columns but those that the store itself fills.
    fn columns(rows: &[&Held<Self>]) -> Columns;
    /// Reads `epoch_ms`-ed times and plain columns in the order KEY, CONTENT, starting at `first`.
    fn read(row: &Row<'_>, first: usize) -> Result<Held<Self>, Cause>;
}

impl KeptRow for Event {
    const TABLE: &'static str = "federated_events";
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

    fn columns(rows: &[&Held<Event>]) -> Columns {
        let each = || rows.iter().map(|held| &held.row);
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

    fn read(row: &Row<'_>, first: usize) -> Result<Held<Event>, Cause> {
        let severity: String = row.get(first + 7)?;
        let metadata: String = row.get(first + 9)?;
        let late: bool = row.get(first + 12)?;
        let event = Event {
            colony_id: row.get(first)?,
            event_id: row.get(first + 1)?,
            application_name: row.get(first + 2)?,
            environment: row.get(first + 3)?,
            timestamp: TimeMs(row.get(first + 4)?),
            event_type: row.get(first + 5)?,
            service_id: row.get(first + 6)?,
            severity: severity.parse::<Severity>().map_err(|()| unknown("severity", &severity))?,
            description: row.get(first + 8)?,
            metadata: serde_json::from_str(&metadata)?,
            version: row.get(first + 10)?,
            withdrawn: row.get(first + 11)?,
        };
        Ok(Held { on_time: !late, row: event })
    }
}

/// The metadata as a JSON object; a map of text to text always is one.
fn metadata_json(event: &Event) -> String {
    serde_json::to_string(&event.metadata).unwrap_or_else(|_| "{}".to_owned())
}

impl KeptRow for MetricPoint {
    const TABLE: &'static str = "federated_metrics";
    const KEY: &'static [&'static str] =
        &["colony_id", "application_name", "environment", "service_id", "metric_name", "interval_seconds", "timestamp"];
    const CONTENT: &'static [&'static str] = &["p50", "p95", "p99", "mean", "max_value", "sample_count", "late"];

    fn columns(rows: &[&Held<MetricPoint>]) -> Columns {
        let each = || rows.iter().map(|held| &held.row);
        let intervals = each().map(|row| Some(row.interval_seconds.unwrap_or(0)));
        vec![
            ("colony_id", text(each().map(|row| row.series.colony_id.as_str()))),
            ("application_name", text(each().map(|row| row.application_name.as_str()))),
            ("environment", text(each().map(|row| row.environment.as_str()))),
            ("service_id", text(each().map(|row| row.series.service_id.as_str()))),
            ("metric_name", text(each().map(|row| row.series.metric_name.as_str()))),
            ("interval_seconds", Arc::new(intervals.collect::<UInt32Array>())),
            ("timestamp", times(each().map(|row| row.timestamp))),
            ("p50", reals(each().map(|row| row.p50))),
            ("p95", reals(each().map(|row| row.p95))),
            ("p99", reals(each().map(|row| row.p99))),
            ("mean", reals(each().map(|row| row.mean))),
            ("max_value", reals(each().map(|row| row.max))),
            ("sample_count", Arc::new(each().map(|row| row.count).collect::<UInt64Array>())),
            ("late", lateness(rows)),
        ]
    }

    fn read(row: &Row<'_>, first: usize) -> Result<Held<MetricPoint>, Cause> {
        let interval_seconds: u32 = row.get(first + 5)?;
        let real = |index: usize| row.get::<_, Option<f64>>(first + index).map(|value| value.map(Real));
        let late: bool = row.get(first + 13)?;
        let point = MetricPoint {
            series: SeriesKey {
                colony_id: row.get(first)?,
                service_id: row.get(first + 3)?,
                metric_name: row.get(first + 4)?,
            },
            application_name: row.get(first + 1)?,
            environment: row.get(first + 2)?,
            interval_seconds: (interval_seconds > 0).then_some(interval_seconds),
            timestamp: TimeMs(row.get(first + 6)?),
            p50: real(7)?,
            p95: real(8)?,
            p99: real(9)?,
            mean: real(10)?,
            max: real(11)?,
            count: row.get(first + 12)?,
        };
        Ok(Held { on_time: !late, row: point })
    }
}

fn lateness<T>(rows: &[&Held<T>]) -> ArrayRef {
    Arc::new(rows.iter().map(|held| Some(!held.on_time)).collect::<BooleanArray>())
}

/// A stored word that this program never writes.
pub(super) fn unknown(column: &str, value: &str) -> Cause {
    format!("column {column} holds {value:?}, which this program does not know").into()
}

/// `alias.a, epoch_ms(alias.timestamp), …`: the columns of a row as [`KeptRow::read`] wants them.
pub(super) fn selection<R: KeptRow>(alias: &str) -> String {
    let column = |name: &&str| match *name {
        "timestamp" => format!("epoch_ms({alias}.timestamp)"),
        name => format!("{alias}.{name}"),
    };
    R::KEY.iter().chain(R::CONTENT).map(column).collect::<Vec<_>>().join(", ")
}
