//! Pearson's r of a pair at every lag: contiguous arrays and loops over neighbouring lags that the compiler vectorises.

use super::params::MetricParams;
use super::series::Prepared;
use super::stats::varies;

/// Neighbouring lags computed together, each with its own sum: every sum still adds its products from oldest to newest,
/// so a block gives the same bits as one lag at a time.
const BLOCK: usize = 16;

/// `out[o]` = sum over k of `y[k] * x[o + k]`.
fn sliding_dots(x: &[f64], y: &[f64], out: &mut [f64]) {
    let mut offset = 0;
    while offset + BLOCK <= out.len() {
        let mut sums = [0.0_f64; BLOCK];
        let ahead = &x[offset..offset + y.len() + BLOCK - 1];
        for (factor, near) in y.iter().zip(ahead.windows(BLOCK)) {
            for (sum, value) in sums.iter_mut().zip(near) {
                *sum += factor * value;
            }
        }
        out[offset..offset + BLOCK].copy_from_slice(&sums);
        offset += BLOCK;
    }
    for start in offset..out.len() {
        out[start] = y.iter().zip(&x[start..]).map(|(a, b)| a * b).fold(0.0, |sum, product| sum + product);
    }
}

/// Space for the sums of one pair, used again for the next.
#[derive(Debug, Default)]
pub struct Workspace {
    sums: [Vec<f64>; 6],
}

/// r of `source` shifted back by 0, 1, … lags against `target`'s window; NaN where fewer than four fifths of the window are
/// observed in both or one side does not move.
pub fn correlate_lags(source: &Prepared, target: &Prepared, work: &mut Workspace, out: &mut Vec<f64>) {
    let (window, lags) = (target.window, target.lag_max() + 1);
    let tail = |values: &'_ Vec<f64>| -> std::ops::Range<usize> { values.len() - window..values.len() };
    let range = tail(&target.filled);
    let (y, y_mask, y_squared) = (&target.filled[range.clone()], &target.mask[range.clone()], &target.squared[range]);
    let [xy, n, sx, sxx, sy, syy] = &mut work.sums;
    for sums in [&mut *xy, &mut *n, &mut *sx, &mut *sxx, &mut *sy, &mut *syy] {
        sums.resize(lags, 0.0);
    }
    sliding_dots(&source.filled, y, xy);
    out.clear();
    out.resize(lags, f64::NAN);
    if source.complete && target.complete {
        let (mean_y, yy) = target.moments[lags - 1];
        for (offset, (mean_x, xx)) in source.moments.iter().enumerate() {
            if *xx > 0.0 && yy > 0.0 {
                out[lags - 1 - offset] = (xy[offset] - window as f64 * mean_x * mean_y) / (xx.sqrt() * yy.sqrt());
            }
        }
        return;
    }
    if source.complete {
        n.fill(y_mask.iter().sum());
        sy.fill(y.iter().sum());
        syy.fill(y_squared.iter().sum());
    } else {
        sliding_dots(&source.mask, y_mask, n);
        sliding_dots(&source.mask, y, sy);
        sliding_dots(&source.mask, y_squared, syy);
    }
    sliding_dots(&source.filled, y_mask, sx);
    sliding_dots(&source.squared, y_mask, sxx);
    let needed = MetricParams::points_needed(window) as f64;
    for offset in 0..lags {
        let n = n[offset];
        if n < needed {
            continue;
        }
        let xx = sxx[offset] - sx[offset] * sx[offset] / n;
        let yy = syy[offset] - sy[offset] * sy[offset] / n;
        if varies(xx, sxx[offset]) && varies(yy, syy[offset]) {
            out[lags - 1 - offset] = (xy[offset] - sx[offset] * sy[offset] / n) / (xx.sqrt() * yy.sqrt());
        }
    }
}
