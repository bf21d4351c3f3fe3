//! The output of a scan: how many pairs were tested, and the windows of the pairs that are strong enough somewhere.

use crate::tested::Supply;
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

/// A coefficient and what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Worth {
    /// Pearson's r.
    pub coefficient: Real,
    /// Independent points that it rests on; 3 where nothing is known.
    pub effective_points: Real,
}

/// A pair at one lag in the window of one instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LagWindow {
    /// A whole number of steps. Positive or 0: the first series is the source; negative: the second.
    pub lag_ms: i64,
    /// Whether |r| has its maximum of this direction here, or so near that no other lag is needed, and is above the
    /// leave threshold: then the lags around it whose |r| is within 1/sqrt(effective points), along the direction.
    pub peak: Option<(i64, i64)>,
    /// Pearson's r of the raw values.
    pub coefficient: Real,
    /// Slots in which both were observed.
    pub points: u64,
    /// The judged level: clamped, without the daily profile where it is known.
    pub level: Worth,
    /// Its differences from slot to slot.
    pub differences: Worth,
    /// Whether a side drifts: its level says nothing about the relation in this window.
    pub drifts: bool,
    /// What else explains it.
    pub explained: Option<Explained>,
}

/// A pair in the window of one instant, at every lag at which it is followed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairRow {
    /// The instant it was seen from.
    pub at: TimeMs,
    /// The smaller key.
    pub first: SeriesKey,
    /// The greater key.
    pub second: SeriesKey,
    /// Application and environment of the first.
    pub first_identity: (String, String),
    /// Application and environment of the second.
    pub second_identity: (String, String),
    /// Step of the grid.
    pub step_ms: i64,
    /// Start of the target's window; the source's lies the lag earlier.
    pub target_from: TimeMs,
    /// Start of the last slot of the target's window.
    pub target_to: TimeMs,
    /// Ascending by lag.
    pub lags: Vec<LagWindow>,
}

/// A pair that cannot be computed at the present instant, although it was seen before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MissingRow {
    /// The instant.
    pub at: TimeMs,
    /// The smaller key.
    pub first: SeriesKey,
    /// The greater key.
    pub second: SeriesKey,
    /// For how long the first was observed inside the window.
    pub first_observed_ms: i64,
    /// For how long the second was.
    pub second_observed_ms: i64,
}

/// What one shard could test at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TestedRow {
    /// The instant.
    pub at: TimeMs,
    /// Whether it is the present one, not a closed one.
    pub current: bool,
    /// Which shard.
    pub shard: u64,
    /// Pairs with a coefficient.
    pub pairs: u64,
    /// Series, those with enough data in the window, and their colonies: the same on every shard.
    pub supply: Supply,
}

/// One row of a scan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MetricScanRow {
    /// Always present, also when nothing was tested.
    Tested(TestedRow),
    /// A pair worth looking at.
    Pair(Box<PairRow>),
    /// A pair that was.
    Missing(Box<MissingRow>),
}

impl MetricScanRow {
    /// The instant of the row.
    pub fn at(&self) -> TimeMs {
        match self {
            MetricScanRow::Tested(row) => row.at,
            MetricScanRow::Pair(row) => row.at,
            MetricScanRow::Missing(row) => row.at,
        }
    }
}
