//! Every statement that changes rows, except those about insights. Text from outside is always a bound value.

use super::Store;
use super::rows::{ConnectionRow, EventDetails, MetricRow, ServiceRow};
use crate::config::Retention;
use crate::error::StoreError;
use crate::summarize::Interval;
use duckdb::{Connection, OptionalExt, params};
use model::event::Event;
use model::statistics::Statistics;
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

/// How a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceStatus {
    /// It runs.
    Running,
    /// It was stopped.
    Stopped,
    /// It failed.
    Error,
}

impl ServiceStatus {
    /// As stored: `running`, `stopped`, `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceStatus::Running => "running",
            ServiceStatus::Stopped => "stopped",
            ServiceStatus::Error => "error",
        }
    }

    /// The status of that name.
    pub fn parse(text: &str) -> Option<ServiceStatus> {
        [ServiceStatus::Running, ServiceStatus::Stopped, ServiceStatus::Error]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// What became of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventsWritten {
    /// New rows.
    pub stored: u64,
    /// Events whose version was already stored.
    pub already_stored: u64,
}

/// Large batches are appended to these temporary tables of the writer's session, and inserted from there in one
/// statement. They are never written to the file.
pub(super) fn create_staging(writer: &Connection) -> duckdb::Result<()> {
    writer.execute_batch(
        "CREATE TEMP TABLE staged_metrics (timestamp_ms BIGINT, service_id TEXT, metric_name TEXT, interval TEXT,
             p50 DOUBLE, p95 DOUBLE, p99 DOUBLE, mean DOUBLE, max DOUBLE, count BIGINT);
         CREATE TEMP TABLE staged_events (id BIGINT, timestamp_ms BIGINT, service_id TEXT, event_type TEXT, details TEXT)",
    )
}

impl Store {
    /// Stores buckets. A bucket that is stored already is replaced when the new version is greater (its count, then its
    /// statistics), so that the outcome does not depend on the order of arrival.
    pub async fn upsert_metrics(&self, rows: Vec<MetricRow>) -> Result<(), StoreError> {
        self.write("store metric summaries", move |tx| upsert_metrics(tx, &rows)).await
    }

    /// Stores events in the given order. Those already stored (same time, event_id, version and withdrawn) stay
    /// unchanged. An amended or withdrawn event is an additional row, and is streamed as one.
    pub async fn insert_events(&self, events: Vec<Event>) -> Result<EventsWritten, StoreError> {
        let (written, newest) = self.write("store events", move |tx| insert_events(tx, &events)).await?;
        if let Some(newest) = newest {
            self.announce(newest);
        }
        Ok(written)
    }

    /// Stores services and adds to the counts of connections, in one transaction. A report of a service older than the
    /// stored one changes nothing; the count of a connection is the number of calls since the last report.
    pub async fn record_topology(
        &self,
        services: Vec<ServiceRow>,
        connections: Vec<ConnectionRow>,
    ) -> Result<(), StoreError> {
        self.write("store the topology", move |tx| {
            latest(&services).into_iter().try_for_each(|row| upsert_service(tx, row))?;
            connections.iter().try_for_each(|row| add_connection(tx, row))
        })
        .await
    }

    /// Deletes rows older than `retention` at time `now`; returns their number.
    pub async fn delete_expired(&self, retention: Retention, now: TimeMs) -> Result<u64, StoreError> {
        self.write("delete expired rows", move |tx| {
            let limits = [
                ("DELETE FROM metric_summaries WHERE timestamp < epoch_ms(?)", retention.metric_summaries_ms),
                ("DELETE FROM events WHERE timestamp < epoch_ms(?)", retention.events_ms),
                ("DELETE FROM insights WHERE status = 'resolved' AND resolved_at < epoch_ms(?)", retention.insights_ms),
            ];
            let mut deleted = 0;
            for (statement, kept_ms) in limits {
                if let Some(kept_ms) = kept_ms {
                    deleted += tx.execute(statement, params![(now - kept_ms).0])? as u64;
                }
            }
            Ok(deleted)
        })
        .await
    }
}

