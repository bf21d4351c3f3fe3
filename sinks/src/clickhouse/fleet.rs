//! Writes the small tables of a commit: services, calls, colonies, newest times, source positions. Refused rows: `refused`.

use super::fault::Fault;
use super::insert::insert;
use super::memory::MarkKey;
use super::parts::parts;
use super::rows::{texts, versions};
use super::session::Session;
use crate::Commit;
use crate::columns::times;
use crate::resolve::Seen;
use arrow::array::{ArrayRef, TimestampMicrosecondArray, UInt32Array, UInt64Array};
use model::time::TimeMs;
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

#[derive(clickhouse::Row, Deserialize)]
struct NodeAnswer {
    colony_id: String,
    service_id: String,
    name: String,
    version: String,
    status: String,
    first_seen_at: i64,
    last_seen_at: i64,
}

/// Services: the first sighting's time, the latest sighting's content.
pub(super) async fn write_nodes(session: &mut Session, nodes: &[&ServiceNode]) -> Result<(), Fault> {
    let keys: Vec<(&str, &str)> = nodes.iter().map(|node| (&*node.colony_id, &*node.service_id)).collect();
    let mut seen: BTreeMap<(String, String), Seen<ServiceNode>> = BTreeMap::new();
    let sql = "SELECT colony_id, service_id, name, version, status, first_seen_at, last_seen_at
               FROM service_nodes FINAL WHERE (colony_id, service_id) IN {keys:Array(Tuple(String, String))}";
    for keys in parts(&keys) {
        for row in session.server.rows::<NodeAnswer>(session.server.query(sql).param("keys", keys)).await? {
            let latest = ServiceNode {
                colony_id: row.colony_id,
                service_id: row.service_id,
                name: row.name,
                version: row.version,
                status: row.status,
                seen_at: TimeMs(row.last_seen_at),
            };
            let key = (latest.colony_id.clone(), latest.service_id.clone());
            seen.insert(key, Seen { first_seen_at: TimeMs(row.first_seen_at), latest });
        }
    }
    let before = seen.clone();
    for node in nodes {
        let key = (node.colony_id.clone(), node.service_id.clone());
        let with = Seen::with(seen.remove(&key), node);
        seen.insert(key, with);
    }
    let changed: Vec<&Seen<ServiceNode>> =
        seen.iter().filter(|(key, seen)| before.get(*key) != Some(*seen)).map(|(_, seen)| seen).collect();
    let version = session.next_version();
    insert(session, "service_nodes", &changed, |rows| {
        let mut columns = vec![
            ("colony_id", texts(rows, |row| &row.latest.colony_id)),
            ("service_id", texts(rows, |row| &row.latest.service_id)),
            ("name", texts(rows, |row| &row.latest.name)),
            ("version", texts(rows, |row| &row.latest.version)),
            ("status", texts(rows, |row| &row.latest.status)),
            ("first_seen_at", times(rows.iter().map(|row| row.first_seen_at))),
            ("last_seen_at", times(rows.iter().map(|row| row.latest.seen_at))),
        ];
        columns.extend(versions(rows.iter().map(|_| (version, false))));
        columns
    })
    .await
}

#[derive(clickhouse::Row, Deserialize)]
struct EdgeAnswer {
    colony_id: String,
    from_service: String,
    to_service: String,
    protocol: String,
    request_count: u64,
    first_seen_at: i64,
    last_seen_at: i64,
}

/// Calls, as services.
pub(super) async fn write_edges(session: &mut Session, edges: &[&ServiceEdge]) -> Result<(), Fault> {
    type Key = (String, String, String, String);
    let key = |edge: &ServiceEdge| -> Key {
        let ServiceEdge { colony_id, from_service, to_service, protocol, .. } = edge.clone();
        (colony_id, from_service, to_service, protocol)
    };
    let keys: Vec<Key> = edges.iter().map(|edge| key(edge)).collect();
    let mut seen: BTreeMap<Key, Seen<ServiceEdge>> = BTreeMap::new();
    let sql = "SELECT colony_id, from_service, to_service, protocol, request_count, first_seen_at, last_seen_at
               FROM service_edges FINAL
               WHERE (colony_id, from_service, to_service, protocol)
                     IN {keys:Array(Tuple(String, String, String, String))}";
    for keys in parts(&keys) {
        for row in session.server.rows::<EdgeAnswer>(session.server.query(sql).param("keys", keys)).await? {
            let latest = ServiceEdge {
                colony_id: row.colony_id,
                from_service: row.from_service,
                to_service: row.to_service,
                protocol: row.protocol,
                request_count: row.request_count,
                seen_at: TimeMs(row.last_seen_at),
            };
            seen.insert(key(&latest), Seen { first_seen_at: TimeMs(row.first_seen_at), latest });
        }
    }
    let before = seen.clone();
    for edge in edges {
        let with = Seen::with(seen.remove(&key(edge)), edge);
        seen.insert(key(edge), with);
    }
    let changed: Vec<&Seen<ServiceEdge>> =
        seen.iter().filter(|(key, seen)| before.get(*key) != Some(*seen)).map(|(_, seen)| seen).collect();
    let version = session.next_version();
    insert(session, "service_edges", &changed, |rows| {
        let counts = rows.iter().map(|row| row.latest.request_count);
        let mut columns = vec![
            ("colony_id", texts(rows, |row| &row.latest.colony_id)),
            ("from_service", texts(rows, |row| &row.latest.from_service)),
            ("to_service", texts(rows, |row| &row.latest.to_service)),
            ("protocol", texts(rows, |row| &row.latest.protocol)),
            ("request_count", Arc::new(UInt64Array::from_iter_values(counts)) as _),
            ("first_seen_at", times(rows.iter().map(|row| row.first_seen_at))),
            ("last_seen_at", times(rows.iter().map(|row| row.latest.seen_at))),
        ];
        columns.extend(versions(rows.iter().map(|_| (version, false))));
        columns
    })
    .await
}

