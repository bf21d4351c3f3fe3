//! The correlation itself, in f64: the definition, and the same from prepared series.

use crate::series::Series;

/// A sum of squares about the mean this small beside the sum of squares is rounding: the series does not move.
const RELATIVE_VARIANCE_MIN: f64 = 1e-12;

/// Whether a sum of squares about the mean, out of a sum of squares `raw`, is more than rounding.
pub fn varies(about_mean: f64, raw: f64) -> bool {
    about_mean > RELATIVE_VARIANCE_MIN * raw
}

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
pub fn published(source: &Series, target: &Series, lag: usize, points_min: usize) -> Option<(f64, usize)> {
    let slots = (0..target.window).rev();
    let observed = slots.filter(|k| source.mask[lag + k] > 0.0 && target.mask[*k] > 0.0);
    pearson_of(observed.map(|k| (source.values[lag + k], target.values[k]))).filter(|(_, n)| *n >= points_min)
}

/// Sums kept side by side, so that vectors of any width add in the same order.
const LANES: usize = 8;

/// The sums over `n` slots of what `at` gives for a slot.
#[inline(always)]
fn sums<const N: usize>(n: usize, at: impl Fn(usize) -> [f64; N]) -> [f64; N] {
    let mut lanes = [[0.0; LANES]; N];
    let whole = n - n % LANES;
    for from in (0..whole).step_by(LANES) {
        for lane in 0..LANES {
            for (sum, value) in lanes.iter_mut().zip(at(from + lane)) {
                sum[lane] += value;
            }
        }
    }
    for slot in whole..n {
        for (sum, value) in lanes.iter_mut().zip(at(slot)) {
            sum[slot - whole] += value;
        }
    }
    lanes.map(|sum| sum.iter().sum())
}

/// Mean and sum of squares about it for every window of values without a gap; 0 where the sum is no more than rounding.
pub(crate) fn window_moments(values: &[f64], window: usize) -> Vec<(f64, f64)> {
    values
        .windows(window)
        .map(|slice| {
            let [sum] = sums(window, |k| [slice[k]]);
            let mean = sum / window as f64;
            let [about, raw] = sums(window, |k| [(slice[k] - mean) * (slice[k] - mean), slice[k] * slice[k]]);
            (mean, if varies(about, raw) { about } else { 0.0 })
        })
        .collect()
}

/// As [`published`], added up in another order: the same number to within rounding, several times as fast.
pub fn evaluate(source: &Series, target: &Series, lag: usize, points_min: usize) -> Option<f64> {
    let window = target.window;
    let (x, y) = (&source.values[lag..lag + window], &target.values[..window]);
    if source.is_complete() && target.is_complete() {
        if window < points_min.max(3) {
            return None;
        }
        let ((mean_x, xx), (mean_y, yy)) = (source.whole.moments[lag], target.whole.moments[0]);
        if xx <= 0.0 || yy <= 0.0 {
            return None;
        }
        let [xy] = sums(window, |k| [(x[k] - mean_x) * (y[k] - mean_y)]);
        return finite(xy / (xx.sqrt() * yy.sqrt()));
    }
    let (in_x, in_y) = (&source.mask[lag..lag + window], &target.mask[..window]);
    let [n, sum_x, sum_y] = sums(window, |k| [in_x[k] * in_y[k], x[k] * in_y[k], y[k] * in_x[k]]);
    if n < points_min.max(3) as f64 {
        return None;
    }
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let [xx, yy, xy, raw_x, raw_y] = sums(window, |k| {
        let both = in_x[k] * in_y[k];
        let (dx, dy) = ((x[k] - mean_x) * both, (y[k] - mean_y) * both);
        [dx * dx, dy * dy, dx * dy, x[k] * x[k] * both, y[k] * y[k] * both]
    });
    if !varies(xx, raw_x) || !varies(yy, raw_y) {
        return None;
    }
    finite(xy / (xx.sqrt() * yy.sqrt()))
}

fn finite(r: f64) -> Option<f64> {
    r.is_finite().then_some(r.clamp(-1.0, 1.0))
}
