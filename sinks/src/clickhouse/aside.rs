//! Late copies that are kept aside: of each row at most one, while it is greater than the copy that is shown.
//!
//! What is put aside is written before the copy that is then shown, what is taken back after it: a commit that is cut off
//! between the two has lost nothing, and its repeat completes it.

use super::fault::Fault;
use super::insert::{insert, insert_taking_out};
use super::rows::{ReadRow, selection, selection_aside, versions};
use super::session::Session;
use crate::columns::{Columns, KeptRow};
use crate::resolve::Held;
use model::event::Event;
use model::metric::MetricPoint;
use serde::Deserialize;

/// A row that the server refused, and the server's reason.
pub(super) struct RefusedRow<R> {
    pub(super) row: R,
    pub(super) reason: String,
}

/// Which of the tables of a kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Shown,
    Aside,
}

impl Place {
    pub(super) fn table<R: KeptRow>(self) -> &'static str {
        if self == Place::Shown { R::TABLE } else { R::ASIDE }
    }

    pub(super) fn selection<R: ReadRow>(self) -> String {
        if self == Place::Shown { selection::<R>() } else { selection_aside::<R>() }
    }
}

/// What is to be changed among the late copies.
pub(super) struct Changes<'a, R> {
    pub(super) put: Vec<&'a R>,
    pub(super) taken_back: Vec<&'a R>,
}

impl<R> Default for Changes<'_, R> {
    fn default() -> Self {
        Changes { put: Vec::new(), taken_back: Vec::new() }
    }
}

impl<'a, R: PartialEq> Changes<'a, R> {
    /// Notes what was kept aside of a row, and what is now.
    pub(super) fn note(&mut self, before: Option<&'a R>, now: Option<&'a R>) {
        match now {
            Some(_) if now == before => {}
            Some(row) => self.put.push(row),
            None => self.taken_back.extend(before),
        }
    }
}

#[derive(clickhouse::Row, Deserialize)]
struct CountAnswer {
    copies: u64,
}

/// Whether there is any.
pub(super) async fn exist(session: &Session) -> Result<bool, Fault> {
    for table in [MetricPoint::ASIDE, Event::ASIDE] {
        // sql: identifiers only
        let sql = format!("SELECT count() AS copies FROM {table}");
        if session.rows::<CountAnswer>(session.query(&sql)).await?.iter().any(|answer| answer.copies > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keeps these copies, in place of those of the same rows.
pub(super) async fn put<R: ReadRow>(session: &mut Session, rows: &[&R]) -> Result<Vec<RefusedRow<R>>, Fault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    session.memory.has_late_copies = true;
    let version = session.next_version();
    let refused = insert_taking_out(session, R::ASIDE, rows, |chunk| columns(chunk, version, false)).await?;
    Ok(refused.into_iter().map(|it| RefusedRow { row: rows[it.place].clone(), reason: it.reason }).collect())
}

/// Removes the copies of these rows.
pub(super) async fn take_back<R: ReadRow>(session: &mut Session, rows: &[&R]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let version = session.next_version();
    insert(session, R::ASIDE, rows, |chunk| columns(chunk, version, true)).await
}

fn columns<R: KeptRow>(rows: &[&R], version: u64, is_removed: bool) -> Columns {
    let held: Vec<Held<&R>> = rows.iter().map(|row| Held { on_time: false, row: *row }).collect();
    let mut columns = R::columns(&held);
    columns.extend(versions(rows.iter().map(|_| (version, is_removed))));
    columns
}