/// The last status wins; only fields that it does not have are kept from the previous one.
pub(super) async fn write_colonies(
    session: &mut Session,
    statuses: &[&ColonyStatus],
    updated_at: TimeMs,
) -> Result<(), Fault> {
    if statuses.is_empty() {
        return Ok(());
    }
    let mut colonies: BTreeMap<String, ColonyStatus> = super::reader::colony_status(&session.server)
        .await?
        .into_iter()
        .map(|row| (row.colony_id.clone(), row))
        .collect();
    let named: HashSet<&str> = statuses.iter().map(|status| &*status.colony_id).collect();
    for status in statuses {
        let mut status = (*status).clone();
        if let Some(before) = colonies.get(&status.colony_id) {
            status.last_success_at = status.last_success_at.or(before.last_success_at);
            status.complete_to = status.complete_to.or(before.complete_to);
        }
        colonies.insert(status.colony_id.clone(), status);
    }
    let rows: Vec<&ColonyStatus> = colonies.values().filter(|row| named.contains(&*row.colony_id)).collect();
    let version = session.next_version();
    insert(session, "colony_status", &rows, |rows| {
        let numbers = |of: fn(&ColonyStatus) -> u32| -> ArrayRef {
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| of(row))))
        };
        let moments = |of: fn(&ColonyStatus) -> Option<TimeMs>| -> ArrayRef {
            let micros = rows.iter().map(|row| of(row).map(|time| time.0.saturating_mul(1_000)));
            Arc::new(micros.collect::<TimestampMicrosecondArray>())
        };
        let mut columns = vec![
            ("colony_id", texts(rows, |row| &row.colony_id)),
            ("application_name", texts(rows, |row| &row.application_name)),
            ("environment", texts(rows, |row| &row.environment)),
            ("health", texts(rows, |row| &row.health)),
            ("total_services", numbers(|row| row.total_services)),
            ("healthy_services", numbers(|row| row.healthy_services)),
            ("degraded_services", numbers(|row| row.degraded_services)),
            ("unhealthy_services", numbers(|row| row.unhealthy_services)),
            ("agent_count", Arc::new(rows.iter().map(|row| row.agent_count).collect::<UInt32Array>()) as _),
            ("last_success_at", moments(|row| row.last_success_at)),
            ("complete_to", moments(|row| row.complete_to)),
            ("last_error", texts(rows, |row| &row.last_error)),
            ("updated_at", times(rows.iter().map(|_| updated_at))),
        ];
        columns.extend(versions(rows.iter().map(|_| (version, false))));
        columns
    })
    .await
}

/// The newest times of this commit, by colony.
pub(super) async fn write_watermarks(session: &mut Session, newest: BTreeMap<MarkKey, i64>) -> Result<(), Fault> {
    let risen: Vec<(MarkKey, i64)> = newest
        .into_iter()
        .filter(|(key, newest)| session.memory.marks.get(key).is_none_or(|stored| newest > stored))
        .collect();
    let version = session.next_version();
    insert(session, "watermarks", &risen, |rows| {
        vec![
            ("colony_id", texts(rows, |row| &row.0.0)),
            ("application_name", texts(rows, |row| &row.0.1)),
            ("environment", texts(rows, |row| &row.0.2)),
            ("kind", texts(rows, |row| row.0.3.as_str())),
            ("newest", times(rows.iter().map(|row| TimeMs(row.1)))),
            ("ingest_version", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|_| version))) as _),
        ]
    })
    .await?;
    session.memory.marks.extend(risen);
    Ok(())
}

/// The last insert of a commit: positions become visible after all that was read up to them.
pub(super) async fn write_positions(session: &mut Session, commit: &Commit) -> Result<(), Fault> {
    let rows: Vec<(&String, &String, &String)> = commit
        .positions
        .iter()
        .flat_map(|(source, positions)| positions.0.iter().map(move |(part, position)| (source, part, position)))
        .collect();
    let version = session.next_version();
    insert(session, "source_positions", &rows, |rows| {
        let mut columns = vec![
            ("source", texts(rows, |row| row.0)),
            ("part", texts(rows, |row| row.1)),
            ("position", texts(rows, |row| row.2)),
            ("updated_at", times(rows.iter().map(|_| commit.committed_at))),
        ];
        columns.extend(versions(rows.iter().map(|_| (version, false))));
        columns
    })
    .await
}
