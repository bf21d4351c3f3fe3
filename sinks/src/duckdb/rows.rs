//! Rows in DuckDB's result format. Written by [`crate::columns`].

use super::fault::Cause;
use crate::columns::{ReportedRow, read_severity};
use crate::stored::StoredRow;
use duckdb::Row;
use model::event::Event;
use model::metric::MetricPoint;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::TimeMs;

/// A stored row that can be read from DuckDB.
pub(super) trait ReadRow: ReportedRow {
    /// The table that holds it; [`ReportedRow::TABLE`] is what shows it.
    const STORED: &'static str;
    /// Whether a row may hold tens of kilobytes: the tables then have row ids, none of them is a view.
    const HAS_LONG_TEXTS: bool;
    /// Its identity there.
    const STORED_KEY: &'static [&'static str];
    /// `staged_rows`, which has rows in the visible form, with the columns of [`ReadRow::STORED_KEY`].
    const STAGED: &'static str;
    /// Reads `epoch_ms`-ed times and plain columns in the order KEY, CONTENT, starting at `first`.
    fn read(row: &Row<'_>, first: usize) -> Result<StoredRow<Self>, Cause>;
}

impl ReadRow for Event {
    const STORED: &'static str = Event::TABLE;
    const HAS_LONG_TEXTS: bool = true;
    const STORED_KEY: &'static [&'static str] = Event::KEY;
    const STAGED: &'static str = "staged_rows";

    fn read(row: &Row<'_>, first: usize) -> Result<StoredRow<Event>, Cause> {
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
            severity: read_severity(&severity)?,
            description: row.get(first + 8)?,
            metadata: serde_json::from_str(&metadata)?,
            version: row.get(first + 10)?,
            withdrawn: row.get(first + 11)?,
        };
        Ok(StoredRow { on_time: !late, row: event })
    }
}

impl ReadRow for MetricPoint {
    const STORED: &'static str = "metric_buckets";
    const HAS_LONG_TEXTS: bool = false;
    const STORED_KEY: &'static [&'static str] = &["series_id", "timestamp"];
    const STAGED: &'static str = "(FROM staged_rows JOIN metric_series
        USING (colony_id, application_name, environment, service_id, metric_name, interval_seconds))";

    fn read(row: &Row<'_>, first: usize) -> Result<StoredRow<MetricPoint>, Cause> {
        let real = |index: usize| row.get::<_, Option<f64>>(first + index).map(|value| value.map(Real));
        let late: bool = row.get(first + 14)?;
        let text = |index: usize| row.get_ref(first + index)?.as_str().map_err(Cause::from);
        let names = SeriesRef {
            colony_id: text(0)?,
            application_name: text(1)?,
            environment: text(2)?,
            service_id: text(3)?,
            metric_name: text(4)?,
            interval_seconds: Some(row.get(first + 5)?),
        };
        let point = MetricPoint {
            series: SeriesId::of(names),
            timestamp: TimeMs(row.get(first + 6)?),
            p50: real(7)?,
            p95: real(8)?,
            p99: real(9)?,
            mean: real(10)?,
            max: real(11)?,
            version: row.get(first + 13)?,
            count: row.get(first + 12)?,
        };
        Ok(StoredRow { on_time: !late, row: point })
    }
}

/// `alias.a, epoch_ms(alias.timestamp), …`: the columns of a row as [`ReportedRow::read`] expects them.
pub(super) fn selection<R: ReportedRow>(alias: &str) -> String {
    let column = |name: &&str| match *name {
        "timestamp" => format!("epoch_ms({alias}.timestamp)"),
        name => format!("{alias}.{name}"),
    };
    R::KEY.iter().chain(R::CONTENT).map(column).collect::<Vec<_>>().join(", ")
}
