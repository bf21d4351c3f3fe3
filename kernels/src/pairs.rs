//! All pairs of two sets of series, both ways, at every lag: integers decide which cells are evaluated in f64.

use crate::dots::{TILE_TARGETS, Word, accumulate};
use crate::drift::Footing;
use crate::estimate::{AnyReaching, Cut, Estimates, Extent, FillBoth, Greatest, LagsReaching, MARGIN, Reach};
use crate::exact::{Evaluate, published};
use crate::gaps::GapSums;
use crate::path::Path;
use crate::series::Series;
use crate::wide;
use std::borrow::Borrow;

/// |r| this close to each other count as equal; the shorter lag is taken, so that rounding never decides.
pub const TIE: f64 = 1e-9;

/// More than the rounding of a number to 32 bits.
const ROUNDING: f64 = 1e-6;

/// A correlation at one lag. A positive lag means that the first series leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Lag in slots.
    pub lag: i64,
    /// Pearson's r.
    pub r: f64,
    /// Slots in which both are observed.
    pub points: usize,
}

/// The strongest lag of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// Lag in slots.
    pub lag: i64,
    /// r there, as [`Pair::r`] has it.
    pub r: f64,
    /// Cells that were evaluated in f64 to find it.
    pub evaluated: usize,
}

/// Lags of one direction of a pair, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// All lags.
    Both,
    /// Lags above 0: the first series leads.
    First,
    /// Lags below 0: the second series leads.
    Second,
}

/// One pair at every lag, both ways.
#[derive(Debug)]
pub struct Pair<'a> {
    path: Path,
    a: &'a Series,
    b: &'a Series,
    points_min: usize,
    forward: &'a Estimates,
    backward: &'a Estimates,
}

