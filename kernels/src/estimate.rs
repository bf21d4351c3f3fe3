//! Estimates of one direction of a pair from integer sums, each with its error bound.
//!
//! The proof is in the README. In short: values and levels, both about their means, enclose an angle whose sine is at most
//! the length of their difference over the length of the levels; angles on a sphere obey the triangle inequality; so the
//! angle whose cosine is r differs from the one whose cosine is the estimate by at most the sum of both series' angles.

use crate::gaps::{GapSums, common_sums};
use crate::series::{Angle, Series};
use crate::wide::Work;

/// Room for the rounding of f64: of the estimate, its bound, and the evaluation that it is compared with.
pub const MARGIN: f64 = 1e-9;

/// Cosine of the angle between levels and values up to which a spread of the levels is one of the values.
const SURELY: f64 = 0.867;

/// Estimates at every lag from 0.
#[derive(Clone, Debug, Default)]
pub struct Estimates {
    /// The estimate; NaN where no correlation is defined, 0 where nothing is known of it.
    r: Vec<f64>,
    /// Sine and cosine of the angle by which it can be off; the cosine is at most 0 if there is no bound.
    sin: Vec<f64>,
    cos: Vec<f64>,
    /// What the levels are like over all lags.
    levels: Extent,
}

/// Of the levels in the common slots of all lags: the extremes that bound what a change of some slots can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Fewest common slots.
    pub count: f64,
    /// Of the source and of the target: least sum of squares about the mean, least and greatest mean, greatest energy.
    pub spread: [f64; 2],
    pub mean_least: [f64; 2],
    pub mean_most: [f64; 2],
    pub energy: [f64; 2],
}

impl Default for Extent {
    /// Of no lag.
    fn default() -> Extent {
        let (least, most) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        Extent { count: f64::INFINITY, spread: least, mean_least: least, mean_most: most, energy: [0.0; 2] }
    }
}

/// A bound on |r| below which a correlation is of no interest, ready to be compared with estimates.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    cos: f64,
    sin: f64,
}

impl Cut {
    /// Keeps every lag that an f64 evaluation may find at or above `least`.
    pub fn new(least: f64) -> Cut {
        let cos = (least - MARGIN).clamp(0.0, 1.0);
        Cut { cos, sin: (1.0 - cos * cos).sqrt() }
    }
}

impl Estimates {
    /// What the levels are like over all lags.
    pub(crate) fn levels(&self) -> &Extent {
        &self.levels
    }

    /// Lags it holds, from 0.
    pub fn lags(&self) -> usize {
        self.r.len()
    }

    /// The estimate at a lag; `None` where no correlation is defined, 0 where nothing is known of it.
    pub fn estimate(&self, lag: usize) -> Option<f64> {
        let r = self.r[lag];
        (!r.is_nan()).then_some(r)
    }

    /// The minimum and maximum of r at a lag; `None` where no correlation is defined.
    pub fn bounds(&self, lag: usize) -> Option<(f64, f64)> {
        let estimate = self.estimate(lag)?;
        if self.cos[lag] <= 0.0 {
            return Some((-1.0, 1.0));
        }
        let (angle, off) = (estimate.clamp(-1.0, 1.0).acos(), self.sin[lag].atan2(self.cos[lag]));
        let (low, high) = ((angle + off).min(std::f64::consts::PI).cos(), (angle - off).max(0.0).cos());
        Some((low - MARGIN, high + MARGIN))
    }

    /// Whether |r| at a lag may be as great as the cut.
    #[inline(always)]
    pub fn may_reach(&self, lag: usize, cut: Cut) -> bool {
        // cos(acos(cut) + angle); below 0 once the two exceed a right angle, which every estimate reaches
        self.r[lag].abs() >= cut.cos * self.cos[lag] - cut.sin * self.sin[lag]
    }

    /// Whether the levels alone tell that both move, so that r is defined at a lag: their angle to the values is at most
    /// 30 degrees for both together, which leaves each at least three quarters of the spread of its levels.
    #[inline(always)]
    pub(crate) fn surely_moves(&self, lag: usize) -> bool {
        !self.r[lag].is_nan() && self.cos[lag] >= SURELY
    }

