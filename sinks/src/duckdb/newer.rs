//! Looks up which events have a newer stored version: amended or withdrawn.

use super::fault::Cause;
use super::look_up::look_up;
use crate::columns::ReportedRow;
use crate::stored::StoredRow;
use duckdb::Connection;
use model::event::Event;
use std::collections::BTreeSet;

/// Whether any stored event is amended or withdrawn. Column statistics answer it without reading rows.
pub(super) fn exist(connection: &Connection) -> Result<bool, Cause> {
    let sql = "SELECT count(*) > 0 FROM (SELECT 1 FROM federated_events WHERE version > 0 OR withdrawn LIMIT 1)";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
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