impl Pair<'_> {
    /// Longest lag, both ways.
    pub fn lag_max(&self) -> i64 {
        self.forward.lags() as i64 - 1
    }

    /// Signed lags, shortest first: 0, 1, -1, 2, -2, …
    pub fn lags(&self) -> impl Iterator<Item = i64> + use<> {
        std::iter::once(0).chain((1..=self.lag_max()).flat_map(|lag| [lag, -lag]))
    }

    fn side(&self, lag: i64) -> (&Estimates, usize) {
        let steps = lag.unsigned_abs() as usize;
        if lag >= 0 { (self.forward, steps) } else { (self.backward, steps) }
    }

    fn ends(&self, lag: i64) -> (&Series, &Series, usize) {
        let steps = lag.unsigned_abs() as usize;
        if lag >= 0 { (self.a, self.b, steps) } else { (self.b, self.a, steps) }
    }

    /// The minimum and maximum of r; `None` if no correlation is defined.
    pub fn bounds(&self, lag: i64) -> Option<(f64, f64)> {
        let (estimates, steps) = self.side(lag);
        estimates.bounds(steps)
    }

    /// r at a lag, as it is published; `None` where it is not defined.
    pub fn cell(&self, lag: i64) -> Option<Cell> {
        let (source, target, steps) = self.ends(lag);
        published(source, target, steps, self.points_min).map(|(r, points)| Cell { lag, r, points })
    }

    /// r at a lag to within the rounding of f64 from [`Pair::cell`], several times as fast.
    pub fn r(&self, lag: i64) -> Option<f64> {
        let (source, target, steps) = self.ends(lag);
        wide::with(self.path, Evaluate { source, target, lag: steps, points_min: self.points_min })
    }

    /// Whether |r| at a lag may be as great as the cut.
    pub fn may_reach(&self, lag: i64, cut: Cut) -> bool {
        let (estimates, steps) = self.side(lag);
        estimates.may_reach(steps, cut)
    }

    /// The lags at which |r| may be as great as the cut, in the order of [`Pair::lags`].
    pub fn lags_reaching(&self, cut: Cut) -> Vec<i64> {
        self.lags_of_side_reaching(Side::Both, cut)
    }

    /// Appends every lag with |r| ≥ `least` and its r, as [`Pair::r`] has it, in the order of [`Pair::lags`]. Whether a lag
    /// is among them is decided by what [`Pair::cell`] gives. Returns how many were evaluated.
    pub fn reaching(&self, least: f64, out: &mut Vec<(i64, f64)>) -> usize {
        let lags = self.lags_reaching(Cut::new(least));
        for lag in &lags {
            let Some(r) = self.r(*lag) else { continue };
            let is_near = (r.abs() - least).abs() <= MARGIN;
            let decides = if is_near { self.cell(*lag).map_or(0.0, |cell| cell.r) } else { r };
            if decides.abs() >= least {
                out.push((*lag, r));
            }
        }
        lags.len()
    }

    /// The lag of greatest |r|, the shortest of those within [`TIE`] of it. `None` when no correlation is defined at any.
    pub fn best(&self) -> Option<Best> {
        self.best_of(Side::Both, 0.0)
    }

    /// The same among the lags of a side, if |r| there is at least `least` less [`TIE`].
    pub fn best_of(&self, side: Side, least: f64) -> Option<Best> {
        if least > 0.0 && !self.may_any_reach(side, Cut::new(least)) {
            return None;
        }
        let greatest = |(estimates, from): (&Estimates, usize)| wide::with(self.path, Greatest { estimates, from });
        let [forward, backward] = self.of_side(side);
        let first = match (forward.and_then(greatest), backward.and_then(greatest)) {
            (Some((lag, r)), Some((_, other))) if r >= other => lag as i64,
            (_, Some((lag, _))) => -(lag as i64),
            (Some((lag, _)), None) => lag as i64,
            (None, None) => return None,
        };
        let r_first = self.r(first);
        let mut greatest = r_first.map_or(0.0, f64::abs).max(least);
        let mut cut = Cut::new(greatest - TIE);
        let (mut near, mut evaluated) = (Vec::new(), 1);
        for lag in self.lags_of_side_reaching(side, cut) {
            if !self.may_reach(lag, cut) {
                continue;
            }
            let r = if lag == first { r_first } else { self.r(lag) };
            evaluated += usize::from(lag != first);
            let Some(r) = r else { continue };
            near.push((lag, r));
            if r.abs() > greatest {
                greatest = r.abs();
                cut = Cut::new(greatest - TIE);
            }
        }
        let best = near.into_iter().find(|(_, r)| r.abs() >= greatest - TIE);
        best.map(|(lag, r)| Best { lag, r, evaluated })
    }

    /// Whether |r| at a lag is above `floor`, in f64 only where the bound does not tell.
    pub fn is_above(&self, lag: i64, floor: f64) -> bool {
        let Some((low, high)) = self.bounds(lag) else { return false };
        if low.abs().max(high.abs()) <= floor {
            return false;
        }
        if low.max(-high) > floor && self.surely_moves(lag) {
            return true;
        }
        self.r(lag).is_some_and(|r| r.abs() > floor)
    }

    /// Whether a correlation is defined at any lag.
    pub fn is_defined(&self) -> bool {
        self.lags().any(|lag| self.surely_moves(lag)) || self.lags().any(|lag| self.r(lag).is_some())
    }

    /// Whether the levels alone tell that r is defined.
    fn surely_moves(&self, lag: i64) -> bool {
        let (estimates, steps) = self.side(lag);
        self.a.is_near_zero && self.b.is_near_zero && estimates.surely_moves(steps)
    }

    /// What bounds how r can change, with the centre of both series at zero and a scale of each; `None` if a correlation
    /// is not defined at every lag, or nothing is known of one.
    pub fn footing(&self, scales: [f64; 2]) -> Option<Footing> {
        let of = |estimates| wide::with(self.path, Reach(estimates));
        let (forward, forward_sine, forward_known) = of(self.forward);
        let (backward, backward_sine, backward_known) = of(self.backward);
        if !forward_known || !backward_known || !self.a.is_near_zero || !self.b.is_near_zero {
            return None;
        }
        let (forth, back) = (self.forward.levels(), self.backward.levels());
        // of a series: as the source of one direction and as the target of the other
        let of_series = |series: &Series, source: &Extent, target: &Extent, scale: f64| {
            let spread = source.spread[0].min(target.spread[1]).max(0.0);
            let energy = source.energy[0].max(target.energy[1]);
            let length = (spread.sqrt() - energy.sqrt()).max(0.0) * series.step / scale;
            let (least, most) =
                (source.mean_least[0].min(target.mean_least[1]), source.mean_most[0].max(target.mean_most[1]));
            let from_zero = |level: f64| (series.centre + series.step * level).abs() + series.step / 2.0;
            (length * length, from_zero(least).max(from_zero(most)) / scale)
        };
        let first = of_series(self.a, forth, back, scales[0]);
        let second = of_series(self.b, back, forth, scales[1]);
        // cos(a - b) is at most cos a + sin b
        let reach = forward.max(backward) + forward_sine.max(backward_sine) + MARGIN;
        Some(Footing {
            reach: (reach * (1.0 + ROUNDING)) as f32,
            spread: (first.0.min(second.0) * (1.0 - ROUNDING)) as f32,
            offset: (first.1.max(second.1) * (1.0 + ROUNDING)) as f32,
            points: forth.count.min(back.count) as u32,
        })
    }

    /// The estimates of a side, each with its first lag.
    fn of_side(&self, side: Side) -> [Option<(&Estimates, usize)>; 2] {
        match side {
            Side::Both => [Some((self.forward, 0)), Some((self.backward, 1))],
            Side::First => [Some((self.forward, 1)), None],
            Side::Second => [None, Some((self.backward, 1))],
        }
    }

    fn may_any_reach(&self, side: Side, cut: Cut) -> bool {
        let any = |(estimates, from): (&Estimates, usize)| wide::with(self.path, AnyReaching { estimates, from, cut });
        let [forward, backward] = self.of_side(side);
        forward.is_some_and(any) || backward.is_some_and(any)
    }

    /// Shortest first.
    fn lags_of_side_reaching(&self, side: Side, cut: Cut) -> Vec<i64> {
        let reaching =
            |(estimates, from): (&Estimates, usize)| wide::with(self.path, LagsReaching { estimates, from, cut });
        let [forward, backward] = self.of_side(side);
        let forward = forward.map(reaching).unwrap_or_default().into_iter().map(|lag| lag as i64);
        let backward = backward.map(reaching).unwrap_or_default().into_iter().map(|lag| -(lag as i64));
        let mut lags: Vec<i64> = forward.chain(backward).collect();
        lags.sort_unstable_by_key(|lag| (lag.abs(), *lag < 0));
        lags
    }
}

