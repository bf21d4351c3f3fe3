//! Every statement that reads rows, except those about insights.

use super::rows::{ConnectionRow, EventDetails, EventRow, MetricRow, ServiceRow};
use super::{ServiceStatus, Store};
use crate::error::StoreError;
use crate::summarize::Interval;
use duckdb::types::Value;
use duckdb::{Connection, Row, params, params_from_iter};
use model::metric::MetricPoint;
use model::real::Real;
use model::statistics::Statistics;
use model::time::{DAY_MS, TimeMs};

/// Services by how they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Running.
    pub healthy: u32,
    /// Stopped.
    pub degraded: u32,
    /// Failed.
    pub unhealthy: u32,
    /// Agents that report services; `None` when there are no services.
    pub agents: Option<u32>,
}

impl Health {
    /// Services in all.
    pub fn total(&self) -> u32 {
        self.healthy + self.degraded + self.unhealthy
    }

    /// `healthy` when every service runs, `unhealthy` when there are services and none runs, else `degraded`.
    pub fn overall(&self) -> &'static str {
        match (self.healthy, self.total()) {
            (healthy, total) if healthy == total => "healthy",
            (0, _) => "unhealthy",
            _ => "degraded",
        }
    }
}

/// Rows and time range per table, for display.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Table and rows, in the order of the schema.
    pub rows: Vec<(&'static str, u64)>,
    /// Time of the newest event.
    pub newest_event: Option<TimeMs>,
    /// Start of the newest bucket.
    pub newest_metric: Option<TimeMs>,
}

/// A time range, start included, end not; `None` is open.
pub(crate) type Range = (Option<TimeMs>, Option<TimeMs>);

/// Times as DuckDB can hold them, so that an open end is a number too.
fn bounds(range: Range) -> (i64, i64) {
    const LIMIT_MS: i64 = 200_000_000_000_000;
    let (from, to) = range;
    (
        from.map_or(-LIMIT_MS, |t| t.0.clamp(-LIMIT_MS, LIMIT_MS)),
        to.map_or(LIMIT_MS, |t| t.0.clamp(-LIMIT_MS, LIMIT_MS)),
    )
}

/// What of a range is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub range: Range,
    pub metrics: bool,
    pub events: bool,
    pub topology: bool,
    /// Only buckets and events of these; empty for all.
    pub services: Vec<String>,
    /// Only buckets of these; empty for all.
    pub metric_names: Vec<String>,
}

impl Wanted {
    /// The rest of a condition, and its values.
    fn named(&self, with_metrics: bool) -> (String, Vec<Value>) {
        let lists = [("service_id", &self.services), ("metric_name", &self.metric_names)];
        let lists = lists.into_iter().take(if with_metrics { 2 } else { 1 }).filter(|(_, names)| !names.is_empty());
        let (mut text, mut values) = (String::new(), Vec::new());
        for (column, names) in lists {
            text.push_str(&format!(" AND {column} IN ({})", vec!["?"; names.len()].join(", ")));
            values.extend(names.iter().cloned().map(Value::Text));
        }
        (text, values)
    }

    /// Values of a condition: times, then names.
    fn values(times: &[i64], names: Vec<Value>) -> Vec<Value> {
        times.iter().map(|time| Value::BigInt(*time)).chain(names).collect()
    }
}

/// Everything a summary says, read from one state of the database.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub metrics: Vec<MetricRow>,
    pub events: Vec<EventRow>,
    pub services: Vec<ServiceRow>,
    pub connections: Vec<ConnectionRow>,
    pub health: Health,
}

impl Store {
    /// The wanted buckets and events with topology and health. `None` when there are more than `rows_max` rows.
    pub(crate) async fn snapshot(&self, wanted: Wanted, rows_max: usize) -> Result<Option<Snapshot>, StoreError> {
        self.read("read a summary", move |tx| {
            if rows_in(tx, &wanted)? > rows_max as i64 {
                return Ok(None);
            }
            Ok(Some(Snapshot {
                metrics: if wanted.metrics { finest_metrics(tx, &wanted)? } else { Vec::new() },
                events: if wanted.events { events_between(tx, &wanted)? } else { Vec::new() },
                services: if wanted.topology { services(tx)? } else { Vec::new() },
                connections: if wanted.topology { connections(tx)? } else { Vec::new() },
                health: health(tx)?,
            }))
        })
        .await
    }

    /// Services and connections, from one state of the database.
    pub async fn topology(&self) -> Result<(Vec<ServiceRow>, Vec<ConnectionRow>), StoreError> {
        self.read("read the topology", |tx| Ok((services(tx)?, connections(tx)?))).await
    }

    /// Events stored after position `id`, at most `limit`, in the order of storing.
    pub async fn events_after(&self, id: i64, limit: usize) -> Result<Vec<EventRow>, StoreError> {
        self.read("read events", move |tx| {
            let sql = format!("{EVENT_COLUMNS} WHERE id > ? ORDER BY id LIMIT ?");
            tx.prepare(&sql)?.query_map(params![id, limit as i64], event_row)?.collect()
        })
        .await
    }

