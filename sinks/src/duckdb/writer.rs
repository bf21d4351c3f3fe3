//! Writes a commit in one transaction.
//!
//! Order inside the transaction: reported rows, small tables and positions, hourly summaries (they read the rows),
//! findings (they mark the events).

use super::fault::Cause;
use super::series::{Sorted, name};
use super::session::Session;
use super::{derived, findings, fleet, keep, rollups};
use crate::resolve::{self, SeriesRows};
use crate::stored::{StoredCopies, StoredRow};
use crate::{Commit, Outcome};
use model::columns::MetricRow;
use model::metric::MetricPoint;

pub(super) fn commit(session: &mut Session, commit: &Commit) -> Result<Outcome, Cause> {
    let outcome = write(session, commit);
    if outcome.is_err() {
        session.hours.forget();
        session.series.forget();
    }
    outcome
}

fn write(session: &mut Session, commit: &Commit) -> Result<Outcome, Cause> {
    let has_metrics = !commit.rows.metrics.is_empty() || !commit.late.metrics.is_empty();
    if has_metrics && let Some(read) = session.series.load(&session.connection)? {
        session.hours.begin(read);
    }
    let mut outcome = Outcome::default();
    let events = resolve::events(commit, &mut outcome);
    // set before the outcome is known: one query too many is safe
    session.has_newer_events |= events.iter().any(|kept| kept.current.row.is_amended());
    let fails_at_end = std::mem::take(&mut session.fails_at_end);
    let Session { connection, series, has_late_copies, hours, schema, .. } = session;
    let transaction = connection.transaction()?;
    // set before it is stored: a failure causes a full re-read
    let Sorted { unnamed, new, needs_lookup } = series.sort(&transaction, resolve::metrics(commit, &mut outcome))?;
    outcome.add(keep::keep(&transaction, &events, commit.committed_at, has_late_copies)?);
    name(&transaction, &unnamed)?;
    keep::append_buckets(&transaction, &new, commit.committed_at)?;
    let new: Vec<SeriesRows<'_>> = new.into_iter().map(|(_, rows)| rows).collect();
    let points: Vec<StoredCopies<MetricPoint>> = needs_lookup.iter().map(StoredCopies::points).collect();
    let points: Vec<StoredCopies<&MetricPoint>> = points.iter().map(StoredCopies::each_ref).collect();
    outcome.add(keep::keep(&transaction, &points, commit.committed_at, has_late_copies)?);
    fleet::write(&transaction, commit)?;
    let looked_up: Vec<StoredRow<MetricRow<'_>>> = needs_lookup.iter().map(|kept| kept.current).collect();
    let summaries = rollups::write(&transaction, hours.touch(&commit.rollups, &new, &looked_up))?;
    findings::write(&transaction, commit)?;
    derived::write(&transaction, commit, *schema)?;
    if fails_at_end {
        return Err("the commit was made to fail".into());
    }
    transaction.commit()?;
    hours.store(&summaries);
    Ok(outcome)
}
