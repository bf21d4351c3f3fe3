//! Upserts of events and metric buckets: looks up what is stored under the same identity, keeps the greater copy.

use super::fault::Cause;
use super::rows::{ReadRow, selection};
use super::stage::{append, temporary};
use crate::columns::{Columns, KeptRow, times};
use crate::resolve::Held;
use arrow::array::UInt32Array;
use duckdb::Connection;
use model::time::TimeMs;
use std::collections::HashMap;
use std::sync::Arc;

/// Writes `rows`, which hold each identity once, after a look-up of their stored copies.
///
/// The comparison is made here and not in SQL, so that it is the same code as in every other store. New rows are plainly
/// appended; only rows that change go through an update.
pub(super) fn keep<R: ReadRow>(connection: &Connection, rows: &[Held<&R>], stored_at: TimeMs) -> Result<(), Cause> {
    if rows.is_empty() {
        return Ok(());
    }
    let stored = look_up(connection, rows)?;
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for (place, row) in rows.iter().copied().enumerate() {
        match stored.get(&place) {
            None => new.push(row),
            Some(copy) if row > copy.as_ref() => changed.push(row),
            Some(_) => {}
        }
    }
    append_new(connection, &new, stored_at)?;
    update(connection, &changed, stored_at)
}

/// Writes rows of which no copy is stored.
pub(super) fn append_new<R: ReadRow>(
    connection: &Connection,
    rows: &[Held<&R>],
    stored_at: TimeMs,
) -> Result<(), Cause> {
    append(connection, R::TABLE, rows, |chunk| stamped(chunk, stored_at))
}

/// Stored copies, by place in `rows`.
pub(super) fn look_up<R: ReadRow>(
    connection: &Connection,
    rows: &[Held<&R>],
) -> Result<HashMap<usize, Held<R>>, Cause> {
    let keys = R::KEY.join(", ");
    // sql: identifiers only
    temporary(connection, "staged_keys", &format!("SELECT {keys}, 0::UINTEGER AS place FROM {}", R::TABLE))?;
    let placed: Vec<(u32, Held<&R>)> = (0..).zip(rows.iter().copied()).collect();
    append(connection, "staged_keys", &placed, |chunk| {
        let held: Vec<Held<&R>> = chunk.iter().map(|(_, row)| *row).collect();
        let mut columns: Columns = R::columns(&held);
        columns.retain(|(name, _)| R::KEY.contains(name));
        columns.push(("place", Arc::new(chunk.iter().map(|(place, _)| Some(*place)).collect::<UInt32Array>())));
        columns
    })?;
    // sql: identifiers only
    let sql = format!(
        "SELECT place, {} FROM {} AS stored JOIN staged_keys USING ({keys})",
        selection::<R>("stored"),
        R::TABLE
    );
    let mut statement = connection.prepare(&sql)?;
    let mut found = statement.query([])?;
    let mut stored = HashMap::new();
    while let Some(row) = found.next()? {
        stored.insert(row.get::<_, u32>(0)? as usize, R::read(row, 1)?);
    }
    Ok(stored)
}

/// The columns of rows that are stored now.
fn stamped<R: KeptRow>(rows: &[Held<&R>], stored_at: TimeMs) -> Columns {
    let mut columns = R::columns(rows);
    columns.push(("stored_at", times(rows.iter().map(|_| stored_at))));
    columns
}

fn update<R: KeptRow>(connection: &Connection, changed: &[Held<&R>], stored_at: TimeMs) -> Result<(), Cause> {
    if changed.is_empty() {
        return Ok(());
    }
    let columns = [R::KEY, R::CONTENT, &["stored_at"]].concat().join(", ");
    // sql: identifiers only
    temporary(connection, "staged_rows", &format!("SELECT {columns} FROM {}", R::TABLE))?;
    append(connection, "staged_rows", changed, |chunk| stamped(chunk, stored_at))?;
    let content: Vec<String> =
        R::CONTENT.iter().chain(&["stored_at"]).map(|name| format!("{name} = staged.{name}")).collect();
    let same: Vec<String> = R::KEY.iter().map(|name| format!("stored.{name} = staged.{name}")).collect();
    // sql: identifiers only
    connection.execute_batch(&format!(
        "UPDATE {} AS stored SET {} FROM staged_rows AS staged WHERE {}",
        R::TABLE,
        content.join(", "),
        same.join(" AND ")
    ))?;
    Ok(())
}