fn upsert_metrics(tx: &Connection, rows: &[MetricRow]) -> duckdb::Result<()> {
    // one statement may touch a row once only
    let mut greatest: BTreeMap<(TimeMs, &str, &str, Interval), Statistics> = BTreeMap::new();
    for row in rows {
        let kept = greatest.entry((row.timestamp, &row.service_id, &row.metric_name, row.interval)).or_default();
        if row.statistics.rank() > kept.rank() {
            *kept = row.statistics;
        }
    }
    tx.execute_batch("DELETE FROM temp.staged_metrics")?;
    let mut staged = tx.appender_to_catalog_and_db("staged_metrics", "temp", "main")?;
    for ((timestamp, service_id, metric_name, interval), s) in &greatest {
        let [p50, p95, p99, mean, max] = [s.p50(), s.p95(), s.p99(), s.mean(), s.max()].map(|value| value.map(|v| v.0));
        let count = s.count().map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        let interval = interval.as_str();
        staged.append_row(params![timestamp.0, service_id, metric_name, interval, p50, p95, p99, mean, max, count])?;
    }
    staged.flush()?;
    drop(staged);
    tx.execute_batch(
        "INSERT INTO metric_summaries BY NAME
             SELECT epoch_ms(timestamp_ms) AS timestamp, * EXCLUDE (timestamp_ms) FROM temp.staged_metrics
         ON CONFLICT DO UPDATE SET p50 = excluded.p50, p95 = excluded.p95, p99 = excluded.p99,
             mean = excluded.mean, max = excluded.max, count = excluded.count
         WHERE row(coalesce(excluded.count, -1), coalesce(excluded.mean, '-inf'::DOUBLE),
                   coalesce(excluded.p50, '-inf'::DOUBLE), coalesce(excluded.p95, '-inf'::DOUBLE),
                   coalesce(excluded.p99, '-inf'::DOUBLE), coalesce(excluded.max, '-inf'::DOUBLE))
             > row(coalesce(metric_summaries.count, -1), coalesce(metric_summaries.mean, '-inf'::DOUBLE),
                   coalesce(metric_summaries.p50, '-inf'::DOUBLE), coalesce(metric_summaries.p95, '-inf'::DOUBLE),
                   coalesce(metric_summaries.p99, '-inf'::DOUBLE), coalesce(metric_summaries.max, '-inf'::DOUBLE))",
    )
}

/// Gives what became of the events, and the id of the newest stored one.
fn insert_events(tx: &Connection, events: &[Event]) -> duckdb::Result<(EventsWritten, Option<i64>)> {
    let mut known = stored_ids(tx, events)?;
    let fresh: Vec<&Event> =
        events.iter().filter(|event| known.insert((event.timestamp, EventVersion::of(event)))).collect();
    let written = EventsWritten { stored: fresh.len() as u64, already_stored: (events.len() - fresh.len()) as u64 };
    if fresh.is_empty() {
        return Ok((written, None));
    }
    let mut statement = tx.prepare("SELECT nextval('events_id_seq') FROM range(?)")?;
    let ids: duckdb::Result<BTreeSet<i64>> =
        statement.query_map(params![fresh.len() as i64], |row| row.get(0))?.collect();
    let ids = ids?;
    tx.execute_batch("DELETE FROM temp.staged_events")?;
    let mut staged = tx.appender_to_catalog_and_db("staged_events", "temp", "main")?;
    for (event, id) in fresh.iter().zip(&ids) {
        let details = json(&EventDetails::of(event))?;
        staged.append_row(params![id, event.timestamp.0, event.service_id, event.event_type, details])?;
    }
    staged.flush()?;
    drop(staged);
    tx.execute_batch(
        "INSERT INTO events (id, timestamp, service_id, event_type, details)
             SELECT id, epoch_ms(timestamp_ms), service_id, event_type, details FROM temp.staged_events",
    )?;
    Ok((written, ids.last().copied()))
}