    /// The newest events, of one service or of all, newest first.
    pub async fn recent_events(&self, service_id: Option<&str>, limit: usize) -> Result<Vec<EventRow>, StoreError> {
        let service_id = service_id.map(str::to_owned);
        self.read("read events", move |tx| {
            let sql = format!(
                "{EVENT_COLUMNS} WHERE service_id = coalesce(?, service_id) ORDER BY timestamp DESC, id DESC LIMIT ?"
            );
            tx.prepare(&sql)?.query_map(params![service_id, limit as i64], event_row)?.collect()
        })
        .await
    }

    /// The buckets of one series in `range`, at every stored interval, ordered by interval and time.
    pub(crate) async fn series(
        &self,
        service_id: &str,
        metric_name: &str,
        range: Range,
    ) -> Result<Vec<MetricRow>, StoreError> {
        let (service_id, metric_name) = (service_id.to_owned(), metric_name.to_owned());
        let (from, to) = bounds(range);
        self.read("read metrics", move |tx| {
            let sql = format!(
                "{METRIC_COLUMNS} WHERE service_id = ? AND metric_name = ?
                     AND timestamp >= epoch_ms(?) AND timestamp < epoch_ms(?) ORDER BY interval, timestamp"
            );
            tx.prepare(&sql)?.query_map(params![service_id, metric_name, from, to], metric_row)?.collect()
        })
        .await
    }

    /// Rows per table.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        self.read("count rows", |tx| {
            let rows = tx.query_row(
                "SELECT (SELECT count(*) FROM services), (SELECT count(*) FROM metric_summaries),
                        (SELECT count(*) FROM events), (SELECT count(*) FROM insights),
                        (SELECT count(*) FROM service_connections), (SELECT count(*) FROM baselines),
                        (SELECT epoch_ms(max(timestamp)) FROM events),
                        (SELECT epoch_ms(max(timestamp)) FROM metric_summaries)",
                [],
                |row| {
                    let mut totals = Totals::default();
                    for (index, table) in super::TABLES.into_iter().enumerate() {
                        totals.rows.push((table, row.get::<_, i64>(index)? as u64));
                    }
                    totals.newest_event = row.get::<_, Option<i64>>(6)?.map(TimeMs);
                    totals.newest_metric = row.get::<_, Option<i64>>(7)?.map(TimeMs);
                    Ok(totals)
                },
            )?;
            Ok(rows)
        })
        .await
    }
}

/// The greatest event id that was ever given; 0 if there is none. The event itself may have expired: what readers have of
/// it is still a position of this database.
pub(super) fn newest_event_id(connection: &Connection, is_writable: bool) -> duckdb::Result<i64> {
    let stored: i64 = connection.query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get(0))?;
    if !is_writable {
        return Ok(stored);
    }
    // only the sequence itself knows: what `duckdb_sequences()` says is wrong once a file was opened again (DuckDB 1.5)
    let next: i64 = connection.query_row("SELECT nextval('events_id_seq')", [], |row| row.get(0))?;
    Ok(stored.max(next - 1))
}

const EVENT_COLUMNS: &str = "SELECT id, epoch_ms(timestamp), service_id, event_type, details FROM events";
const METRIC_COLUMNS: &str =
    "SELECT epoch_ms(timestamp), service_id, metric_name, interval, p50, p95, p99, mean, max, count
     FROM metric_summaries";
/// Length of a row's interval in milliseconds; unknown ones count as coarsest.
const INTERVAL_MS: &str =
    "CASE interval WHEN '5m' THEN 300000 WHEN '15m' THEN 900000 WHEN '1h' THEN 3600000 ELSE 86400000 END";

fn event_row(row: &Row<'_>) -> duckdb::Result<EventRow> {
    let id = row.get(0)?;
    let details: Option<String> = row.get(4)?;
    Ok(EventRow {
        id,
        timestamp: TimeMs(row.get(1)?),
        service_id: row.get(2)?,
        event_type: row.get(3)?,
        details: EventDetails::parse(details.as_deref(), id),
    })
}

fn metric_row(row: &Row<'_>) -> duckdb::Result<MetricRow> {
    let number = |index: usize| row.get::<_, Option<f64>>(index).map(|value| value.map(Real));
    let interval: String = row.get(3)?;
    Ok(MetricRow {
        timestamp: TimeMs(row.get(0)?),
        service_id: row.get(1)?,
        metric_name: row.get(2)?,
        interval: Interval::parse(&interval).unwrap_or(Interval::Day1),
        statistics: Statistics::of(&MetricPoint {
            p50: number(4)?,
            p95: number(5)?,
            p99: number(6)?,
            mean: number(7)?,
            max: number(8)?,
            count: row.get::<_, Option<i64>>(9)?.map(|count| u64::try_from(count).unwrap_or(0)),
            ..MetricPoint::default()
        }),
    })
}

