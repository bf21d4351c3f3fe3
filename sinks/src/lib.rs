//! Sinks: where rows, results and source positions are kept. They know nothing of dataflow.
//!
//! The contract every store keeps (checked by `compliance`):
//! 1. **One tick, one commit.** [`Store::commit`] writes everything of a [`Commit`] or nothing of it. A store without
//!    transactions writes positions last, and a repeat of the commit completes what a cut-off one has left.
//! 2. **Idempotent.** Writing the same commit again changes no row (run-time columns excepted).
//! 3. An answer is one of three ([`error::FaultClass`]): retry, reject the row, stop. A missing table or a full disk is never a reject.
//! 4. Text from outside is always a bound value, never part of a statement.
//! 5. Positions become visible with the rows they stand for, never before.

use async_trait::async_trait;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence, Finding};
use model::position::Positions;
use model::reject::Reject;
use model::rows::{RollupKey, Rows};
use model::time::TimeMs;
use rejects::Part;
use retention::{Pruned, Retention};
use std::collections::BTreeMap;
use std::sync::Arc;

pub mod clickhouse;
mod columns;
#[cfg(any(test, feature = "compliance"))]
pub mod compliance;
pub mod duckdb;
pub mod error;
pub mod findings;
mod hours;
pub mod memory;
pub mod outcome;
pub mod rejects;
pub mod resolve;
pub mod retention;
pub mod rollup;
pub mod transfer;

pub use error::SinkError;
pub use outcome::Outcome;
pub use resolve::{Held, Kept};

/// Everything one tick writes.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The tick, rising within a run.
    pub tick: u64,
    /// When the commit was made (run time).
    pub committed_at: TimeMs,
    /// Rows on time; shared, so that a store may take them to another thread as they are.
    pub rows: Arc<Rows>,
    /// Rows beyond the allowed lateness: stored and marked, not correlated. One that amends a row on time is kept aside.
    pub late: Arc<Rows>,
    /// Parts of sources that were begun again because their content has changed: what was refused of them before no longer
    /// holds.
    pub restarted: Vec<Part>,
    /// Sources and places of single rejects that no longer hold.
    pub settled: Vec<(String, String)>,
    /// Refused rows; what was refused at the same place before no longer holds. See [`rejects`].
    pub rejects: Vec<Reject>,
    /// Hourly summaries that have a row in this commit: afterwards they say what all stored rows say.
    pub rollups: Vec<RollupKey>,
    /// Correlations that are new or changed, with all of their evidence (it replaces what is stored).
    pub findings: Vec<Finding>,
    /// Ids of correlations that no longer exist; their evidence goes too.
    pub removed: Vec<String>,
    /// Source name and the partitions that moved.
    pub positions: Vec<(String, Positions)>,
}

/// Rows of a page where a store has no quicker way to count than to read.
const COUNT_PAGE_ROWS: usize = 10_000;

/// A place where everything is kept.
#[async_trait]
pub trait Store: Send {
    /// Writes a tick; says which of its rows were not taken.
    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, SinkError>;

    /// Positions of every source, by source name.
    async fn positions(&mut self) -> Result<BTreeMap<String, Positions>, SinkError>;

    /// Greatest timestamp of stored rows on time, per colony: (events, metrics). It falls when an event is amended to an
    /// earlier time; what a gate has reached is committed with the positions.
    async fn watermarks(&mut self) -> Result<(BTreeMap<String, TimeMs>, BTreeMap<String, TimeMs>), SinkError>;

