//! Deletes expired rows, in slices short enough that a commit hardly waits.

use super::derived;
use super::fault::Cause;
use super::findings::refresh_events;
use super::fleet::time;
use super::rows::ReadRow;
use super::session::Session;
use crate::columns::ReportedRow;
use crate::retention::{Pruned, Retention};
use duckdb::{Connection, params};
use model::event::Event;
use model::metric::MetricPoint;
use model::time::TimeMs;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Target duration of a slice; a commit waits no longer than that.
const SLICE_TIME: Duration = Duration::from_millis(40);
/// Rows of the first slice.
const SLICE_ROWS_FIRST: u64 = 4_096;
/// Patterns of a slice at most: each costs several statements.
const SLICE_CORRELATIONS: usize = 8;
/// Rows of a slice at most and at least.
const SLICE_ROWS: std::ops::RangeInclusive<u64> = 256..=65_536;

/// Tables with the retention of events, and their expiry conditions: rejects, services and calls that were not seen
/// since, and the progress of replays and copies.
const AGED: [(&str, &str); 5] = [
    ("rejects", "rejected_at < ?1"),
    ("rejects_omitted", "updated_at < ?1"),
    ("service_nodes", "last_seen_at < ?1"),
    ("service_edges", "last_seen_at < ?1"),
    ("source_positions", "(starts_with(source, 'replay:') OR starts_with(source, 'copy:')) AND updated_at < ?1"),
];

/// Deletes one slice of rows, each table in its own transaction.
pub(super) fn prune(session: &mut Session, retention: &Retention, now: TimeMs) -> Result<Pruned, Cause> {
    let begun = Instant::now();
    let slice_rows = session.prune_rows.unwrap_or(SLICE_ROWS_FIRST);
    let mut pruned = Pruned::default();
    let mut left = slice_rows;
    let mut has_more = false;
    let transaction = session.connection.transaction()?;
    let (metrics, events) = (now - retention.metrics_ms, now - retention.events_ms);
    for (table, stored, cutoff) in [
        (MetricPoint::TABLE, MetricPoint::STORED, metrics),
        (Event::TABLE, Event::STORED, events),
        (MetricPoint::LATE_TABLE, MetricPoint::LATE_TABLE, metrics),
        (Event::LATE_TABLE, Event::LATE_TABLE, events),
    ] {
        let rows = delete_reported(&transaction, stored, cutoff, left)?;
        pruned.add(table, rows);
        left -= rows;
    }
    for (table, condition) in AGED {
        let rows = delete_aged(&transaction, table, condition, events, left)?;
        pruned.add(table, rows);
        left -= rows;
    }
    if left > 0 {
        let cutoff = now - retention.metrics_ms;
        // an hour with stored buckets is kept
        let rows = transaction.execute(
            "DELETE FROM env_metric_summary WHERE hour < date_trunc('hour', ?::TIMESTAMP)
             AND hour < (SELECT coalesce(date_trunc('hour', min(timestamp)), 'infinity'::TIMESTAMP) FROM metric_buckets)",
            params![time(cutoff)],
        )?;
        pruned.add("env_metric_summary", rows as u64);
        let cutoff = now - retention.correlations_ms;
        for (table, rows) in delete_correlations(&transaction, cutoff, SLICE_CORRELATIONS)? {
            has_more |= table == "correlations" && rows as usize == SLICE_CORRELATIONS;
            pruned.add(table, rows);
        }
        for (table, rows) in derived::prune(&transaction, session.schema, (retention, now), left)? {
            has_more |= rows == left;
            pruned.add(table, rows);
        }
    }
    transaction.commit()?;
    if pruned.rows.get("federated_metrics").is_some_and(|rows| *rows > 0) {
        session.hours.forget();
    }
    pruned.is_partial = left == 0 || has_more;
    session.prune_rows = Some(next_slice(slice_rows, begun.elapsed()));
    Ok(pruned)
}

fn delete_aged(
    connection: &Connection,
    table: &str,
    condition: &str,
    cutoff: TimeMs,
    limit: u64,
) -> Result<u64, Cause> {
    // sql: identifiers only
    let sql = format!("DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {condition} LIMIT ?2)");
    Ok(connection.execute(&sql, params![time(cutoff), i64::try_from(limit).unwrap_or(i64::MAX)])? as u64)
}

