//! Screening: which pairs of series have a peak at an instant, and which have no coefficient at any lag.
//!
//! The integer kernels rule out, with a proven bound, nearly all pairs and lags; the rest is evaluated in f64. So the
//! result is that of evaluating all of them (`kernels/README.md`).

use super::bounds::Bounds;
use super::held::{Held, Place, Seen};
use super::pair::{PairResult, peaks};
use super::params::MetricParams;
use super::series::Prepared;
use kernels::{Pair, Path, Series, each_pair};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// Series that are compared in one call with all their partners: as many as the kernel takes together.
const LEFTS: usize = 4;

/// What was found of the pairs that were asked for.
#[derive(Debug, Default)]
pub struct Screened {
    /// Those with a peak.
    pub strong: Vec<((Place, Place), PairResult)>,
    /// Those without a coefficient at any lag.
    pub undefined: Vec<(Place, Place)>,
    /// All pairs that can be computed, asked for or not: of this shard, compared, and with a grid in common.
    pub candidates: u64,
    /// Those that were screened.
    pub asked: u64,
}

/// A series on one grid.
struct One<'a> {
    place: Place,
    native_ms: i64,
    prepared: &'a Prepared,
    integers: OnceCell<Series>,
}

/// The series that have a grid in common, in the order of keys.
struct OnGrid<'a> {
    step_ms: i64,
    all: Vec<One<'a>>,
}

/// Screens pairs of series.
#[derive(Clone, Copy, Debug)]
pub struct Screen<'a> {
    /// The series.
    pub held: &'a Held,
    /// What to look for.
    pub params: &'a MetricParams,
    /// The instructions to use.
    pub path: Path,
    /// Of which series one is in each pair that is asked for; absent: all pairs are.
    pub changed: Option<&'a BTreeSet<Place>>,
}

impl Screen<'_> {
    /// The pairs of `seen`, which is in the order of keys, each on the coarser of the two grids; except those that
    /// `bounds` rule out.
    pub fn run(&self, seen: &[Seen], mut bounds: Option<&mut Bounds>) -> Screened {
        let mut grids: BTreeMap<i64, OnGrid<'_>> = BTreeMap::new();
        for series in seen {
            for (step_ms, prepared) in &series.on {
                let grid = grids.entry(*step_ms).or_insert_with(|| OnGrid { step_ms: *step_ms, all: Vec::new() });
                let (place, native_ms) = (series.place, series.native_ms);
                grid.all.push(One { place, native_ms, prepared, integers: OnceCell::new() });
            }
        }
        let mut out = Screened::default();
        for grid in grids.values() {
            self.grid(grid, bounds.as_deref_mut(), &mut out);
        }
        out
    }

    fn grid(&self, grid: &OnGrid<'_>, mut bounds: Option<&mut Bounds>, out: &mut Screened) {
        let mut order: Vec<usize> = (0..grid.all.len()).collect();
        // series with the same partners beside each other
        let kind = |n: usize| (self.held.group(self.params, grid.all[n].place), self.has_changed(grid.all[n].place));
        order.sort_by_key(|n| (kind(*n), *n));
        for lefts in order.chunk_by(|a, b| kind(*a) == kind(*b)).flat_map(|alike| alike.chunks(LEFTS)) {
            let asked = self.asked(grid, lefts, bounds.as_deref(), out);
            let count: u32 = asked.iter().map(|(_, of)| of.count_ones()).sum();
            out.asked += u64::from(count);
            let mut found = |left: usize, right: usize, pair: &Pair<'_>| {
                self.found(grid, (left, right), pair, bounds.as_deref_mut(), out);
            };
            if 2 * count as usize >= lefts.len() * asked.len() {
                self.each(grid, lefts, &asked, &mut found);
                continue;
            }
            for (n, left) in lefts.iter().enumerate() {
                let of_left: Vec<(usize, u32)> =
                    asked.iter().filter(|(_, of)| of >> n & 1 == 1).map(|(right, _)| (*right, 1)).collect();
                self.each(grid, &[*left], &of_left, &mut found);
            }
        }
    }

    fn has_changed(&self, place: Place) -> bool {
        self.changed.is_none_or(|changed| changed.contains(&place))
    }

    /// The partners of some series among those after them, and a bit for each of these with which the pair is asked for.
    fn asked(
        &self,
        grid: &OnGrid<'_>,
        lefts: &[usize],
        bounds: Option<&Bounds>,
        out: &mut Screened,
    ) -> Vec<(usize, u32)> {
        let mut asked = Vec::new();
        for (right, b) in grid.all.iter().enumerate().skip(lefts[0] + 1) {
            let mut of = 0;
            for (n, left) in lefts.iter().enumerate().filter(|(_, left)| **left < right) {
                let a = &grid.all[*left];
                let is_of_grid = a.native_ms.max(b.native_ms) == grid.step_ms;
                if !is_of_grid || !self.held.compares(self.params, a.place, b.place) {
                    continue;
                }
                out.candidates += 1;
                let is_asked = (self.has_changed(a.place) || self.has_changed(b.place))
                    && bounds.is_none_or(|bounds| bounds.asks(grid.step_ms, a.place, b.place, self.params));
                of |= u32::from(is_asked) << n;
            }
            if of != 0 {
                asked.push((right, of));
            }
        }
        asked
    }

    fn each(
        &self,
        grid: &OnGrid<'_>,
        lefts: &[usize],
        rights: &[(usize, u32)],
        found: &mut impl FnMut(usize, usize, &Pair<'_>),
    ) {
        if rights.is_empty() {
            return;
        }
        let integers = |n: usize| grid.all[n].integers.get_or_init(|| integers(grid.all[n].prepared, self.path));
        let of_lefts: Vec<&Series> = lefts.iter().map(|n| integers(*n)).collect();
        let of_rights: Vec<&Series> = rights.iter().map(|(n, _)| integers(*n)).collect();
        let points_min = MetricParams::points_needed(self.params.window_slots(grid.step_ms));
        each_pair(self.path, &of_lefts, &of_rights, points_min, |left, right, pair| {
            let (right, of) = rights[right];
            if of >> left & 1 == 1 {
                found(lefts[left], right, pair);
            }
        });
    }

    fn found(
        &self,
        grid: &OnGrid<'_>,
        (a, b): (usize, usize),
        pair: &Pair<'_>,
        bounds: Option<&mut Bounds>,
        out: &mut Screened,
    ) {
        let (a, b) = (&grid.all[a], &grid.all[b]);
        let peaks = peaks(pair, a.prepared, b.prepared, self.params);
        if let Some(bounds) = bounds {
            bounds.keep(grid.step_ms, (a.place, a.prepared), (b.place, b.prepared), pair);
        }
        if !peaks.is_empty() {
            out.strong.push(((a.place, b.place), PairResult { step_ms: grid.step_ms, peaks }));
        } else if !pair.is_defined() {
            out.undefined.push((a.place, b.place));
        }
    }
}

/// A series for the kernels.
///
/// # Panics
/// When the window is longer than they take; the configuration allows no such window.
fn integers(prepared: &Prepared, path: Path) -> Series {
    match Series::new(path, &prepared.raw, prepared.window) {
        Ok(series) => series,
        Err(refused) => panic!("{refused}"),
    }
}
