//! The correlation itself, in f64: the definition, and the same from prepared series.

pub use crate::moments::varies;
use crate::moments::{moments, sum};
use crate::series::Series;
use crate::wide::Work;

/// Pearson's r of the slots in which both are observed (not NaN), and their number. Two passes, oldest first: means, then
/// sums about them. `None` with fewer than three slots or when one side does not move.
///
/// ```
/// use coral_kernels::exact::pearson;
/// let (r, points) = pearson(&[1.0, 2.0, 3.0, f64::NAN], &[2.0, 4.0, 6.0, 1.0]).unwrap();
/// assert!((r - 1.0).abs() < 1e-12 && points == 3);
/// assert!(pearson(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]).is_none());
/// ```
pub fn pearson(x: &[f64], y: &[f64]) -> Option<(f64, usize)> {
    pearson_of(x.iter().zip(y).filter(|(a, b)| !a.is_nan() && !b.is_nan()).map(|(a, b)| (*a, *b)))
}

fn pearson_of(both: impl Iterator<Item = (f64, f64)> + Clone) -> Option<(f64, usize)> {
    let (mut n, mut sum_x, mut sum_y) = (0_usize, 0.0, 0.0);
    for (a, b) in both.clone() {
        n += 1;
        sum_x += a;
        sum_y += b;
    }
    if n < 3 {
        return None;
    }
    let (mean_x, mean_y) = (sum_x / n as f64, sum_y / n as f64);
    let (mut xx, mut yy, mut xy, mut raw_x, mut raw_y) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (a, b) in both {
        let (dx, dy) = (a - mean_x, b - mean_y);
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
        raw_x += a * a;
        raw_y += b * b;
    }
    if !varies(xx, raw_x) || !varies(yy, raw_y) {
        return None;
    }
    let r = xy / (xx.sqrt() * yy.sqrt());
    r.is_finite().then_some((r.clamp(-1.0, 1.0), n))
}

/// [`pearson`] of the source's window `lag` slots back with the target's, bit for bit; `None` also with fewer than
/// `points_min` common slots.
pub(crate) fn published(source: &Series, target: &Series, lag: usize, points_min: usize) -> Option<(f64, usize)> {
    let slots = (0..target.window).rev();
    let observed = slots.filter(|k| source.mask[lag + k] > 0.0 && target.mask[*k] > 0.0);
    pearson_of(observed.map(|k| (source.values[lag + k], target.values[k]))).filter(|(_, n)| *n >= points_min)
}

/// As [`published`], added up in another order: the same number to within rounding, several times as fast.
pub(crate) struct Evaluate<'a> {
    pub source: &'a Series,
    pub target: &'a Series,
    pub lag: usize,
    pub points_min: usize,
}

impl Work for Evaluate<'_> {
    type Out = Option<f64>;

    #[inline(always)]
    fn run(self) -> Option<f64> {
        let Evaluate { source, target, lag, points_min } = self;
        let window = target.window;
        let (x, y) = (&source.values[lag..lag + window], &target.values[..window]);
        if source.is_complete() && target.is_complete() {
            if window < points_min.max(3) {
                return None;
            }
            let ((mean_x, xx), (mean_y, yy)) = (moments(x), target.whole.moments);
            if xx <= 0.0 || yy <= 0.0 {
                return None;
            }
            let xy = sum([x, y], |[x, y]| (x - mean_x) * (y - mean_y));
            return finite(xy / (xx.sqrt() * yy.sqrt()));
        }
        let (in_x, in_y) = (&source.mask[lag..lag + window], &target.mask[..window]);
        let n = sum([in_x, in_y], |[in_x, in_y]| in_x * in_y);
        if n < points_min.max(3) as f64 {
            return None;
        }
        let mean_x = sum([x, in_y], |[x, in_y]| x * in_y) / n;
        let mean_y = sum([y, in_x], |[y, in_x]| y * in_x) / n;
        let xx = sum([x, in_x, in_y], |[x, in_x, in_y]| (x - mean_x) * (x - mean_x) * (in_x * in_y));
        let yy = sum([y, in_x, in_y], |[y, in_x, in_y]| (y - mean_y) * (y - mean_y) * (in_x * in_y));
        let xy = sum([x, y, in_x, in_y], |[x, y, in_x, in_y]| (x - mean_x) * (y - mean_y) * (in_x * in_y));
        let raw_x = sum([x, in_y], |[x, in_y]| x * x * in_y);
        let raw_y = sum([y, in_x], |[y, in_x]| y * y * in_x);
        if !varies(xx, raw_x) || !varies(yy, raw_y) {
            return None;
        }
        finite(xy / (xx.sqrt() * yy.sqrt()))
    }
}

#[inline(always)]
fn finite(r: f64) -> Option<f64> {
    r.is_finite().then_some(r.clamp(-1.0, 1.0))
}
