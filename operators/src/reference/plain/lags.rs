//! Pearson's r of a pair at every lag in f64, and its peaks: loops over neighbouring lags that the compiler vectorises.

use crate::metrics::grid::Track;
use crate::metrics::pair::{NEAR, PairResult, Peak, TIE, measure};
use crate::metrics::params::MetricParams;
use crate::metrics::series::Prepared;
use crate::metrics::stats::varies;

/// A series and what the sums over its lags need. All slices hold window + lag slots, oldest first.
#[derive(Clone, Debug)]
pub struct PlainSeries {
    /// The series.
    pub prepared: Prepared,
    /// Its values with 0 where missing.
    filled: Vec<f64>,
    /// `filled` squared.
    squared: Vec<f64>,
    /// 1 where observed, 0 where missing.
    mask: Vec<f64>,
    /// Whether nothing is missing.
    complete: bool,
    /// For each start of the window: mean and sum of squares about it. Filled when `complete`.
    moments: Vec<(f64, f64)>,
}

impl PlainSeries {
    /// As [`Prepared::new`].
    pub fn new(track: &Track, params: &MetricParams, step_ms: i64, at_ms: i64) -> Option<PlainSeries> {
        Some(PlainSeries::of(Prepared::new(track, params, step_ms, at_ms)?))
    }

    /// Of a series.
    pub fn of(prepared: Prepared) -> PlainSeries {
        let raw = &prepared.raw;
        let filled: Vec<f64> = raw.iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect();
        let mask: Vec<f64> = raw.iter().map(|v| if v.is_nan() { 0.0 } else { 1.0 }).collect();
        let complete = !raw.iter().any(|v| v.is_nan());
        let moments = if complete { window_moments(raw, prepared.window) } else { Vec::new() };
        let squared = filled.iter().map(|v| v * v).collect();
        PlainSeries { prepared, filled, squared, mask, complete, moments }
    }
}

/// Mean and sum of squares about it for every start of the window; the sum is 0 where the series does not move.
fn window_moments(values: &[f64], window: usize) -> Vec<(f64, f64)> {
    (0..=values.len() - window)
        .map(|start| {
            let slice = &values[start..start + window];
            let mean = slice.iter().sum::<f64>() / window as f64;
            let (mut about, mut raw) = (0.0, 0.0);
            for v in slice {
                about += (v - mean) * (v - mean);
                raw += v * v;
            }
            (mean, if varies(about, raw) { about } else { 0.0 })
        })
        .collect()
}

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
pub fn correlate_lags(source: &PlainSeries, target: &PlainSeries, work: &mut Workspace, out: &mut Vec<f64>) {
    let (window, lags) = (target.prepared.window, target.prepared.lag_max() + 1);
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

/// Signed lags in the order in which ties are broken: 0, 1, -1, 2, -2, …
fn by_length(lag_max: usize) -> impl Iterator<Item = i64> {
    std::iter::once(0).chain((1..=lag_max as i64).flat_map(|lag| [lag, -lag]))
}

/// The first of `lags` with maximum |r|.
fn best_of(lags: impl Iterator<Item = i64> + Clone, r: impl Fn(i64) -> f64) -> Option<i64> {
    let greatest = lags.clone().map(&r).filter(|r| !r.is_nan()).map(f64::abs).reduce(f64::max)?;
    lags.into_iter().find(|lag| r(*lag).abs() >= greatest - TIE)
}

/// Range of lags around `best` in which |r| stays within `slack` of its peak.
fn peak_range(best: i64, lag_max: i64, slack: f64, r: impl Fn(i64) -> f64) -> (i64, i64) {
    let floor = r(best).abs() - slack;
    let walk = |step: i64| {
        let mut lag = best;
        while (lag + step).abs() <= lag_max && r(lag + step).abs() > floor {
            lag += step;
        }
        lag
    };
    (walk(-1), walk(1))
}

/// Correlates two series at every lag, both ways. `None` when no lag has enough common slots or one side does not move.
///
/// A second direction is reported only if it has its own peak, not if it is the shoulder of the first.
pub fn correlate(a: &PlainSeries, b: &PlainSeries, params: &MetricParams, work: &mut Workspace) -> Option<PairResult> {
    let lag_max = a.prepared.lag_max();
    let (mut ab, mut ba) = (Vec::new(), Vec::new());
    correlate_lags(a, b, work, &mut ab);
    correlate_lags(b, a, work, &mut ba);
    let at = |lag: i64| if lag >= 0 { ab[lag as usize] } else { ba[lag.unsigned_abs() as usize] };
    let best = best_of(by_length(lag_max).collect::<Vec<_>>().into_iter(), at)?;

    let peak = |lag: i64| -> Option<Peak> {
        let measured =
            measure(&a.prepared, &b.prepared, lag, params).filter(|measured| measured.r.abs() >= params.leave())?;
        let within = |slack: f64| peak_range(lag, lag_max as i64, slack, at);
        let (range, near) = (within(1.0 / measured.effective().sqrt()), within(NEAR));
        Some(Peak { lag, r: measured.r, points: measured.points, range, near })
    };

    let mut peaks: Vec<Peak> = Vec::new();
    // the sliding sums differ from the exact r in the last bits
    if at(best).abs() >= params.leave() - TIE {
        peaks.extend(peak(best));
    }
    if !peaks.is_empty() {
        let way = if best > 0 { -1 } else { best.signum().abs() * 2 - 1 };
        let opposite = (1..=lag_max as i64).map(|lag| lag * way);
        if let Some(lag) = best_of(opposite, at) {
            let nearer = at(lag - way).abs();
            if at(lag).abs() >= params.leave() - TIE && (nearer.is_nan() || at(lag).abs() >= nearer) {
                peaks.extend(peak(lag));
            }
        }
    }
    Some(PairResult { step_ms: 0, peaks })
}
