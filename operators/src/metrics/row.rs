//! The output of a scan: the p-values of all its tests, and the pairs strong enough to be evaluated.

use model::metric::SeriesKey;
use model::real::Real;
use model::time::TimeMs;
use serde::{Deserialize, Serialize};

/// Other explanations of a pair, as known to one scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Explained {
    /// It rests on a few extreme slots or on one part of the window.
    FewPoints,
    /// Nothing remains without the daily profile.
    DailyCycle,
    /// Both follow the demand that the whole fleet shares.
    SharedLoad,
}

impl Explained {
    /// The text of `explained_by`.
    pub fn as_str(self) -> &'static str {
        match self {
            Explained::FewPoints => "few_points",
            Explained::DailyCycle => "daily_cycle",
            Explained::SharedLoad => "common_cause:shared_load",
        }
    }
}

/// A pair whose |r| is at least the threshold at which a candidate leaves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FoundRow {
    /// The instant it was seen from.
    pub at: TimeMs,
    /// The source; at lag 0 the smaller key.
    pub source: SeriesKey,
    /// The target.
    pub target: SeriesKey,
    /// Application and environment of the source colony.
    pub source_identity: (String, String),
    /// Application and environment of the target colony.
    pub target_identity: (String, String),
    /// Step of the grid.
    pub step_ms: i64,
    /// Best lag, a whole number of steps; 0 is undirected.
    pub lag_ms: i64,
    /// Lags around the best whose |r| is within 1/sqrt(effective points) of it. Negative: in the other direction.
    pub lag_low_ms: i64,
    /// The upper end of them.
    pub lag_high_ms: i64,
    /// Pearson's r of the raw values.
    pub coefficient: Real,
    /// Slots in which both were observed.
    pub points: u64,
    /// Independent points they are worth.
    pub effective_points: Real,
    /// The coefficient that was judged: without the daily profile where it is known, of differences where a side drifts.
    pub judged_coefficient: Real,
    /// Chance of as strong a relation at any lag, on the judged values.
    pub p_value: Real,
    /// Start of the target's window; the source's lies `lag_ms` earlier.
    pub target_from: TimeMs,
    /// Start of the last slot of the target's window.
    pub target_to: TimeMs,
    /// Whether this is the weaker of two directions that both qualify.
    pub mirror: bool,
    /// What else explains it.
    pub explained: Option<Explained>,
}

/// One row of a scan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MetricScanRow {
    /// The p-values, sorted, of all pairs that one shard could test at one instant. Always present, also when empty.
    Tested {
        /// The instant.
        at: TimeMs,
        /// Whether it is the present one, not a closed one.
        current: bool,
        /// Which shard.
        shard: u64,
        /// One per pair.
        p_values: Vec<Real>,
    },
    /// A pair worth looking at.
    Found(Box<FoundRow>),
}