    /// Fills in one direction: `dots[l]` is the sum of products of the source's levels `l` slots back with the target's.
    #[inline(always)]
    pub(crate) fn fill(
        &mut self,
        source: &Series,
        target: &Series,
        dots: &[i32],
        points_min: usize,
        work: &mut GapSums,
    ) {
        let lags = dots.len();
        for out in [&mut self.r, &mut self.sin, &mut self.cos] {
            out.clear();
            out.resize(lags, f64::NAN);
        }
        self.levels = Extent::default();
        let points_min = points_min.max(3);
        if source.is_complete() && target.is_complete() {
            if target.window >= points_min {
                self.fill_whole(source, target, dots);
            }
        } else {
            common_sums(source, target, work);
            self.fill_with_gaps(source, target, dots, points_min, work);
        }
    }

    #[inline(always)]
    fn fill_whole(&mut self, source: &Series, target: &Series, dots: &[i32]) {
        let (x, y) = (&source.whole, &target.whole);
        let window = target.window as f64;
        let (sum_y, scale_y) = (f64::from(target.windows.sum[0]), y.scale[0]);
        let (sin_y, cos_y) = (y.sin[0], y.cos[0]);
        self.levels = Extent {
            count: window,
            spread: [x.extent.0, y.newest.0],
            mean_least: [x.extent.1, y.newest.1],
            mean_most: [x.extent.2, y.newest.1],
            energy: [x.extent.3, target.windows.energy[0]],
        };
        let inputs = dots.iter().zip(&source.windows.sum).zip(x.scale.iter().zip(x.sin.iter().zip(&x.cos)));
        let outputs = self.r.iter_mut().zip(self.sin.iter_mut().zip(&mut self.cos));
        for (((dot, sum_x), (scale_x, (sin_x, cos_x))), (r, (sin, cos))) in inputs.zip(outputs) {
            // whole numbers below 2^53: exact
            let product = window * f64::from(*dot) - f64::from(*sum_x) * sum_y;
            *r = product * (scale_x * scale_y);
            *sin = sin_x * cos_y + cos_x * sin_y;
            *cos = cos_x * cos_y - sin_x * sin_y;
        }
    }

    #[inline(always)]
    fn fill_with_gaps(&mut self, source: &Series, target: &Series, dots: &[i32], points_min: usize, sums: &GapSums) {
        if target.windows.still[0] {
            return;
        }
        let lags = dots.len();
        let (r, sin, cos) = (&mut self.r[..lags], &mut self.sin[..lags], &mut self.cos[..lags]);
        let (energy_x, energy_y) = (&source.windows.energy[..lags], target.windows.energy[0]);
        let (still, count) = (&source.windows.still[..lags], &sums.count[..lags]);
        let (sum_x, squares_x) = (&sums.source[..lags], &sums.source_squares[..lags]);
        let (sum_y, squares_y) = (&sums.target[..lags], &sums.target_squares[..lags]);
        // without a branch, so that vectors can do it
        for lag in 0..lags {
            let n = f64::from(count[lag]);
            let (x, y) = (f64::from(sum_x[lag]), f64::from(sum_y[lag]));
            let spread_x = n * f64::from(squares_x[lag]) - x * x;
            let spread_y = n * f64::from(squares_y[lag]) - y * y;
            let angle_x = Angle::new(n * energy_x[lag], spread_x);
            let angle_y = Angle::new(n * energy_y, spread_y);
            let angle = angle_x.plus(angle_y);
            let estimate = (n * f64::from(dots[lag]) - x * y) / (spread_x * spread_y).sqrt();
            let known = !angle_x.says_nothing() & !angle_y.says_nothing();
            let defined = (n >= points_min as f64) & !still[lag];
            r[lag] = if defined { if known { estimate } else { 0.0 } } else { f64::NAN };
            (sin[lag], cos[lag]) = (angle.sin, angle.cos);
        }
        let mut levels = Extent { energy: [0.0, energy_y], ..Extent::default() };
        for lag in 0..lags {
            let n = f64::from(count[lag]);
            let (mean_x, mean_y) = (f64::from(sum_x[lag]) / n, f64::from(sum_y[lag]) / n);
            let spread_x = f64::from(squares_x[lag]) - f64::from(sum_x[lag]) * mean_x;
            let spread_y = f64::from(squares_y[lag]) - f64::from(sum_y[lag]) * mean_y;
            levels.count = least(levels.count, n);
            levels.spread = [least(levels.spread[0], spread_x), least(levels.spread[1], spread_y)];
            levels.mean_least = [least(levels.mean_least[0], mean_x), least(levels.mean_least[1], mean_y)];
            levels.mean_most = [most(levels.mean_most[0], mean_x), most(levels.mean_most[1], mean_y)];
            levels.energy[0] = most(levels.energy[0], energy_x[lag]);
        }
        self.levels = levels;
    }
}