/// What distinguishes rows of one instant: event_id, version, withdrawn.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct EventVersion(String, u64, bool);

impl EventVersion {
    fn of(event: &Event) -> EventVersion {
        EventVersion(event.event_id.clone(), event.version, event.withdrawn)
    }
}

/// The stored events that have the time of one of `events`.
fn stored_ids(tx: &Connection, events: &[Event]) -> duckdb::Result<BTreeSet<(TimeMs, EventVersion)>> {
    let times: BTreeSet<TimeMs> = events.iter().map(|event| event.timestamp).collect();
    tx.execute_batch("DELETE FROM temp.staged_events")?;
    let mut staged = tx.appender_to_catalog_and_db("staged_events", "temp", "main")?;
    for time in times {
        staged.append_row(params![None::<i64>, time.0, None::<String>, None::<String>, None::<String>])?;
    }
    staged.flush()?;
    drop(staged);
    let mut statement = tx.prepare(
        "SELECT id, epoch_ms(timestamp), details FROM events
         WHERE timestamp IN (SELECT epoch_ms(timestamp_ms) FROM temp.staged_events)",
    )?;
    let rows = statement.query_map([], |row| {
        let details: Option<String> = row.get(2)?;
        let details = EventDetails::parse(details.as_deref(), row.get(0)?);
        Ok((TimeMs(row.get(1)?), EventVersion(details.event_id, details.version, details.withdrawn)))
    })?;
    rows.collect()
}

/// One row per service: the one seen last.
fn latest(rows: &[ServiceRow]) -> Vec<&ServiceRow> {
    let mut latest: BTreeMap<&str, &ServiceRow> = BTreeMap::new();
    for row in rows {
        let kept = latest.entry(&row.id).or_insert(row);
        if row.last_seen >= kept.last_seen {
            *kept = row;
        }
    }
    latest.into_values().collect()
}

fn upsert_service(tx: &Connection, row: &ServiceRow) -> duckdb::Result<()> {
    let stored: Option<i64> = tx
        .query_row("SELECT epoch_ms(last_seen) FROM services WHERE id = ?", params![row.id], |found| found.get(0))
        .optional()?;
    if stored.is_some_and(|last_seen| last_seen > row.last_seen.0) {
        return Ok(());
    }
    let labels = json(&row.labels)?;
    let status = row.status.as_str();
    // an UPDATE, not ON CONFLICT: indexed columns change
    if stored.is_some() {
        tx.execute(
            "UPDATE services SET name = ?, app_id = ?, version = ?, agent_id = ?, labels = ?,
                 last_seen = epoch_ms(?), status = ? WHERE id = ?",
            params![row.name, row.app_id, row.version, row.agent_id, labels, row.last_seen.0, status, row.id],
        )?;
    } else {
        tx.execute(
            "INSERT INTO services (id, name, app_id, version, agent_id, labels, last_seen, status)
             VALUES (?, ?, ?, ?, ?, ?, epoch_ms(?), ?)",
            params![row.id, row.name, row.app_id, row.version, row.agent_id, labels, row.last_seen.0, status],
        )?;
    }
    Ok(())
}

fn add_connection(tx: &Connection, row: &ConnectionRow) -> duckdb::Result<()> {
    tx.execute(
        "INSERT INTO service_connections VALUES (?, ?, ?, epoch_ms(?), epoch_ms(?), ?)
         ON CONFLICT DO UPDATE SET connection_count = connection_count + excluded.connection_count,
             first_observed = least(first_observed, excluded.first_observed),
             last_observed = greatest(last_observed, excluded.last_observed)",
        params![
            row.from_service,
            row.to_service,
            row.protocol,
            row.first_observed.0,
            row.last_observed.0,
            row.connection_count
        ],
    )?;
    Ok(())
}

/// The JSON columns contain only valid JSON: their text is created here, from values.
pub(super) fn json(value: &impl serde::Serialize) -> duckdb::Result<String> {
    serde_json::to_string(value).map_err(|error| duckdb::Error::ToSqlConversionFailure(Box::new(error)))
}