fn rows_in(tx: &Connection, wanted: &Wanted) -> duckdb::Result<i64> {
    let (from, to) = bounds(wanted.range);
    let mut rows = 0;
    for (table, is_wanted) in [("metric_summaries", wanted.metrics), ("events", wanted.events)] {
        if is_wanted {
            let (named, names) = wanted.named(table == "metric_summaries");
            // sql: identifiers only
            let sql = format!(
                "SELECT count(*) FROM {table} WHERE timestamp >= epoch_ms(?) AND timestamp < epoch_ms(?){named}"
            );
            let values = Wanted::values(&[from, to], names);
            rows += tx.query_row(&sql, params_from_iter(values), |row| row.get::<_, i64>(0))?;
        }
    }
    Ok(rows)
}

/// The buckets of `range`, except those that contain the start of a finer bucket of their series, in the range or after
/// its end. The selection thus does not depend on how time is divided into ranges.
fn finest_metrics(tx: &Connection, wanted: &Wanted) -> duckdb::Result<Vec<MetricRow>> {
    let (from, to) = bounds(wanted.range);
    let (named, names) = wanted.named(true);
    // sql: identifiers only
    let sql = format!(
        "WITH near AS (
             SELECT *, epoch_ms(timestamp) AS start_ms, {INTERVAL_MS} AS length_ms FROM metric_summaries
             WHERE timestamp >= epoch_ms(?) AND timestamp < epoch_ms(?){named}),
         followed AS (
             SELECT *, min(CASE WHEN length_ms < 900000 THEN start_ms END) OVER onwards AS next_5m,
                    min(CASE WHEN length_ms < 3600000 THEN start_ms END) OVER onwards AS next_to_15m,
                    min(CASE WHEN length_ms < 86400000 THEN start_ms END) OVER onwards AS next_to_1h
             FROM near
             WINDOW onwards AS (PARTITION BY service_id, metric_name ORDER BY start_ms
                                RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING))
         SELECT start_ms, service_id, metric_name, interval, p50, p95, p99, mean, max, count FROM followed
         WHERE start_ms < ?
           AND coalesce(CASE length_ms WHEN 900000 THEN next_5m WHEN 3600000 THEN next_to_15m
                                       WHEN 86400000 THEN next_to_1h END >= start_ms + length_ms, true)
         ORDER BY service_id, metric_name, start_ms, length_ms"
    );
    let mut values = Wanted::values(&[from, to.saturating_add(DAY_MS)], names);
    values.push(Value::BigInt(to));
    tx.prepare(&sql)?.query_map(params_from_iter(values), metric_row)?.collect()
}

fn events_between(tx: &Connection, wanted: &Wanted) -> duckdb::Result<Vec<EventRow>> {
    let (from, to) = bounds(wanted.range);
    let (named, names) = wanted.named(false);
    let sql = format!(
        "{EVENT_COLUMNS} WHERE timestamp >= epoch_ms(?) AND timestamp < epoch_ms(?){named} ORDER BY timestamp, id"
    );
    tx.prepare(&sql)?.query_map(params_from_iter(Wanted::values(&[from, to], names)), event_row)?.collect()
}

fn services(tx: &Connection) -> duckdb::Result<Vec<ServiceRow>> {
    let mut statement = tx.prepare(
        "SELECT id, name, app_id, version, agent_id, labels, epoch_ms(last_seen), status FROM services ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| {
        let labels: Option<String> = row.get(5)?;
        let status: String = row.get(7)?;
        Ok(ServiceRow {
            id: row.get(0)?,
            name: row.get(1)?,
            app_id: row.get(2)?,
            version: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
            agent_id: row.get(4)?,
            labels: labels.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
            last_seen: TimeMs(row.get(6)?),
            status: ServiceStatus::parse(&status).unwrap_or(ServiceStatus::Error),
        })
    })?;
    rows.collect()
}

fn connections(tx: &Connection) -> duckdb::Result<Vec<ConnectionRow>> {
    let mut statement = tx.prepare(
        "SELECT from_service, to_service, protocol, epoch_ms(first_observed), epoch_ms(last_observed), connection_count
         FROM service_connections ORDER BY from_service, to_service, protocol",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(ConnectionRow {
            from_service: row.get(0)?,
            to_service: row.get(1)?,
            protocol: row.get(2)?,
            first_observed: TimeMs(row.get(3)?),
            last_observed: TimeMs(row.get(4)?),
            connection_count: row.get(5)?,
        })
    })?;
    rows.collect()
}

fn health(tx: &Connection) -> duckdb::Result<Health> {
    tx.query_row(
        "SELECT count(*) FILTER (status = 'running'), count(*) FILTER (status = 'stopped'),
                count(*) FILTER (status NOT IN ('running', 'stopped')),
                CASE WHEN count(*) > 0 THEN count(DISTINCT agent_id) END
         FROM services",
        [],
        |row| Ok(Health { healthy: row.get(0)?, degraded: row.get(1)?, unhealthy: row.get(2)?, agents: row.get(3)? }),
    )
}
