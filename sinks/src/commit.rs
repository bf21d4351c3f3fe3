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
    /// When the commit was made (run time).
    pub committed_at: TimeMs,
    /// Rows on time; shared, so that a store may take them to another thread as they are.
    pub rows: Arc<Rows>,
    /// Rows beyond the allowed lateness: stored and marked, not correlated. One that amends a row on time is stored as a late copy.
    pub late: Arc<Rows>,
    /// Parts of sources that were begun again because their content has changed: what was refused of them before no longer
    /// holds.
    pub restarted: Vec<Part>,
    /// Parts of sources that were rewound to rows ahead of the reader's clock: what was rejected of them for its time is
    /// read again, and no longer holds.
    pub rewound: Vec<Part>,
    /// Sources and places of single rejects that no longer hold.
    pub settled: Vec<(String, String)>,
    /// Refused rows; what was refused at the same place before no longer holds. See [`crate::rejects`].
    pub rejects: Vec<Reject>,
    /// Hourly summaries that have a row in this commit: afterwards they say what all stored rows say.
    pub rollups: Vec<RollupKey>,
    /// Correlations that are new or changed, with all of their evidence (it replaces what is stored).
    pub findings: Vec<Finding>,
    /// Ids of correlations that no longer exist; their evidence goes too.
    pub removed: Vec<String>,
    /// Changes of derived tables.
    pub derived: Vec<DerivedChange>,
    /// Source name and the partitions that moved.
    pub positions: Vec<(String, Positions)>,
}
