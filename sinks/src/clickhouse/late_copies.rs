//! Late copies of rows with an on-time copy: at most one per row, while it is greater than the current copy.
//!
//! New late copies are written before the current copy, obsolete ones are deleted after it: a commit interrupted
//! between the two has lost nothing, and its retry completes it.

use super::fault::Fault;
use super::insert::{insert, insert_taking_out};
use super::rows::{ReadRow, late_selection, selection, versions};
use super::session::Session;
use crate::columns::{Columns, ReportedRow};
use crate::stored::StoredRow;

/// A row that the server refused, and the server's reason.
pub(super) struct RefusedRow<R> {
    pub(super) row: R,
    pub(super) reason: String,
}

/// Which of the tables of a kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyTable {
    /// The greatest copy of each row.
    Current,
    /// Late copies.
    Late,
}

impl CopyTable {
    pub(super) fn table<R: ReportedRow>(self) -> &'static str {
        if self == CopyTable::Current { R::TABLE } else { R::LATE_TABLE }
    }

    pub(super) fn selection<R: ReadRow>(self) -> String {
        if self == CopyTable::Current { selection::<R>() } else { late_selection::<R>() }
    }
}

/// Changes of the late copies.
pub(super) struct Changes<R> {
    pub(super) put: Vec<R>,
    pub(super) obsolete: Vec<R>,
}

impl<R> Default for Changes<R> {
    fn default() -> Self {
        Changes { put: Vec::new(), obsolete: Vec::new() }
    }
}

impl<R: PartialEq> Changes<R> {
    /// Notes the late copy of a row before and after.
    pub(super) fn note(&mut self, before: Option<R>, now: Option<R>) {
        match now {
            Some(_) if now == before => {}
            Some(row) => self.put.push(row),
            None => self.obsolete.extend(before),
        }
    }
}

/// Stores these copies, replacing those of the same rows.
pub(super) async fn put_late_copies<R: ReadRow>(
    session: &mut Session,
    rows: &[&R],
) -> Result<Vec<RefusedRow<R>>, Fault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    session.memory.has_late_copies = true;
    let version = session.next_version();
    let refused = insert_taking_out(session, R::LATE_TABLE, rows, |chunk| columns(chunk, version, false)).await?;
    Ok(refused.into_iter().map(|it| RefusedRow { row: rows[it.place].clone(), reason: it.reason }).collect())
}

/// Removes the copies of these rows.
pub(super) async fn delete_late_copies<R: ReadRow>(session: &mut Session, rows: &[&R]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let version = session.next_version();
    insert(session, R::LATE_TABLE, rows, |chunk| columns(chunk, version, true)).await
}

fn columns<R: ReportedRow>(rows: &[&R], version: u64, is_removed: bool) -> Columns {
    let held: Vec<StoredRow<&R>> = rows.iter().map(|row| StoredRow { on_time: false, row: *row }).collect();
    let mut columns = R::columns(&held);
    columns.extend(versions(rows.iter().map(|_| (version, is_removed))));
    columns
}