    /// Events of `span`, in pages: rows strictly after `after` in `(timestamp, colony_id, event_id)` order, at most
    /// `limit`. An empty page is the end. Each event comes once: with late copies by the one kept aside, if there is one.
    async fn events_in(
        &mut self,
        span: Span,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<Held<Event>>, SinkError>;

    /// Metric buckets of `span`, in pages as above, in `(timestamp, series, interval)` order.
    async fn metrics_in(
        &mut self,
        span: Span,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<Held<MetricPoint>>, SinkError>;

    /// [`events_in`](Store::events_in) of the events on time from `from` on.
    async fn events_since(
        &mut self,
        from: TimeMs,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<Event>, SinkError> {
        let page = self.events_in(Span::on_time_since(from), after, limit).await?;
        Ok(page.into_iter().map(|held| held.row).collect())
    }

    /// [`metrics_in`](Store::metrics_in) of the buckets on time from `from` on.
    async fn metrics_since(
        &mut self,
        from: TimeMs,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<MetricPoint>, SinkError> {
        let page = self.metrics_in(Span::on_time_since(from), after, limit).await?;
        Ok(page.into_iter().map(|held| held.row).collect())
    }

    /// The stored events on time that are amended (`version` above 0) or withdrawn and share their identity with one of
    /// `events`: what an engine that has forgotten them must be told again before it sees an older copy.
    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError>;

    /// Whether any such event may be stored. While there is none, no tick need wait for the one before it to ask.
    async fn may_have_newer_events(&mut self) -> Result<bool, SinkError> {
        Ok(true)
    }

    /// How many events and metric buckets `span` has.
    async fn count_in(&mut self, span: Span) -> Result<(u64, u64), SinkError> {
        let (mut events, mut metrics) = (0, 0);
        let mut after = None;
        loop {
            let page = self.events_in(span, after.as_ref(), COUNT_PAGE_ROWS).await?;
            events += page.len() as u64;
            let Some(last) = page.into_iter().last() else { break };
            after = Some(last.row);
        }
        let mut after = None;
        loop {
            let page = self.metrics_in(span, after.as_ref(), COUNT_PAGE_ROWS).await?;
            metrics += page.len() as u64;
            let Some(last) = page.into_iter().last() else { break };
            after = Some(last.row);
        }
        Ok((events, metrics))
    }

    /// All live correlations, by id.
    async fn correlations(&mut self) -> Result<Vec<Correlation>, SinkError>;

    /// Ids of all live correlations, and of those of which a commit that was cut off has left evidence or links.
    async fn published(&mut self) -> Result<Vec<String>, SinkError> {
        Ok(self.correlations().await?.iter().map(|correlation| correlation.key.correlation_id()).collect())
    }

    /// The rows behind a correlation, sorted; none when there is no such correlation.
    async fn evidence(&mut self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError>;

    /// Row counts per table and rejects per reason, for the summary of a run.
    async fn totals(&mut self) -> Result<Totals, SinkError>;

    /// Deletes rows beyond their retention, as many as may go without making a commit wait; called again while the answer
    /// is partial. A store whose server deletes by itself has nothing to do.
    async fn prune(&mut self, retention: &Retention, now: TimeMs) -> Result<Pruned, SinkError> {
        let _ = (retention, now);
        Ok(Pruned::default())
    }

    /// Writes what is still held back and lets go of the store. Dropping it does the same, but can only log a failure.
    async fn close(self: Box<Self>) -> Result<(), SinkError>;
}

/// Which stored rows to read: `from <= timestamp < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First timestamp.
    pub from: TimeMs,
    /// First timestamp beyond; `None` for no end.
    pub to: Option<TimeMs>,
    /// Whether late copies count as well: rows marked late, and of a row with a copy kept aside that one, at its own time.
    pub with_late: bool,
}

impl Span {
    /// What an engine's windows are rebuilt from.
    pub fn on_time_since(from: TimeMs) -> Span {
        Span { from, to: None, with_late: false }
    }

    /// Whether a row of this time is wanted.
    pub fn takes(&self, timestamp: TimeMs, on_time: bool) -> bool {
        timestamp >= self.from && self.to.is_none_or(|to| timestamp < to) && (on_time || self.with_late)
    }
}

/// Row counts, for people and for tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Table name to rows.
    pub rows: BTreeMap<String, u64>,
    /// Reject reason to rows.
    pub rejects: BTreeMap<String, u64>,
    /// Rows marked late and late copies kept aside, events and metrics.
    pub late: u64,
}
