//! Estimates of one direction of a pair from integer sums, each with how far it can be off.
//!
//! The proof is in the README. In short: values and levels, both about their means, enclose an angle whose sine is at most
//! the length of their difference over the length of the levels; angles on a sphere obey the triangle inequality; so the
//! angle whose cosine is r differs from the one whose cosine is the estimate by at most the sum of both series' angles.

use crate::gaps::{GapSums, common_sums};
use crate::series::{Angle, Series};

/// Room for the rounding of f64: of the estimate, its bound, and the evaluation that it is compared with.
pub const MARGIN: f64 = 1e-9;

/// Estimates at every lag from 0.
#[derive(Clone, Debug, Default)]
pub struct Estimates {
    /// The estimate; NaN where no correlation is defined, 0 where nothing is known of it.
    r: Vec<f64>,
    /// Sine and cosine of the angle by which it can be off; the cosine is at most 0 where nothing is known.
    sin: Vec<f64>,
    cos: Vec<f64>,
}

/// A bound on |r| below which a correlation is of no interest, ready to be compared with estimates.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    cos: f64,
    sin: f64,
}

impl Cut {
    /// Keeps whatever an f64 evaluation may find at or above `least`.
    pub fn new(least: f64) -> Cut {
        let cos = (least - MARGIN).clamp(0.0, 1.0);
        Cut { cos, sin: (1.0 - cos * cos).sqrt() }
    }
}

impl Estimates {
    /// Lags it holds, from 0.
    pub fn lags(&self) -> usize {
        self.r.len()
    }

    /// The estimate at a lag; `None` where no correlation is defined, 0 where nothing is known of it.
    pub fn estimate(&self, lag: usize) -> Option<f64> {
        let r = self.r[lag];
        (!r.is_nan()).then_some(r)
    }

    /// The least and the greatest value that r can have at a lag; `None` where no correlation is defined.
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
    #[inline]
    pub fn may_reach(&self, lag: usize, cut: Cut) -> bool {
        // cos(acos(cut) + angle); below 0 once the two exceed a right angle, which every estimate reaches
        self.r[lag].abs() >= cut.cos * self.cos[lag] - cut.sin * self.sin[lag]
    }

    /// Fills in one direction: `dots[l]` is the sum of products of the source's levels `l` slots back with the target's.
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

    fn fill_whole(&mut self, source: &Series, target: &Series, dots: &[i32]) {
        let (x, y) = (&source.whole, &target.whole);
        let window = target.window as f64;
        let (sum_y, scale_y) = (f64::from(target.windows.sum[0]), y.scale[0]);
        let (sin_y, cos_y) = (y.sin[0], y.cos[0]);
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

    fn fill_with_gaps(&mut self, source: &Series, target: &Series, dots: &[i32], points_min: usize, sums: &GapSums) {
        if target.windows.still[0] {
            return;
        }
        for (lag, dot) in dots.iter().enumerate() {
            let n = f64::from(sums.count[lag]);
            if n < points_min as f64 || source.windows.still[lag] {
                continue;
            }
            let (sum_x, sum_y) = (f64::from(sums.source[lag]), f64::from(sums.target[lag]));
            let spread_x = n * f64::from(sums.source_squares[lag]) - sum_x * sum_x;
            let spread_y = n * f64::from(sums.target_squares[lag]) - sum_y * sum_y;
            let angle_x = Angle::new(source.windows.energy[lag], spread_x / n);
            let angle_y = Angle::new(target.windows.energy[0], spread_y / n);
            let known = !angle_x.says_nothing() && !angle_y.says_nothing();
            let product = n * f64::from(*dot) - sum_x * sum_y;
            let angle = angle_x.plus(angle_y);
            self.r[lag] = if known { product / (spread_x.sqrt() * spread_y.sqrt()) } else { 0.0 };
            (self.sin[lag], self.cos[lag]) = (angle.sin, angle.cos);
        }
    }
}