/// Without the care for NaN that keeps `f64::min` from becoming one instruction.
#[inline(always)]
fn least(one: f64, other: f64) -> f64 {
    if other < one { other } else { one }
}

#[inline(always)]
fn most(one: f64, other: f64) -> f64 {
    if other > one { other } else { one }
}

/// Fills in both directions of a pair.
pub(crate) struct FillBoth<'a> {
    pub a: &'a Series,
    pub b: &'a Series,
    /// Sums of products of `a` back in time with `b`.
    pub forward: &'a [i32],
    /// Of `b` with `a`.
    pub backward: &'a [i32],
    pub points_min: usize,
    pub out: &'a mut [Estimates; 2],
    pub work: &'a mut GapSums,
}

impl Work for FillBoth<'_> {
    type Out = ();

    #[inline(always)]
    fn run(self) {
        let [forward, backward] = self.out;
        forward.fill(self.a, self.b, self.forward, self.points_min, self.work);
        backward.fill(self.b, self.a, self.backward, self.points_min, self.work);
    }
}

/// Greatest |estimate| over all lags, greatest sine of the angle by which one can be off, and whether an estimate is
/// known at every lag.
pub(crate) struct Reach<'a>(pub &'a Estimates);

impl Work for Reach<'_> {
    type Out = (f64, f64, bool);

    #[inline(always)]
    fn run(self) -> (f64, f64, bool) {
        let all = self.0;
        let (mut reach, mut sine, mut known) = (0.0, 0.0, true);
        for ((r, sin), cos) in all.r.iter().zip(&all.sin).zip(&all.cos) {
            reach = most(reach, r.abs());
            sine = most(sine, *sin);
            known &= !r.is_nan() & (*cos > 0.0);
        }
        (reach, sine, known)
    }
}

/// The lags from `from` on at which |r| may be as great as the cut.
pub(crate) struct LagsReaching<'a> {
    pub estimates: &'a Estimates,
    pub from: usize,
    pub cut: Cut,
}

impl Work for LagsReaching<'_> {
    type Out = Vec<usize>;

    #[inline(always)]
    fn run(self) -> Vec<usize> {
        let (all, cut) = (self.estimates, self.cut);
        let mut out = Vec::new();
        for first in (self.from..all.r.len()).step_by(16) {
            let block = first..(first + 16).min(all.r.len());
            // all of a block at once; most blocks have none
            if block.clone().fold(false, |any, lag| any | all.may_reach(lag, cut)) {
                out.extend(block.filter(|lag| all.may_reach(*lag, cut)));
            }
        }
        out
    }
}

/// Whether there is a lag from `from` on at which |r| may be as great as the cut.
pub(crate) struct AnyReaching<'a> {
    pub estimates: &'a Estimates,
    pub from: usize,
    pub cut: Cut,
}

impl Work for AnyReaching<'_> {
    type Out = bool;

    #[inline(always)]
    fn run(self) -> bool {
        (self.from..self.estimates.r.len()).fold(false, |any, lag| any | self.estimates.may_reach(lag, self.cut))
    }
}

/// The lag with the greatest |estimate| from `from` on, and the estimate; `None` if none is defined.
pub(crate) struct Greatest<'a> {
    pub estimates: &'a Estimates,
    pub from: usize,
}

impl Work for Greatest<'_> {
    type Out = Option<(usize, f64)>;

    #[inline(always)]
    fn run(self) -> Option<(usize, f64)> {
        let estimates = &self.estimates.r[self.from..];
        let mut lanes = [0.0_f64; 8];
        let (blocks, rest) = estimates.as_chunks::<8>();
        for block in blocks {
            for (lane, r) in lanes.iter_mut().zip(block) {
                // not NaN, which is greater than nothing
                *lane = if r.abs() > *lane { r.abs() } else { *lane };
            }
        }
        let most = lanes.into_iter().chain(rest.iter().map(|r| r.abs())).fold(0.0, f64::max);
        let lag = estimates.iter().position(|r| r.abs() == most)?;
        Some((self.from + lag, most))
    }
}
