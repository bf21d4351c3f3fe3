//! Amended and withdrawn events: whether there are any, all of them, and those that share their identity with given ones.

use super::fault::Cause;
use super::look_up::look_up;
use crate::columns::ReportedRow;
use crate::store::AmendedEvent;
use crate::stored::StoredRow;
use duckdb::{Connection, params};
use model::event::Event;
use model::time::TimeMs;
use std::collections::BTreeSet;

/// Whether any stored event is amended or withdrawn. Column statistics answer it without reading rows.
pub(super) fn exist(connection: &Connection) -> Result<bool, Cause> {
    let sql = "SELECT count(*) > 0 FROM (SELECT 1 FROM federated_events WHERE version > 0 OR withdrawn LIMIT 1)";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// As [`crate::StoreWriter::amended_events`].
pub(super) fn all(connection: &Connection, limit: usize) -> Result<Option<Vec<AmendedEvent>>, Cause> {
    let sql = "SELECT colony_id, event_id, epoch_ms(timestamp) FROM federated_events
               WHERE (version > 0 OR withdrawn) AND NOT late LIMIT ?";
    let mut statement = connection.prepare(sql)?;
    let mut found = statement.query(params![i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)])?;
    let mut amended = Vec::new();
    while let Some(row) = found.next()? {
        amended.push(AmendedEvent { colony_id: row.get(0)?, event_id: row.get(1)?, timestamp: TimeMs(row.get(2)?) });
    }
    Ok(Some(amended).filter(|amended| amended.len() <= limit))
}

/// As [`crate::StoreWriter::newer_events`].
pub(super) fn events(connection: &Connection, events: &[Event]) -> Result<Vec<Event>, Cause> {
    let mut seen = BTreeSet::new();
    let identities: Vec<StoredRow<&Event>> = events
        .iter()
        .filter(|row| seen.insert((&row.colony_id, &row.event_id)))
        .map(|row| StoredRow { on_time: true, row })
        .collect();
    let stored = look_up(connection, Event::TABLE, &identities)?.into_values();
    let mut newer: Vec<Event> =
        stored.filter(|held| held.on_time && held.row.is_amended()).map(|held| held.row).collect();
    newer.sort();
    Ok(newer)
}
