//! Upserts of events and metric buckets: looks up stored copies of the same identity, stores the greater one, and a
//! greater late copy in a separate table.

use super::fault::Cause;
use super::look_up::{look_up, stage_keys};
use super::rows::ReadRow;
use super::stage::{append, temporary};
use crate::Outcome;
use crate::columns::{Bucket, Columns, ReportedRow, bucket_columns, times};
use crate::resolve::SeriesRows;
use crate::stored::{StoredCopies, StoredRow};
use arrow::array::UInt32Array;
use duckdb::Connection;
use model::columns::MetricRow;
use model::event::Event;
use model::metric::MetricPoint;
use model::time::TimeMs;
use std::collections::HashMap;
use std::sync::Arc;

/// Whether any late copy is stored.
pub(super) fn late_copies_exist(connection: &Connection) -> Result<bool, Cause> {
    // sql: identifiers only
    let sql = format!(
        "SELECT EXISTS (FROM {}) OR EXISTS (FROM {})",
        <Event as ReportedRow>::LATE_TABLE,
        <MetricPoint as ReportedRow>::LATE_TABLE
    );
    Ok(connection.query_row(&sql, [], |row| row.get(0))?)
}

/// Writes `rows`, which hold each identity once, after a look-up of their stored copies.
///
/// The comparison is in Rust and not in SQL, so that all stores share the code. New rows are appended; only changed
/// rows are updated. `has_late_copies` is set if any late copy may be stored. Returns the rows that were not applied.
pub(super) fn keep<R: ReadRow>(
    connection: &Connection,
    rows: &[StoredCopies<&R>],
    stored_at: TimeMs,
    has_late_copies: &mut bool,
) -> Result<Outcome, Cause> {
    let mut outcome = Outcome::default();
    if rows.is_empty() {
        return Ok(outcome);
    }
    let current: Vec<StoredRow<&R>> = rows.iter().map(|kept| kept.current).collect();
    let stored = look_up(connection, R::TABLE, &current)?;
    let stored_late = if *has_late_copies { look_up(connection, R::LATE_TABLE, &current)? } else { HashMap::new() };
    let (mut new, mut changed, mut late_new, mut late_gone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, row) in rows.iter().enumerate() {
        let (before, late) =
            (stored.get(&place).map(StoredRow::each_ref), stored_late.get(&place).map(|held| &held.row));
        before.into_iter().for_each(|stands| R::met(row.current, stands, &mut outcome));
        let now = row.clone().after(before, late);
        match before {
            None => new.push(now.current),
            Some(before) if now.current != before => changed.push(now.current),
            Some(_) => {}
        }
        if now.late != late {
            late_gone.extend(late.map(|row| StoredRow { on_time: false, row }));
            late_new.extend(now.late.map(|row| StoredRow { on_time: false, row }));
        }
    }
    insert(connection, &new, stored_at)?;
    update(connection, &changed, stored_at)?;
    delete_late_copies(connection, &late_gone)?;
    *has_late_copies |= !late_new.is_empty();
    append_new(connection, R::LATE_TABLE, &late_new, stored_at)?;
    Ok(outcome)
}

/// Writes metric buckets without a stored copy.
pub(super) fn append_buckets(
    connection: &Connection,
    of_series: &[(u32, SeriesRows<'_>)],
    stored_at: TimeMs,
) -> Result<(), Cause> {
    let rows = of_series.iter().flat_map(|(id, it)| it.rows.iter().map(|held| (*id, *held)));
    let rows: Vec<(u32, StoredRow<MetricRow<'_>>)> = rows.collect();
    append(connection, MetricPoint::STORED, &rows, |chunk| {
        let mut columns = bucket_columns(chunk.iter().map(|(_, held)| Bucket::from(*held)));
        columns.push(("series_id", Arc::new(chunk.iter().map(|(id, _)| Some(*id)).collect::<UInt32Array>())));
        columns.push(("stored_at", times(chunk.iter().map(|_| stored_at))));
        columns
    })
}

/// Writes rows without a stored copy.
fn insert<R: ReadRow>(connection: &Connection, rows: &[StoredRow<&R>], stored_at: TimeMs) -> Result<(), Cause> {
    if R::STORED == R::TABLE || rows.is_empty() {
        return append_new(connection, R::TABLE, rows, stored_at);
    }
    stage_rows(connection, rows, stored_at)?;
    insert_staged::<R>(connection)
}

/// Moves `staged_rows` into the table where rows of this kind are stored.
pub(super) fn insert_staged<R: ReadRow>(connection: &Connection) -> Result<(), Cause> {
    let columns = [R::STORED_KEY, R::CONTENT, &["stored_at"]].concat().join(", ");
    // sql: identifiers only
    let sql = format!("INSERT INTO {} BY NAME SELECT {columns} FROM {} AS staged", R::STORED, R::STAGED);
    Ok(connection.execute_batch(&sql)?)
}

/// An empty temporary table for rows in the visible form.
pub(super) fn make_stage<R: ReadRow>(connection: &Connection) -> Result<(), Cause> {
    let columns = [R::KEY, R::CONTENT, &["stored_at"]].concat().join(", ");
    // sql: identifiers only
    temporary(connection, "staged_rows", &format!("SELECT {columns} FROM {}", R::TABLE))
}

fn stage_rows<R: ReadRow>(connection: &Connection, rows: &[StoredRow<&R>], stored_at: TimeMs) -> Result<(), Cause> {
    make_stage::<R>(connection)?;
    append(connection, "staged_rows", rows, |chunk| stamped(chunk, stored_at))
}

/// Writes rows without a copy in `table`.
fn append_new<R: ReadRow>(
    connection: &Connection,
    table: &str,
    rows: &[StoredRow<&R>],
    stored_at: TimeMs,
) -> Result<(), Cause> {
    append(connection, table, rows, |chunk| stamped(chunk, stored_at))
}

/// Deletes the late copies of these rows.
fn delete_late_copies<R: ReportedRow>(connection: &Connection, rows: &[StoredRow<&R>]) -> Result<(), Cause> {
    if rows.is_empty() {
        return Ok(());
    }
    stage_keys(connection, rows)?;
    // sql: identifiers only
    connection.execute_batch(&format!(
        "DELETE FROM {} AS stored USING staged_keys AS staged WHERE {}",
        R::LATE_TABLE,
        same(R::KEY)
    ))?;
    Ok(())
}

fn same(key: &[&str]) -> String {
    let same: Vec<String> = key.iter().map(|name| format!("stored.{name} = staged.{name}")).collect();
    same.join(" AND ")
}

/// The columns of rows that are stored now.
fn stamped<R: ReportedRow>(rows: &[StoredRow<&R>], stored_at: TimeMs) -> Columns {
    let mut columns = R::columns(rows);
    columns.push(("stored_at", times(rows.iter().map(|_| stored_at))));
    columns
}

fn update<R: ReadRow>(connection: &Connection, changed: &[StoredRow<&R>], stored_at: TimeMs) -> Result<(), Cause> {
    if changed.is_empty() {
        return Ok(());
    }
    stage_rows(connection, changed, stored_at)?;
    let content: Vec<String> =
        R::CONTENT.iter().chain(&["stored_at"]).map(|name| format!("{name} = staged.{name}")).collect();
    // sql: identifiers only
    connection.execute_batch(&format!(
        "UPDATE {} AS stored SET {} FROM {} AS staged WHERE {}",
        R::STORED,
        content.join(", "),
        R::STAGED,
        same(R::STORED_KEY)
    ))?;
    Ok(())
}
