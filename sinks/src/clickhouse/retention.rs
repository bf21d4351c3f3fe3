//! TTLs of tables: set from the configuration when a store is opened, if they differ.

use super::fault::Fault;
use super::server::Server;
use crate::retention::Retention;
use crate::schema::RetentionClass;
use serde::Deserialize;

/// A table, the start time of its rows' retention, and the retention.
type Limit = (&'static str, &'static str, u64);

/// Retention counts from the later of a row's own time and its storage time: imported history would otherwise be
/// deleted on arrival.
fn limits(retention: Retention) -> [Limit; 13] {
    use RetentionClass::{Correlations, Events, Metrics};
    let [metrics_seconds, events_seconds, correlations_seconds] =
        [Metrics, Events, Correlations].map(|class| seconds_of(retention, class));
    [
        ("federated_metrics", "greatest(toDateTime(timestamp, 'UTC'), stored_at)", metrics_seconds),
        ("late_metric_copies", "greatest(toDateTime(timestamp, 'UTC'), stored_at)", metrics_seconds),
        ("late_event_copies", "greatest(toDateTime(timestamp, 'UTC'), stored_at)", events_seconds),
        ("env_metric_summary", "greatest(toDateTime(hour, 'UTC'), stored_at)", metrics_seconds),
        ("federated_events", "greatest(toDateTime(timestamp, 'UTC'), stored_at)", events_seconds),
        (
            "correlations",
            "greatest(toDateTime(last_observed, 'UTC'), toDateTime(updated_at, 'UTC'))",
            correlations_seconds,
        ),
        ("correlation_evidence", "greatest(toDateTime(target_timestamp, 'UTC'), stored_at)", correlations_seconds),
        ("event_correlations", "stored_at", correlations_seconds),
        ("rejects", "greatest(toDateTime(rejected_at, 'UTC'), stored_at)", events_seconds),
        ("rejects_omitted", "greatest(toDateTime(updated_at, 'UTC'), stored_at)", events_seconds),
        ("service_nodes", "greatest(toDateTime(last_seen_at, 'UTC'), stored_at)", events_seconds),
        ("service_edges", "greatest(toDateTime(last_seen_at, 'UTC'), stored_at)", events_seconds),
        ("source_positions", "greatest(toDateTime(updated_at, 'UTC'), stored_at)", events_seconds),
    ]
}

fn seconds_of(retention: Retention, class: RetentionClass) -> u64 {
    retention.of(class).unsigned_abs().div_ceil(1_000)
}

#[derive(clickhouse::Row, Deserialize)]
struct Definition {
    name: String,
    create_table_query: String,
}

/// Sets every limit that the tables do not have yet. ClickHouse then applies it in the background, to old rows too.
pub(super) async fn apply(server: &Server, retention: Retention) -> Result<(), Fault> {
    let sql = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()";
    let tables = server.rows::<Definition>(server.query(sql)).await?;
    let derived = server.config.schema.derived.iter().map(|derived| {
        let counted_from = format!("greatest(toDateTime({}, 'UTC'), stored_at)", derived.time);
        (derived.table.name, counted_from, seconds_of(retention, derived.retention))
    });
    let own = limits(retention).map(|(table, counted_from, seconds)| (table, counted_from.to_owned(), seconds));
    for (table, counted_from, seconds) in own.into_iter().chain(derived) {
        // positions of active sources are never deleted
        let only = if table == "source_positions" { " WHERE match(source, '^(replay|copy):')" } else { "" };
        let limit = format!("{counted_from} + toIntervalSecond({seconds}){only}");
        let stored = server.layout.stored(table);
        let has_it = tables.iter().any(|it| it.name == stored && it.create_table_query.contains(&limit));
        if !has_it {
            server.execute(server.query(&server.layout.modify_ttl(table, &limit))).await?;
            tracing::debug!(table, seconds, "time limit set");
        }
    }
    Ok(())
}
