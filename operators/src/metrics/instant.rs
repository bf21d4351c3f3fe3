//! What is known at one instant: which pairs can be computed, which have peaks, and what was measured of the followed.

use super::held::{Place, Sight};
use super::instants::Role;
use super::load::Fleet;
use super::pair::{Measured, PairResult};
use super::row::MetricScanRow;
use super::screen::Screened;
use super::tracked::{Tracked, tracked};
use crate::tested::Supply;
use model::series::SeriesId;
use model::time::TimeMs;
use std::collections::{BTreeMap, BTreeSet};

/// Places of two series, of which the first comes first by name.
pub type Pair = (Place, Place);

/// The lags at which pairs are followed, and the step of their grid.
pub type Followed = BTreeMap<Pair, (i64, Vec<Tracked>)>;

/// A pair measured at a lag.
#[derive(Debug)]
pub struct Window {
    /// Whether the lag was taken for simultaneous.
    pub simultaneous: bool,
    /// What was measured; `None` where r is not defined.
    pub measured: Option<Measured>,
}

/// A series as it was seen from the instant.
#[derive(Debug)]
struct Known {
    /// The series of its latest sample.
    latest: SeriesId,
    native_ms: i64,
    /// The steps on which it has enough samples.
    steps: Vec<i64>,
}

/// The state of one instant.
#[derive(Debug, Default)]
pub struct Instant {
    series: BTreeMap<Place, Known>,
    /// Pairs with peaks.
    strong: BTreeMap<Pair, PairResult>,
    /// Pairs without a coefficient at any lag, although both series have enough samples.
    undefined: BTreeSet<Pair>,
    candidates: u64,
    /// The followed pairs, each lag measured once.
    pub windows: BTreeMap<(Pair, i64), Window>,
    /// The demand of the fleet, by step; empty until it is needed.
    pub fleets: BTreeMap<i64, Fleet>,
    /// Series whose samples changed inside the range since it was screened; all of them at first.
    pub changed: BTreeSet<Place>,
    /// Whether it has been screened.
    pub fresh: bool,
    /// What it was when the rows were made.
    pub role: Role,
    /// What there is at it.
    pub supply: Supply,
    /// Rows last emitted, each by its pair, and what was tested.
    pub rows: BTreeMap<Option<Pair>, MetricScanRow>,
}

impl Instant {
    /// Takes over a screening of all pairs, or of those of the `changed` series.
    pub fn update(&mut self, sights: &[Sight], changed: &BTreeSet<Place>, screened: Screened) {
        let of_series = |sight: &Sight| (sight.key.colony_id.as_str(), sight.steps.contains(&sight.native_ms));
        self.supply = Supply::of(sights.iter().map(of_series));
        let known = |sight: &Sight| {
            let Sight { place, latest, native_ms, ref steps, .. } = *sight;
            (place, Known { latest, native_ms, steps: steps.clone() })
        };
        self.series = sights.iter().map(known).collect();
        let is_as_before = |(a, b): &Pair| self.fresh && !changed.contains(a) && !changed.contains(b);
        self.strong.retain(|pair, _| is_as_before(pair));
        self.undefined.retain(|pair| is_as_before(pair));
        self.windows.retain(|(pair, _), _| is_as_before(pair));
        self.strong.extend(screened.strong);
        self.undefined.extend(screened.undefined);
        self.candidates = screened.candidates;
        self.fresh = true;
    }

    /// Pairs with a coefficient.
    pub fn pairs(&self) -> u64 {
        self.candidates - self.undefined.len() as u64
    }

    /// The step on which a pair has coefficients; `None` if it has none.
    pub fn step_of(&self, pair: Pair) -> Option<i64> {
        let (a, b) = (self.series.get(&pair.0)?, self.series.get(&pair.1)?);
        let step_ms = a.native_ms.max(b.native_ms);
        let has_it = |known: &Known| known.steps.contains(&step_ms);
        (has_it(a) && has_it(b) && !self.undefined.contains(&pair)).then_some(step_ms)
    }

    /// The peaks of a pair, where it has any.
    pub fn peaks_of(&self, pair: Pair) -> Option<&PairResult> {
        self.strong.get(&pair)
    }

    /// The series of the latest sample.
    pub fn latest(&self, place: Place) -> Option<SeriesId> {
        Some(self.series.get(&place)?.latest)
    }
}

/// The pairs that are followed otherwise than before, or no longer, or now.
pub fn moved(before: &Followed, after: &Followed) -> BTreeSet<Pair> {
    let gone = before.iter().filter(|(pair, lags)| after.get(*pair) != Some(*lags));
    let come = after.iter().filter(|(pair, lags)| before.get(*pair) != Some(*lags));
    gone.chain(come).map(|(pair, _)| *pair).collect()
}

/// The lags at which each pair is followed: on the grid of the latest instant at which it could be computed.
pub fn follow(instants: &BTreeMap<TimeMs, Instant>) -> Followed {
    let strong: BTreeSet<Pair> = instants.values().flat_map(|instant| instant.strong.keys()).copied().collect();
    let followed = strong.into_iter().filter_map(|pair| {
        let step_ms = instants.values().rev().find_map(|instant| instant.step_of(pair))?;
        let results = instants.values().filter_map(|instant| instant.peaks_of(pair));
        let lags = tracked(results.filter(|result| result.step_ms == step_ms));
        (!lags.is_empty()).then_some((pair, (step_ms, lags)))
    });
    followed.collect()
}