/// Space for one tile of pairs, used again for the next.
#[derive(Debug, Default)]
struct Tile {
    forward: Vec<i32>,
    backward: Vec<i32>,
    estimates: [Estimates; 2],
    gaps: GapSums,
}

/// Visits the pairs of each of `lefts` with each of `rights`; the visitor gets both indices.
///
/// `points_min`: slots in which both must be observed, at least 3. For each pair this takes `2 × lags × window`
/// multiplications of the integer kernel, and no memory that grows with the number of series.
///
/// # Panics
/// When the series differ in window or longest lag.
///
/// ```
/// use coral_kernels::{Path, Series, each_pair};
/// let wave = |slot: i64| (slot as f64 / 5.0).sin() + (slot as f64 / 3.0).cos();
/// let early: Vec<f64> = (0..60).map(|slot| wave(slot + 4)).collect();
/// let late: Vec<f64> = (0..60).map(|slot| 100.0 - wave(slot)).collect();
/// let path = Path::chosen().unwrap();
/// let series = [Series::new(path, &early, 48).unwrap(), Series::new(path, &late, 48).unwrap()];
/// each_pair(path, &series[..1], &series[1..], 40, |_, _, pair| {
///     let best = pair.best().unwrap();
///     assert!(best.lag == 4 && (best.r + 1.0).abs() < 1e-12);
/// });
/// ```
pub fn each_pair<S: Borrow<Series>>(
    path: Path,
    lefts: &[S],
    rights: &[S],
    points_min: usize,
    mut visit: impl FnMut(usize, usize, &Pair<'_>),
) {
    let Some(first) = lefts.first().map(S::borrow) else { return };
    let shape = |series: &Series| (series.window(), series.lag_max());
    assert!(
        lefts.iter().chain(rights).all(|series| shape(series.borrow()) == shape(first)),
        "series differ in window or longest lag"
    );
    let lags = first.lag_max() + 1;
    let mut tile = Tile::default();
    for (right, rights) in rights.chunks(TILE_TARGETS).enumerate() {
        for (left, lefts) in lefts.chunks(TILE_TARGETS).enumerate() {
            all_dots(path, lefts, rights, &mut tile.forward);
            all_dots(path, rights, lefts, &mut tile.backward);
            for (i, a) in lefts.iter().enumerate() {
                for (j, b) in rights.iter().enumerate() {
                    let forward = (i * rights.len() + j) * lags;
                    let backward = (j * lefts.len() + i) * lags;
                    let (a, b) = (a.borrow(), b.borrow());
                    let fill = FillBoth {
                        a,
                        b,
                        forward: &tile.forward[forward..forward + lags],
                        backward: &tile.backward[backward..backward + lags],
                        points_min,
                        out: &mut tile.estimates,
                        work: &mut tile.gaps,
                    };
                    wide::with(path, fill);
                    let [forward, backward] = &tile.estimates;
                    let pair = Pair { path, a, b, points_min, forward, backward };
                    visit(left * TILE_TARGETS + i, right * TILE_TARGETS + j, &pair);
                }
            }
        }
    }
}

/// `out[(i * targets + j) * lags + l]`: the sum of products of the levels of source `i`, `l` slots back, and target `j`.
fn all_dots<S: Borrow<Series>>(path: Path, sources: &[S], targets: &[S], out: &mut Vec<i32>) {
    let words: Vec<&[Word]> = targets.iter().map(|series| series.borrow().target.as_slice()).collect();
    out.clear();
    for source in sources.iter().map(S::borrow) {
        let (lags, from) = (source.lag_max() + 1, out.len());
        out.resize(from + words.len() * lags, 0);
        accumulate::<2>(path, &source.source, &words, lags, &mut out[from..]);
    }
}
