//! One pair at one instant: where its |r| has its peaks, and what is measured at one lag.

use super::lags::{Workspace, correlate_lags};
use super::params::{MetricParams, STANDS};
use super::row::{Explained, Worth};
use super::series::{Judged, Level, Prepared};
use super::stats::{effective_points, pearson, pearson_without_largest};
use model::real::Real;

/// |r| this close to each other count as equal; the shorter lag is taken, so that rounding never decides.
pub const TIE: f64 = 1e-9;
/// A lag whose |r| is this close to the peak stands for it.
const NEAR: f64 = 0.01;
/// Slots whose products are omitted to test the influence of a few.
const INFLUENTIAL: usize = 3;
/// Parts of the window in which a relation is tested again.
const PARTS: usize = 4;
/// |r| at which it is seen again in a part, and the parts in which it must be.
const PART_STANDS: f64 = 0.5;
const PARTS_NEEDED: usize = 2;

/// A maximum of |r| over the lags of one direction, strong enough to be evaluated. Lags are in steps, positive or 0
/// where the first series of the pair leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The lag.
    pub lag: i64,
    /// Pearson's r of the raw values.
    pub r: f64,
    /// Slots compared.
    pub points: usize,
    /// Lags around it whose |r| is about as great, given the number of independent points; in ascending order.
    pub range: (i64, i64),
    /// Lags around it that stand for it.
    pub near: (i64, i64),
}

/// The result of one pair: the stronger direction, then the other if it has its own peak; empty below the leave
/// threshold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairResult {
    /// Step of the grid.
    pub step_ms: i64,
    /// At most one for each direction.
    pub peaks: Vec<Peak>,
}

/// A pair measured at one lag.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Pearson's r of the raw values.
    pub r: f64,
    /// Slots compared.
    pub points: usize,
    /// Pearson's r of the clamped values; 0 when they do not move.
    pub clamped_r: f64,
    /// The judged level.
    pub level: Worth,
    /// Its differences.
    pub differences: Worth,
    /// Whether a side drifts.
    pub drifts: bool,
    /// What else explains it, as far as the two series alone say.
    pub explained: Option<Explained>,
}

impl Measured {
    /// The effective points of what is believed in this window alone.
    fn effective(&self) -> f64 {
        if self.drifts { self.differences.effective_points.0 } else { self.level.effective_points.0 }
    }
}

fn worth(source: &Prepared, target: &Prepared, x: &Judged, y: &Judged, lag: usize) -> Worth {
    let (r, effective) = match pearson(source.window_of(&x.values, lag), target.window_of(&y.values, 0)) {
        Some((r, n)) => (r, effective_points(&x.acf, &y.acf, target.window, n)),
        None => (0.0, 3.0),
    };
    Worth { coefficient: Real(r), effective_points: Real(effective) }
}

/// The relation of `source` and `target` at one lag; `None` where too little is observed in both or one does not move.
fn measure_directed(source: &Prepared, target: &Prepared, lag: usize, params: &MetricParams) -> Option<Measured> {
    let window = target.window;
    let needed = MetricParams::points_needed(window);
    let (r, points) = pearson(source.window_of(&source.raw, lag), target.window_of(&target.raw, 0))?;
    if points < needed {
        return None;
    }
    let adjusted = match (&source.adjusted, &target.adjusted) {
        (Some(x), Some(y)) => pearson(source.window_of(&x.level.values, lag), target.window_of(&y.level.values, 0))
            .filter(|(_, n)| *n >= needed)
            .map(|(r, _)| (r, x, y)),
        _ => None,
    };
    let (x, y): (&Level, &Level) = adjusted.map_or((&source.clamped, &target.clamped), |(_, x, y)| (x, y));
    let clamped = (&source.clamped.level.values, &target.clamped.level.values);
    let clamped_r = pearson(source.window_of(clamped.0, lag), target.window_of(clamped.1, 0))
        .map_or(0.0, |(clamped_r, _)| clamped_r);
    let explained = if r.abs() < params.leave() {
        None
    } else if rests_on_few(source, target, lag, r, clamped_r) {
        Some(Explained::FewPoints)
    } else if adjusted.is_some_and(|(adjusted_r, _, _)| adjusted_r * r.signum() < STANDS) {
        Some(Explained::DailyCycle)
    } else {
        None
    };
    Some(Measured {
        r,
        points,
        clamped_r,
        level: worth(source, target, &x.level, &y.level, lag),
        differences: worth(source, target, &x.differences, &y.differences, lag),
        // slower than a tenth of the window: its level says nothing, only its changes do
        drifts: x.level.time.max(y.level.time) > window as f64 / 10.0,
        explained,
    })
}

/// The pair at one lag, positive or 0 where `a` leads.
pub fn measure(a: &Prepared, b: &Prepared, lag: i64, params: &MetricParams) -> Option<Measured> {
    let (source, target) = if lag >= 0 { (a, b) } else { (b, a) };
    measure_directed(source, target, lag.unsigned_abs() as usize, params)
}

/// Whether the relation rests on a few slots: on the three of largest product, on values beyond six robust sigmas, or on
/// a single quarter of the window.
fn rests_on_few(source: &Prepared, target: &Prepared, lag: usize, r: f64, clamped_r: f64) -> bool {
    let (x, y) = (source.window_of(&source.raw, lag), target.window_of(&target.raw, 0));
    if clamped_r * r.signum() < STANDS || pearson_without_largest(x, y, INFLUENTIAL) * r.signum() < STANDS {
        return true;
    }
    let (x, y) =
        (source.window_of(&source.clamped.level.values, lag), target.window_of(&target.clamped.level.values, 0));
    let seen_in = |part: usize| {
        let range = part * x.len() / PARTS..(part + 1) * x.len() / PARTS;
        pearson(&x[range.clone()], &y[range]).is_some_and(|(part_r, _)| part_r * r.signum() >= PART_STANDS)
    };
    (0..PARTS).filter(|part| seen_in(*part)).count() < PARTS_NEEDED
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
pub fn correlate(a: &Prepared, b: &Prepared, params: &MetricParams, work: &mut Workspace) -> Option<PairResult> {
    let lag_max = a.lag_max();
    let (mut ab, mut ba) = (Vec::new(), Vec::new());
    correlate_lags(a, b, work, &mut ab);
    correlate_lags(b, a, work, &mut ba);
    let at = |lag: i64| if lag >= 0 { ab[lag as usize] } else { ba[lag.unsigned_abs() as usize] };
    let best = best_of(by_length(lag_max).collect::<Vec<_>>().into_iter(), at)?;

    let peak = |lag: i64| -> Option<Peak> {
        let measured = measure(a, b, lag, params).filter(|measured| measured.r.abs() >= params.leave())?;
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
