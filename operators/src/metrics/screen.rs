//! Screening: which pairs of series have a peak at an instant, and which have no coefficient at any lag.
//!
//! The integer kernels rule out, with a proven bound, nearly all pairs and lags; the rest is evaluated in f64. So the
//! result is that of evaluating all of them (`kernels/README.md`).

use super::bounds::Bounds;
use super::held::{Held, Place, Seen, Sight};
use super::pair::{PairResult, peaks};
use super::params::MetricParams;
use super::series::Prepared;
use kernels::{Pair, Path, Series, each_pair};
use model::time::TimeMs;
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
    /// Where it is in the order of keys.
    order: usize,
    place: Place,
    native_ms: i64,
    prepared: &'a Prepared,
    integers: OnceCell<Series>,
}

/// Series of which each is compared with each: on the left those that come first by key. Both are all series, or a block
/// of these.
#[derive(Clone, Copy)]
struct Tile<'a> {
    step_ms: i64,
    lefts: &'a [One<'a>],
    rights: &'a [One<'a>],
}

/// A series, and its values on one grid.
type Made<'a> = (usize, &'a Sight, Prepared);

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
        let mut grids: BTreeMap<i64, Vec<One<'_>>> = BTreeMap::new();
        for series in seen {
            for (step_ms, prepared) in &series.on {
                let all = grids.entry(*step_ms).or_default();
                let (place, native_ms) = (series.place, series.native_ms);
                all.push(One { order: all.len(), place, native_ms, prepared, integers: OnceCell::new() });
            }
        }
        let mut out = Screened::default();
        for (step_ms, all) in &grids {
            self.tile(Tile { step_ms: *step_ms, lefts: all, rights: all }, bounds.as_deref_mut(), &mut out);
        }
        out
    }

    /// The same, tile by tile: the values of at most two blocks of series are in memory at a time.
    pub fn stream(&self, sights: &[Sight], at: TimeMs) -> Screened {
        let steps: BTreeSet<i64> = sights.iter().flat_map(|sight| &sight.steps).copied().collect();
        let mut out = Screened::default();
        for step_ms in steps {
            let on_grid: Vec<(usize, &Sight)> =
                sights.iter().filter(|sight| sight.steps.contains(&step_ms)).enumerate().collect();
            let blocks: Vec<&[(usize, &Sight)]> = on_grid.chunks(self.params.room.tile.max(1)).collect();
            for (n, block) in blocks.iter().enumerate() {
                let has_changed = self.has_changed_any(block);
                let others: Vec<usize> =
                    (n..blocks.len()).filter(|other| has_changed || self.has_changed_any(blocks[*other])).collect();
                if others.is_empty() {
                    continue;
                }
                let made = self.made(block, step_ms, at);
                let lefts = ones(&made);
                for other in others {
                    if other == n {
                        self.tile(Tile { step_ms, lefts: &lefts, rights: &lefts }, None, &mut out);
                        continue;
                    }
                    let made = self.made(blocks[other], step_ms, at);
                    let rights = ones(&made);
                    self.tile(Tile { step_ms, lefts: &lefts, rights: &rights }, None, &mut out);
                }
            }
        }
        // pairs of blocks without a change were not looked at
        out.candidates = self.candidates(sights);
        out
    }

    fn has_changed_any(&self, block: &[(usize, &Sight)]) -> bool {
        block.iter().any(|(_, sight)| self.has_changed(sight.place))
    }

    fn made<'a>(&self, block: &[(usize, &'a Sight)], step_ms: i64, at: TimeMs) -> Vec<Made<'a>> {
        let made = |(order, sight): &(usize, &'a Sight)| {
            Some((*order, *sight, self.held.prepare(self.params, at, sight, step_ms)?))
        };
        block.iter().filter_map(made).collect()
    }

    /// All pairs that can be computed.
    fn candidates(&self, sights: &[Sight]) -> u64 {
        let usable: Vec<&Sight> = sights.iter().filter(|sight| !sight.steps.is_empty()).collect();
        let mut count = 0;
        for (n, a) in usable.iter().enumerate() {
            let is_one = |b: &&&Sight| {
                let step_ms = a.native_ms.max(b.native_ms);
                a.steps.contains(&step_ms)
                    && b.steps.contains(&step_ms)
                    && self.held.compares(self.params, a.place, b.place)
            };
            count += usable[n + 1..].iter().filter(is_one).count() as u64;
        }
        count
    }

    fn tile(&self, tile: Tile<'_>, mut bounds: Option<&mut Bounds>, out: &mut Screened) {
        let mut order: Vec<usize> = (0..tile.lefts.len()).collect();
        // series with the same partners beside each other
        let kind = |n: usize| {
            let place = tile.lefts[n].place;
            (self.held.group(self.params, place), self.has_changed(place))
        };
        order.sort_by_key(|n| (kind(*n), *n));
        for lefts in order.chunk_by(|a, b| kind(*a) == kind(*b)).flat_map(|alike| alike.chunks(LEFTS)) {
            let asked = self.asked(tile, lefts, bounds.as_deref(), out);
            let count: u32 = asked.iter().map(|(_, of)| of.count_ones()).sum();
            out.asked += u64::from(count);
            let mut found = |left: usize, right: usize, pair: &Pair<'_>| {
                self.found(tile, (left, right), pair, bounds.as_deref_mut(), out);
            };
            if 2 * count as usize >= lefts.len() * asked.len() {
                self.each(tile, lefts, &asked, &mut found);
                continue;
            }
            for (n, left) in lefts.iter().enumerate() {
                let of_left: Vec<(usize, u32)> =
                    asked.iter().filter(|(_, of)| of >> n & 1 == 1).map(|(right, _)| (*right, 1)).collect();
                self.each(tile, &[*left], &of_left, &mut found);
            }
        }
    }

    fn has_changed(&self, place: Place) -> bool {
        self.changed.is_none_or(|changed| changed.contains(&place))
    }

    /// The partners of some series among those after them, and a bit for each of these with which the pair is asked for.
    fn asked(&self, tile: Tile<'_>, lefts: &[usize], bounds: Option<&Bounds>, out: &mut Screened) -> Vec<(usize, u32)> {
        let mut asked = Vec::new();
        let first = tile.lefts[lefts[0]].order;
        let skipped = tile.rights.partition_point(|right| right.order <= first);
        for (right, b) in tile.rights.iter().enumerate().skip(skipped) {
            let mut of = 0;
            for (n, a) in lefts.iter().map(|left| &tile.lefts[*left]).enumerate().filter(|(_, a)| a.order < b.order) {
                let is_of_grid = a.native_ms.max(b.native_ms) == tile.step_ms;
                if !is_of_grid || !self.held.compares(self.params, a.place, b.place) {
                    continue;
                }
                out.candidates += 1;
                let is_asked = (self.has_changed(a.place) || self.has_changed(b.place))
                    && bounds.is_none_or(|bounds| bounds.asks(tile.step_ms, a.place, b.place, self.params));
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
        tile: Tile<'_>,
        lefts: &[usize],
        rights: &[(usize, u32)],
        found: &mut impl FnMut(usize, usize, &Pair<'_>),
    ) {
        if rights.is_empty() {
            return;
        }
        let of_lefts: Vec<&Series> = lefts.iter().map(|n| tile.lefts[*n].integers(self.path)).collect();
        let of_rights: Vec<&Series> = rights.iter().map(|(n, _)| tile.rights[*n].integers(self.path)).collect();
        let points_min = MetricParams::points_needed(self.params.window_slots(tile.step_ms));
        each_pair(self.path, &of_lefts, &of_rights, points_min, |left, right, pair| {
            let (right, of) = rights[right];
            if of >> left & 1 == 1 {
                found(lefts[left], right, pair);
            }
        });
    }

    fn found(
        &self,
        tile: Tile<'_>,
        (a, b): (usize, usize),
        pair: &Pair<'_>,
        bounds: Option<&mut Bounds>,
        out: &mut Screened,
    ) {
        let (a, b) = (&tile.lefts[a], &tile.rights[b]);
        let peaks = peaks(pair, a.prepared, b.prepared, self.params);
        if let Some(bounds) = bounds {
            bounds.keep(tile.step_ms, (a.place, a.prepared), (b.place, b.prepared), pair);
        }
        if !peaks.is_empty() {
            out.strong.push(((a.place, b.place), PairResult { step_ms: tile.step_ms, peaks }));
        } else if !pair.is_defined() {
            out.undefined.push((a.place, b.place));
        }
    }
}

fn ones<'a>(made: &'a [Made<'_>]) -> Vec<One<'a>> {
    let one = |(order, sight, prepared): &'a Made<'_>| One {
        order: *order,
        place: sight.place,
        native_ms: sight.native_ms,
        prepared,
        integers: OnceCell::new(),
    };
    made.iter().map(one).collect()
}

impl One<'_> {
    fn integers(&self, path: Path) -> &Series {
        self.integers.get_or_init(|| integers(self.prepared, path))
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
