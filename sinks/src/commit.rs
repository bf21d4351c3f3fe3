//! The commit: everything one tick writes.

use crate::rejects::Part;
use model::derived::DerivedChange;
use model::pattern::Finding;
use model::position::Positions;
use model::reject::Reject;
use model::rows::{RollupKey, Rows};
use model::time::TimeMs;
use std::sync::Arc;

/// Everything one tick writes.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The tick, rising within a run.
    pub tick: u64,
    /// Time of the commit (wall clock).
    pub committed_at: TimeMs,
    /// On-time rows; shared, so that a store can pass them to another thread without a copy.
    pub rows: Arc<Rows>,
    /// Rows beyond the allowed lateness: stored and marked, not correlated. One that amends a row on time is stored as a late copy.
    pub late: Arc<Rows>,
    /// Parts of sources that were restarted because their content has changed: their earlier rejects are deleted.
    pub restarted: Vec<Part>,
    /// Parts of sources that were rewound to rows ahead of the reader's clock: what was rejected of them for its time is
    /// read again, and no longer holds.
    pub rewound: Vec<Part>,
    /// Sources and places of single rejects that no longer hold.
    pub settled: Vec<(String, String)>,
    /// Rejects; they replace earlier ones of the same location. See [`crate::rejects`].
    pub rejects: Vec<Reject>,
    /// Hourly summaries that have a row in this commit: afterwards they say what all stored rows say.
    pub rollups: Vec<RollupKey>,
    /// New or changed correlations, with all of their evidence (it replaces the stored evidence).
    pub findings: Vec<Finding>,
    /// Ids of correlations that no longer exist; their evidence goes too.
    pub removed: Vec<String>,
    /// Changes of derived tables.
    pub derived: Vec<DerivedChange>,
    /// Source name and the partitions that moved.
    pub positions: Vec<(String, Positions)>,
}