fn delete_reported(connection: &Connection, table: &str, cutoff: TimeMs, limit: u64) -> Result<u64, Cause> {
    // sql: identifiers only
    let sql = format!(
        "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE timestamp < ?1
           AND coalesce(stored_at, (SELECT applied_at FROM schema_version WHERE version = 6)) < ?1 LIMIT ?2)"
    );
    Ok(connection.execute(&sql, params![time(cutoff), i64::try_from(limit).unwrap_or(i64::MAX)])? as u64)
}

/// A pattern goes with its evidence and links; an event that showed it as its best shows the next best.
fn delete_correlations(
    connection: &Connection,
    cutoff: TimeMs,
    limit: usize,
) -> Result<Vec<(&'static str, u64)>, Cause> {
    let mut statement = connection
        .prepare("SELECT correlation_id FROM correlations WHERE last_observed < ?1 AND updated_at < ?1 LIMIT ?2")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids: Vec<String> =
        statement.query_map(params![time(cutoff), limit], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut deleted = vec![("correlation_evidence", 0), ("event_correlations", 0), ("correlations", 0)];
    let mut events = BTreeSet::new();
    for id in &ids {
        let mut links =
            connection.prepare_cached("SELECT colony_id, event_id FROM event_correlations WHERE correlation_id = ?")?;
        let mut rows = links.query([id])?;
        while let Some(row) = rows.next()? {
            events.insert((row.get(0)?, row.get(1)?));
        }
        for (table, rows) in &mut deleted {
            // sql: identifiers only
            *rows += connection.execute(&format!("DELETE FROM {table} WHERE correlation_id = ?"), [id])? as u64;
        }
    }
    refresh_events(connection, &events)?;
    Ok(deleted)
}

/// Half or twice as many rows, so that a slice takes about as long as it may.
fn next_slice(rows: u64, took: Duration) -> u64 {
    let next = if took > SLICE_TIME {
        rows / 2
    } else if took < SLICE_TIME / 2 {
        rows * 2
    } else {
        rows
    };
    next.clamp(*SLICE_ROWS.start(), *SLICE_ROWS.end())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{DuckDbConfig, DuckDbStore};
    use super::*;
    use crate::compliance::commit_of;
    use crate::compliance::rows::{self, START, bucket, event, finding};
    use crate::{Commit, StoreWriter};
    use model::chunks::Metrics;
    use model::rows::{RollupKey, Rows};
    use model::time::DAY_MS;

    const KEEP: Retention = Retention {
        metrics_ms: 90 * DAY_MS,
        events_ms: 90 * DAY_MS,
        correlations_ms: 365 * DAY_MS,
        deployments_ms: 730 * DAY_MS,
    };

    #[test]
    fn a_slow_slice_makes_the_next_one_shorter_and_a_quick_one_longer() {
        assert_eq!(next_slice(4_096, Duration::from_millis(80)), 2_048);
        assert_eq!(next_slice(4_096, Duration::from_millis(30)), 4_096);
        assert_eq!(next_slice(4_096, Duration::from_millis(5)), 8_192);
        assert_eq!(next_slice(300, Duration::from_secs(9)), 256);
        assert_eq!(next_slice(60_000, Duration::ZERO), 65_536);
    }

    async fn prune_all(store: &mut DuckDbStore, now: TimeMs) -> (Pruned, u32) {
        let (mut all, mut slices) = (Pruned::default(), 0);
        loop {
            let pruned = store.prune(&KEEP, now).await.unwrap();
            slices += 1;
            pruned.rows.iter().for_each(|(table, rows)| all.add(table, *rows));
            if !pruned.is_partial {
                return (all, slices);
            }
        }
    }

    async fn rows_left(store: &mut DuckDbStore) -> Vec<u64> {
        let totals = store.reader().totals().await.unwrap();
        let tables =
            ["federated_metrics", "federated_events", "env_metric_summary", "correlations", "correlation_evidence"];
        tables.iter().map(|table| totals.rows[*table]).collect()
    }

    /// Time moves on; nothing else does.
    #[tokio::test]
    async fn rows_go_when_their_retention_is_over_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reef.duckdb");
        let mut store = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
        let metrics: Metrics = (0..10_000).map(|minute| bucket("api", minute * 60_000)).collect();
        let commit = Commit {
            committed_at: START,
            rollups: RollupKey::touched(&metrics).into_iter().collect(),
            findings: vec![finding("a", 0.5, &[("e1", "e2"), ("e3", "e4")])],
            ..commit_of(
                1,
                Rows { events: (0..9).map(|n| event(&format!("e{n}"), n)).collect(), metrics, ..Rows::default() },
            )
        };
        store.commit(&commit).await.unwrap();
        let all = rows_left(&mut store).await;
        assert_eq!((all[0], all[1], all[3], all[4]), (10_000, 9, 1, 2));

        let last = START + 10_000 * 60_000;
        assert_eq!(prune_all(&mut store, START + 90 * DAY_MS).await.0, Pruned::default());
        assert_eq!(rows_left(&mut store).await, all);
        let (pruned, _) = prune_all(&mut store, START + 91 * DAY_MS).await;
        assert_eq!((pruned.rows["federated_events"], pruned.rows["federated_metrics"]), (9, 1_440));
        // reopened, it must determine the rows per slice again
        Box::new(store).close().await.unwrap();
        let mut store = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
        let (pruned, slices) = prune_all(&mut store, last + 91 * DAY_MS).await;
        assert_eq!((pruned.rows["federated_metrics"], slices > 1), (8_560, true), "in slices: {slices}");
        assert_eq!(rows_left(&mut store).await, vec![0, 0, 0, 1, 2], "summaries went with their buckets");

        // a pattern's retention counts from when it was last observed
        let observed = store.reader().correlations().await.unwrap()[0].last_observed.max(START);
        assert_eq!(prune_all(&mut store, observed + 365 * DAY_MS).await.0.total(), 0);
        prune_all(&mut store, observed + 365 * DAY_MS + 1).await;
        assert_eq!(rows_left(&mut store).await, vec![0; 5]);
    }

    /// History that is imported today is not deleted tonight.
    #[tokio::test]
    async fn old_rows_are_kept_from_when_they_were_stored() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = DuckDbStore::open(DuckDbConfig::at(folder.path().join("reef.duckdb"))).await.unwrap();
        let rows = Rows { events: vec![event("old", 0)], ..Rows::default() };
        let imported_at = START + 1_000 * DAY_MS;
        store.commit(&Commit { committed_at: imported_at, ..commit_of(1, rows) }).await.unwrap();
        assert_eq!(prune_all(&mut store, imported_at + 90 * DAY_MS).await.0.total(), 0);
        assert_eq!(prune_all(&mut store, imported_at + 90 * DAY_MS + 1).await.0.total(), 1);
    }

    /// Neither a broken producer nor vanished services may fill the disk.
    #[tokio::test]
    async fn rejects_services_and_old_replays_go_as_events_do() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = DuckDbStore::open(DuckDbConfig::at(folder.path().join("reef.duckdb"))).await.unwrap();
        let rejects = (0..3)
            .map(|line| model::reject::Reject {
                source: "files".into(),
                place: format!("a.csv:{line}"),
                colony_id: None,
                reason: model::reject::RejectReason::Malformed,
                detail: String::new(),
                raw: String::new(),
                rejected_at: START,
            })
            .collect();
        let position = || model::position::Positions([("events".to_owned(), "7".to_owned())].into());
        let rows = Rows { nodes: vec![rows::node(0)], edges: vec![rows::edge(0)], ..Rows::default() };
        let commit = Commit {
            committed_at: START,
            rejects,
            positions: ["replay:a..b", "copy:x", "files"].map(|source| (source.to_owned(), position())).into(),
            ..commit_of(1, rows)
        };
        store.commit(&commit).await.unwrap();
        assert_eq!(prune_all(&mut store, START + 90 * DAY_MS).await.0, Pruned::default());
        let (pruned, _) = prune_all(&mut store, START + 90 * DAY_MS + 1).await;
        let gone: Vec<(&str, u64)> = ["rejects", "service_nodes", "service_edges", "source_positions"]
            .map(|table| (table, pruned.rows.get(table).copied().unwrap_or(0)))
            .into();
        assert_eq!(gone, [("rejects", 3), ("service_nodes", 1), ("service_edges", 1), ("source_positions", 2)]);
        let positions = store.reader().positions().await.unwrap();
        assert_eq!(positions.keys().collect::<Vec<_>>(), ["files"], "positions of active sources are never deleted");
    }
}
