//! Deletes rows beyond their retention, in slices so short that a commit hardly waits for one.

use super::fault::Cause;
use super::fleet::time;
use super::session::Session;
use crate::retention::{Pruned, Retention};
use duckdb::{Connection, params};
use model::time::TimeMs;
use std::time::{Duration, Instant};

/// How long a slice may take; a commit that comes meanwhile waits no longer than that.
const SLICE_TIME: Duration = Duration::from_millis(40);
/// Rows of the first slice.
const SLICE_ROWS_FIRST: u64 = 4_096;
/// Rows of a slice at most and at least.
const SLICE_ROWS: std::ops::RangeInclusive<u64> = 256..=65_536;

/// Deletes what one slice allows. Oldest kinds first; each in a transaction of its own.
pub(super) fn prune(session: &mut Session, retention: &Retention, now: TimeMs) -> Result<Pruned, Cause> {
    let begun = Instant::now();
    let slice_rows = session.prune_rows.unwrap_or(SLICE_ROWS_FIRST);
    let mut pruned = Pruned::default();
    let mut left = slice_rows;
    let transaction = session.connection.transaction()?;
    for (table, cutoff) in
        [("federated_metrics", now - retention.metrics_ms), ("federated_events", now - retention.events_ms)]
    {
        let rows = delete_reported(&transaction, table, cutoff, left)?;
        pruned.add(table, rows);
        left -= rows;
    }
    if left > 0 {
        let cutoff = now - retention.metrics_ms;
        // an hour whose buckets are still kept stays whole
        let rows = transaction.execute(
            "DELETE FROM env_metric_summary WHERE hour < date_trunc('hour', ?::TIMESTAMP)
             AND hour < (SELECT coalesce(date_trunc('hour', min(timestamp)), 'infinity'::TIMESTAMP) FROM federated_metrics)",
            params![time(cutoff)],
        )?;
        pruned.add("env_metric_summary", rows as u64);
        for (table, rows) in delete_correlations(&transaction, now - retention.correlations_ms)? {
            pruned.add(table, rows);
        }
        let rows = transaction.execute(
            "DELETE FROM deployment_timeline WHERE coalesce(completed_at, started_at) < ?",
            params![time(now - retention.deployments_ms)],
        )?;
        pruned.add("deployment_timeline", rows as u64);
    }
    transaction.commit()?;
    pruned.is_partial = left == 0;
    session.prune_rows = Some(next_slice(slice_rows, begun.elapsed()));
    Ok(pruned)
}

fn delete_reported(connection: &Connection, table: &str, cutoff: TimeMs, limit: u64) -> Result<u64, Cause> {
    // sql: identifiers only
    let sql = format!(
        "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE timestamp < ?1 AND coalesce(stored_at, timestamp) < ?1 LIMIT ?2)"
    );
    Ok(connection.execute(&sql, params![time(cutoff), i64::try_from(limit).unwrap_or(i64::MAX)])? as u64)
}

/// A pattern goes with its evidence and links; events that showed it as their best lose the mark.
fn delete_correlations(connection: &Connection, cutoff: TimeMs) -> Result<Vec<(&'static str, u64)>, Cause> {
    let mut statement =
        connection.prepare("SELECT correlation_id FROM correlations WHERE last_observed < ?1 AND updated_at < ?1")?;
    let ids: Vec<String> = statement.query_map(params![time(cutoff)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut deleted = vec![("correlation_evidence", 0), ("event_correlations", 0), ("correlations", 0)];
    for id in &ids {
        connection.execute(
            "UPDATE federated_events SET correlation_group = NULL, correlation_score = NULL WHERE correlation_group = ?",
            [id],
        )?;
        for (table, rows) in &mut deleted {
            // sql: identifiers only
            *rows += connection.execute(&format!("DELETE FROM {table} WHERE correlation_id = ?"), [id])? as u64;
        }
    }
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
    use super::*;

    #[test]
    fn a_slow_slice_makes_the_next_one_shorter_and_a_quick_one_longer() {
        assert_eq!(next_slice(4_096, Duration::from_millis(80)), 2_048);
        assert_eq!(next_slice(4_096, Duration::from_millis(30)), 4_096);
        assert_eq!(next_slice(4_096, Duration::from_millis(5)), 8_192);
        assert_eq!(next_slice(300, Duration::from_secs(9)), 256);
        assert_eq!(next_slice(60_000, Duration::ZERO), 65_536);
    }
}
