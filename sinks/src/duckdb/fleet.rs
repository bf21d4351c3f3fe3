//! Writes the small tables of a commit: services, calls and colonies row by row, source positions in bulk. Refused rows:
//! `refused`.

use super::fault::Cause;
use super::refused;
use super::stage::{append, temporary};
use crate::Commit;
use crate::columns::{text, times};
use crate::resolve::Seen;
use duckdb::types::{TimeUnit, Value};
use duckdb::{Connection, OptionalExt, params};
use model::time::TimeMs;
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};

pub(super) fn time(time: TimeMs) -> Value {
    Value::Timestamp(TimeUnit::Microsecond, time.0.saturating_mul(1_000))
}

pub(super) fn write(connection: &Connection, commit: &Commit) -> Result<(), Cause> {
    for rows in [&commit.rows, &commit.late] {
        rows.nodes.iter().try_for_each(|node| write_node(connection, node))?;
        rows.edges.iter().try_for_each(|edge| write_edge(connection, edge))?;
        rows.colonies.iter().try_for_each(|status| write_colony(connection, status, commit.committed_at))?;
    }
    refused::write(connection, commit)?;
    write_positions(connection, commit)
}

fn write_node(connection: &Connection, node: &ServiceNode) -> Result<(), Cause> {
    let mut lookup = connection.prepare_cached(
        "SELECT name, version, status, epoch_ms(first_seen_at), epoch_ms(last_seen_at) FROM service_nodes
         WHERE colony_id = ? AND service_id = ?",
    )?;
    let stored = lookup.query_row(params![node.colony_id, node.service_id], |row| {
        let latest = ServiceNode {
            name: row.get(0)?,
            version: row.get(1)?,
            status: row.get(2)?,
            seen_at: TimeMs(row.get(4)?),
            ..node.clone()
        };
        Ok(Seen { first_seen_at: TimeMs(row.get(3)?), latest })
    });
    let Seen { first_seen_at, latest } = Seen::with(stored.optional()?, node);
    connection.prepare_cached("INSERT OR REPLACE INTO service_nodes VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(
        params![
            latest.colony_id,
            latest.service_id,
            latest.name,
            latest.version,
            latest.status,
            time(first_seen_at),
            time(latest.seen_at)
        ],
    )?;
    Ok(())
}

fn write_edge(connection: &Connection, edge: &ServiceEdge) -> Result<(), Cause> {
    let mut lookup = connection.prepare_cached(
        "SELECT request_count, epoch_ms(first_seen_at), epoch_ms(last_seen_at) FROM service_edges
         WHERE colony_id = ? AND from_service = ? AND to_service = ? AND protocol = ?",
    )?;
    let key = params![edge.colony_id, edge.from_service, edge.to_service, edge.protocol];
    let stored = lookup.query_row(key, |row| {
        let latest = ServiceEdge { request_count: row.get(0)?, seen_at: TimeMs(row.get(2)?), ..edge.clone() };
        Ok(Seen { first_seen_at: TimeMs(row.get(1)?), latest })
    });
    let Seen { first_seen_at, latest } = Seen::with(stored.optional()?, edge);
    connection.prepare_cached("INSERT OR REPLACE INTO service_edges VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(
        params![
            latest.colony_id,
            latest.from_service,
            latest.to_service,
            latest.protocol,
            latest.request_count,
            time(first_seen_at),
            time(latest.seen_at)
        ],
    )?;
    Ok(())
}

/// The last status wins: it describes this run's exchange with the colony. Only fields that it does not have (an event
/// stream has no `complete_to`) are kept from the previous one.
fn write_colony(connection: &Connection, status: &ColonyStatus, updated_at: TimeMs) -> Result<(), Cause> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO colony_status
             SELECT new.* REPLACE (
                 coalesce(new.last_success_at, old.last_success_at) AS last_success_at,
                 coalesce(new.complete_to, old.complete_to) AS complete_to)
             FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) AS new
                 (colony_id, application_name, environment, health, total_services, healthy_services, degraded_services,
                  unhealthy_services, agent_count, last_success_at, complete_to, last_error, updated_at)
             LEFT JOIN colony_status AS old ON old.colony_id = new.colony_id",
        )?
        .execute(params![
            status.colony_id,
            status.application_name,
            status.environment,
            status.health,
            status.total_services,
            status.healthy_services,
            status.degraded_services,
            status.unhealthy_services,
            status.agent_count,
            status.last_success_at.map(time),
            status.complete_to.map(time),
            status.last_error,
            time(updated_at)
        ])?;
    Ok(())
}

/// A position per file of a source can be many.
fn write_positions(connection: &Connection, commit: &Commit) -> Result<(), Cause> {
    let parts: Vec<(&String, &String, &String)> = commit
        .positions
        .iter()
        .flat_map(|(source, positions)| positions.0.iter().map(move |(part, position)| (source, part, position)))
        .collect();
    if parts.is_empty() {
        return Ok(());
    }
    temporary(connection, "staged_positions", "SELECT * FROM source_positions")?;
    append(connection, "staged_positions", &parts, |chunk| {
        vec![
            ("source", text(chunk.iter().map(|(source, ..)| source.as_str()))),
            ("part", text(chunk.iter().map(|(_, part, _)| part.as_str()))),
            ("position", text(chunk.iter().map(|(.., position)| position.as_str()))),
            ("updated_at", times(chunk.iter().map(|_| commit.committed_at))),
        ]
    })?;
    connection.execute_batch("INSERT OR REPLACE INTO source_positions BY NAME SELECT * FROM staged_positions")?;
    Ok(())
}

pub(super) fn write_position(
    connection: &Connection,
    source: &str,
    part: &str,
    position: &str,
    at: TimeMs,
) -> Result<(), Cause> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO source_positions VALUES (?, ?, ?, ?)")?;
    statement.execute(params![source, part, position, time(at)])?;
    Ok(())
}

pub(super) fn forget_positions(connection: &Connection, source: &str) -> Result<(), Cause> {
    connection.execute("DELETE FROM source_positions WHERE source = ?", [source])?;
    Ok(())
}
