//! Writes a commit: one transaction, all of it or nothing.
//!
//! Order inside the transaction: reported rows, small tables and positions, hourly summaries (they read the rows),
//! findings (they mark the events).

use super::fault::Cause;
use super::session::Session;
use super::{findings, fleet, keep, rollups};
use crate::Commit;
use crate::resolve;

pub(super) fn commit(session: &mut Session, commit: &Commit) -> Result<(), Cause> {
    if !session.may_write {
        return Err("it was opened for reading only; this is a bug, please report it with this text".into());
    }
    let events = resolve::events(commit);
    let metrics = resolve::metrics(commit);
    let oldest = metrics.iter().map(|held| held.row.timestamp).min();
    let newest = metrics.iter().map(|held| held.row.timestamp).max();
    let metrics_all_new = session.newest_metric.is_none_or(|stored| oldest.is_some_and(|oldest| oldest > stored));

    let fails_at_end = std::mem::take(&mut session.fails_at_end);
    // raised before the outcome is known: a look-up too many is the safe side
    session.has_newer_events |= events.iter().any(|held| held.row.version > 0 || held.row.withdrawn);
    let transaction = session.connection.transaction()?;
    keep::keep(&transaction, &events, false, commit.committed_at)?;
    keep::keep(&transaction, &metrics, metrics_all_new, commit.committed_at)?;
    fleet::write(&transaction, commit)?;
    rollups::recompute(&transaction, &commit.rollups)?;
    findings::write(&transaction, commit)?;
    if fails_at_end {
        return Err("the commit was made to fail".into());
    }
    // raised first: should the outcome of the commit be unknown, a look-up too many is the safe side
    session.newest_metric = session.newest_metric.max(newest);
    transaction.commit()?;
    Ok(())
}
