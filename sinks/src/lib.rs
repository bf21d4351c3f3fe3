//! Sinks: where rows, results and source positions are kept. They know nothing of dataflow.
//!
//! The contract every store keeps (checked by `compliance`):
//! 1. **One tick, one commit.** [`Store::commit`] writes everything of a [`Commit`] or nothing of it.
//! 2. **Idempotent.** Writing the same commit again changes no row (run-time columns excepted).
//! 3. An answer is one of three ([`error::FaultClass`]): retry, reject the row, stop. A missing table or a full disk is never a reject.
//! 4. Text from outside is always a bound value, never part of a statement.
//! 5. Positions become visible with the rows they stand for, never before.

use async_trait::async_trait;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Correlation, Finding};
use model::position::Positions;
use model::reject::Reject;
use model::rows::{RollupKey, Rows};
use model::time::TimeMs;
use std::collections::BTreeMap;

#[cfg(any(test, feature = "compliance"))]
pub mod compliance;
pub mod duckdb;
pub mod error;
pub mod memory;
pub mod resolve;
pub mod rollup;

pub use error::SinkError;

/// Everything one tick writes.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The tick, rising within a run.
    pub tick: u64,
    /// When the commit was made (run time).
    pub committed_at: TimeMs,
    /// Rows on time.
    pub rows: Rows,
    /// Rows beyond the allowed lateness: stored and marked, not correlated.
    pub late: Rows,
    /// Refused rows.
    pub rejects: Vec<Reject>,
    /// Hourly summaries to recompute from stored rows, because a row of theirs is in this commit.
    pub rollups: Vec<RollupKey>,
    /// Correlations that are new or changed, with all of their evidence (it replaces what is stored).
    pub findings: Vec<Finding>,
    /// Ids of correlations that no longer exist; their evidence goes too.
    pub removed: Vec<String>,
    /// Source name and the partitions that moved.
    pub positions: Vec<(String, Positions)>,
}

/// A place where everything is kept.
#[async_trait]
pub trait Store: Send {
    /// Writes a tick.
    async fn commit(&mut self, commit: &Commit) -> Result<(), SinkError>;

    /// Positions of every source, by source name.
    async fn positions(&mut self) -> Result<BTreeMap<String, Positions>, SinkError>;

    /// Greatest timestamp of rows on time, per colony: (events, metrics).
    async fn watermarks(&mut self) -> Result<(BTreeMap<String, TimeMs>, BTreeMap<String, TimeMs>), SinkError>;

    /// Events on time with `timestamp >= from`, in pages: rows strictly after `after` in `(timestamp, colony_id,
    /// event_id)` order, at most `limit`. An empty page is the end.
    async fn events_since(
        &mut self,
        from: TimeMs,
        after: Option<&Event>,
        limit: usize,
    ) -> Result<Vec<Event>, SinkError>;

    /// Metric buckets on time with `timestamp >= from`, in pages as above, in `(timestamp, series, interval)` order.
    async fn metrics_since(
        &mut self,
        from: TimeMs,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<MetricPoint>, SinkError>;

    /// All live correlations, by id.
    async fn correlations(&mut self) -> Result<Vec<Correlation>, SinkError>;

    /// Row counts per table and rejects per reason, for the summary of a run.
    async fn totals(&mut self) -> Result<Totals, SinkError>;
}

/// Row counts, for people and for tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Table name to rows.
    pub rows: BTreeMap<String, u64>,
    /// Reject reason to rows.
    pub rejects: BTreeMap<String, u64>,
    /// Rows marked late, events and metrics.
    pub late: u64,
}
