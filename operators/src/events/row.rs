//! The output of a scan: rows of pairs of event types at an instant, and totals of an instant.

use crate::tested::Supply;
use model::event::EventTypeKey;
use model::real::Real;
use model::time::TimeMs;
use serde::{Deserialize, Serialize};

/// One row of a scan; rows of all shards together make a verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ScanRow {
    /// How many pairs a shard tested at an instant.
    Totals(InstantTotals),
    /// A pair with some evidence.
    Pair(PairScan),
    /// What came after a closed instant at which a pair had evidence.
    After(PairAfter),
}

/// What a shard tested at an instant. Every shard has one row per instant, also when it has nothing to test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstantTotals {
    /// The instant.
    pub instant: TimeMs,
    /// Whether it is the current one; it is the last.
    pub current: bool,
    /// Index of the shard.
    pub shard: u64,
    /// Eligible ordered pairs of different colonies, whether or not they ever co-occur.
    pub eligible_pairs: u64,
    /// Sum of their weights.
    pub weight_total: u64,
    /// Types of services, those that are eligible, and their colonies: the same on every shard.
    pub supply: Supply,
}

/// A pair of event types at an instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairScan {
    /// The instant.
    pub instant: TimeMs,
    /// The source.
    pub source: EventTypeKey,
    /// The target.
    pub target: EventTypeKey,
    /// Logarithm of the e-value; minus infinity where nothing is above chance.
    pub log_e: Real,
    /// Prior weight of this pair (see `ebh`).
    pub weight: u32,
    /// Matched source and target onsets in the shown window (see `shown`).
    pub occurrences: u32,
    /// Days (UTC) on which their sources lie.
    pub days: u32,
    /// How often a target follows in the shown window.
    pub frequency: Frequency,
    /// The rest, at the current instant only.
    pub detail: Option<PairDetail>,
}

/// How often a target follows a source in a window of lag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Frequency {
    /// Start and end of the window, in minutes of lag.
    pub window_min: (u32, u32),
    /// Sources whose window has passed.
    pub passed: u64,
    /// Those of them that are followed by a target in it.
    pub hits: u64,
    /// Probability of a target in it by chance.
    pub chance: Real,
}

/// The displayed values of a pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairDetail {
    /// Application and environment of the source colony, as its latest onset states them.
    pub source_identity: Identity,
    /// Application and environment of the target colony, as its latest onset states them.
    pub target_identity: Identity,
    /// Sources that are decided: their window has passed, or they are matched already.
    pub source_count: u64,
    /// Sources whose window has passed and which are preceded by a target in the mirrored window.
    pub hits_reversed: u64,
    /// Sources that are not decided yet.
    pub open_count: u64,
    /// When the last of them will be.
    pub open_until: Option<TimeMs>,
    /// Logarithm of the prior weight of the best window.
    pub log_prior: Real,
    /// Certainty factor in the shown window, over the sources whose window has passed.
    pub score: Real,
    /// First quartile, median and third quartile of the lag, in seconds.
    pub lag_s: [i32; 3],
    /// Who goes with whom, by time.
    pub matches: Vec<Match>,
    /// How many of them the score counts: the first ones; the windows of the others' sources have not passed.
    pub matched_passed: u64,
    /// The law of the lag: pairs of sources and targets around the window with their weights, by lag.
    pub lag_pairs: Vec<WeightedPair>,
}

/// Whose colony it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Application.
    pub application_name: String,
    /// Environment; may be empty.
    pub environment: String,
}

/// One occurrence of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Match {
    /// When the source began.
    pub source_at: TimeMs,
    /// Event that began it.
    pub source_event_id: String,
    /// When the target began.
    pub target_at: TimeMs,
    /// Event that began it.
    pub target_event_id: String,
}

impl Match {
    /// From source to target.
    pub fn lag_ms(&self) -> i64 {
        self.target_at - self.source_at
    }
}

/// A pair with its weight in the law of the lag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WeightedPair {
    /// The pair.
    pub pair: Match,
    /// Relative to the most certain pair.
    pub weight: Real,
}

/// What came after a closed instant at which a pair had evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairAfter {
    /// The instant.
    pub instant: TimeMs,
    /// The source.
    pub source: EventTypeKey,
    /// The target.
    pub target: EventTypeKey,
    /// Application and environment of the source colony, as its last onset before the next instant states them.
    pub source_identity: Identity,
    /// Application and environment of the target colony, likewise.
    pub target_identity: Identity,
    /// Sources that opened a case, by time.
    pub cases: Vec<Case>,
    /// Onsets of the target until the next instant.
    pub targets: u64,
}

/// A source that waited for its target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Case {
    /// When the source happened.
    pub source_at: TimeMs,
    /// The event that began it.
    pub source_event_id: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The target may still come.
    Open,
    /// It came.
    Hit {
        /// When.
        at: TimeMs,
        /// The event that began it.
        event_id: String,
    },
    /// It did not come, and its colony was heard of later.
    Miss,
    /// It did not come, and nothing was heard of its colony since.
    Void,
}
