//! Writes a commit: one transaction, all of it or nothing.
//!
//! Order inside the transaction: reported rows, small tables and positions, hourly summaries (they read the rows),
//! findings (they mark the events).

use super::fault::Cause;
use super::session::Session;
use super::{findings, fleet, keep, rollups};
use crate::Commit;
use crate::columns::KeptRow;
use crate::resolve::{self, Held, Kept};
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::Rows;

/// A commit as the store's thread takes it: of each reported row the copies that count, everything else as it came.
pub(super) struct Prepared {
    events: Vec<Kept<Event>>,
    metrics: Vec<Kept<MetricPoint>>,
    /// Without events and metrics, so that rows are copied once and not twice.
    rest: Commit,
}

impl Prepared {
    pub(super) fn of(commit: &Commit) -> Prepared {
        let without_reported = |rows: &Rows| Rows {
            events: Vec::new(),
            metrics: Vec::new(),
            nodes: rows.nodes.clone(),
            edges: rows.edges.clone(),
            colonies: rows.colonies.clone(),
        };
        let rest = Commit {
            tick: commit.tick,
            committed_at: commit.committed_at,
            rows: without_reported(&commit.rows),
            late: without_reported(&commit.late),
            rejects: commit.rejects.clone(),
            rollups: commit.rollups.clone(),
            findings: commit.findings.clone(),
            removed: commit.removed.clone(),
            positions: commit.positions.clone(),
        };
        Prepared { events: resolve::events(commit), metrics: resolve::metrics(commit), rest }
    }
}

pub(super) fn commit(session: &mut Session, prepared: &Prepared) -> Result<(), Cause> {
    if !session.may_write {
        return Err("it was opened for reading only; this is a bug, please report it with this text".into());
    }
    let Prepared { events, metrics, rest: commit } = prepared;
    if !metrics.is_empty() {
        session.newest.load(&session.connection)?;
    }
    let events: Vec<Kept<&Event>> = events.iter().map(Kept::each_ref).collect();
    let (new, doubtful): (Vec<_>, Vec<_>) = (metrics.iter().map(Kept::each_ref))
        .partition(|kept| kept.aside.is_none() && session.newest.is_beyond(kept.shown.row));
    let new: Vec<Held<&MetricPoint>> = new.into_iter().map(|kept| kept.shown).collect();
    let fails_at_end = std::mem::take(&mut session.fails_at_end);
    // raised before the outcome is known: a look-up too many is the safe side
    metrics.iter().for_each(|kept| session.newest.store(&kept.shown.row));
    session.has_newer_events |= events.iter().any(|kept| kept.shown.row.version > 0 || kept.shown.row.withdrawn);
    let Session { connection, has_late_copies, .. } = session;
    let transaction = connection.transaction()?;
    keep::keep(&transaction, &events, commit.committed_at, has_late_copies)?;
    keep::append_new(&transaction, MetricPoint::TABLE, &new, commit.committed_at)?;
    keep::keep(&transaction, &doubtful, commit.committed_at, has_late_copies)?;
    fleet::write(&transaction, commit)?;
    rollups::recompute(&transaction, &commit.rollups)?;
    findings::write(&transaction, commit)?;
    if fails_at_end {
        return Err("the commit was made to fail".into());
    }
    transaction.commit()?;
    Ok(())
}
