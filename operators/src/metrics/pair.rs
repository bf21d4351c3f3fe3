//! One pair at one instant: where its |r| has its peaks, and what is measured at one lag.

use super::params::{MetricParams, STANDS};
use super::row::{Explained, Worth};
use super::series::{Judged, Level, Prepared};
use super::stats::{effective_points, evenness, pearson, pearson_without_largest, pearsons};
use kernels::{Pair, Side};
use model::real::Real;

/// |r| this close to each other count as equal; the shorter lag is taken, so that rounding never decides.
pub const TIE: f64 = 1e-9;
/// A lag whose |r| is this close to the peak stands for it.
pub const NEAR: f64 = 0.01;
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
    pub fn effective(&self) -> f64 {
        if self.drifts { self.differences.effective_points.0 } else { self.level.effective_points.0 }
    }
}

/// r of two judged series at a lag, and their slots in common.
fn pearson_of(source: &Prepared, target: &Prepared, x: &Judged, y: &Judged, lag: usize) -> Option<(f64, usize)> {
    pearson(source.window_of(&x.values, lag), target.window_of(&y.values, 0))
}

fn worth(x: &Judged, y: &Judged, window: usize, found: Option<(f64, usize)>) -> Worth {
    let (r, effective) = match found {
        Some((r, n)) => {
            let even = effective_points(x.acf(), y.acf(), window, n) * evenness(x.kurtosis(), y.kurtosis());
            (r, even.max(3.0))
        }
        None => (0.0, 3.0),
    };
    Worth { coefficient: Real(r), effective_points: Real(effective) }
}

/// The levels on which a pair is judged at a lag, and what `pearson` says of them.
struct Judging<'a> {
    x: &'a Level,
    y: &'a Level,
    found: Option<(f64, usize)>,
}

impl<'a> Judging<'a> {
    fn of(source: &'a Prepared, target: &'a Prepared, lag: usize) -> Judging<'a> {
        let (of_source, of_target) = (source.judgement(), target.judgement());
        if let (Some(x), Some(y)) = (of_source.adjusted(), of_target.adjusted()) {
            let found = pearson_of(source, target, &x.level, &y.level, lag);
            if found.is_some_and(|(_, n)| n >= MetricParams::points_needed(target.window)) {
                return Judging { x, y, found };
            }
        }
        let (x, y) = (&of_source.clamped, &of_target.clamped);
        Judging { x, y, found: pearson_of(source, target, &x.level, &y.level, lag) }
    }

    /// Slower than a tenth of the window: its level says nothing, only its changes do.
    fn drifts(&self, window: usize) -> bool {
        self.x.level.time().max(self.y.level.time()) > window as f64 / 10.0
    }

    fn level(&self, window: usize) -> Worth {
        worth(&self.x.level, &self.y.level, window, self.found)
    }

    fn differences(&self, source: &Prepared, target: &Prepared, lag: usize) -> Worth {
        let (x, y) = (self.x.differences(), self.y.differences());
        worth(x, y, target.window, pearson_of(source, target, x, y, lag))
    }
}

/// Everything that `pearson` says of a pair at one lag.
struct Coefficients<'a> {
    raw: Option<(f64, usize)>,
    clamped: Option<(f64, usize)>,
    /// Of the levels on which it is judged, which are without their profile if `is_adjusted`, and of their differences.
    judging: Judging<'a>,
    is_adjusted: bool,
    differences: Option<(f64, usize)>,
}

impl<'a> Coefficients<'a> {
    fn of(source: &'a Prepared, target: &'a Prepared, lag: usize) -> Coefficients<'a> {
        let (of_source, of_target) = (source.judgement(), target.judgement());
        let both = |x: &'a [f64], y: &'a [f64]| [source.window_of(x, lag), target.window_of(y, 0)];
        let of_raw = both(&source.raw, &target.raw);
        let (x, y) = (&of_source.clamped, &of_target.clamped);
        let of_clamped = both(&x.level.values, &y.level.values);
        if let (Some(x), Some(y)) = (of_source.adjusted(), of_target.adjusted()) {
            let of_adjusted = both(&x.level.values, &y.level.values);
            let of_differences = both(&x.differences().values, &y.differences().values);
            let [raw, clamped, found, differences] = pearsons([of_raw, of_clamped, of_adjusted, of_differences]);
            if found.is_some_and(|(_, n)| n >= MetricParams::points_needed(target.window)) {
                return Coefficients { raw, clamped, judging: Judging { x, y, found }, is_adjusted: true, differences };
            }
        }
        let of_differences = both(&x.differences().values, &y.differences().values);
        let [raw, clamped, differences] = pearsons([of_raw, of_clamped, of_differences]);
        let judging = Judging { x, y, found: clamped };
        Coefficients { raw, clamped, judging, is_adjusted: false, differences }
    }
}

/// r of the raw values, and the slots in common; `None` where too little is observed in both or one does not move.
fn raw_r(source: &Prepared, target: &Prepared, lag: usize) -> Option<(f64, usize)> {
    let found = pearson(source.window_of(&source.raw, lag), target.window_of(&target.raw, 0));
    found.filter(|(_, points)| *points >= MetricParams::points_needed(target.window))
}

/// The relation of `source` and `target` at one lag; `None` where too little is observed in both or one does not move.
fn measure_directed(source: &Prepared, target: &Prepared, lag: usize, params: &MetricParams) -> Option<Measured> {
    let window = target.window;
    let Coefficients { raw, clamped, judging, is_adjusted, differences } = Coefficients::of(source, target, lag);
    let (r, points) = raw.filter(|(_, points)| *points >= MetricParams::points_needed(window))?;
    let clamped_r = clamped.map_or(0.0, |(clamped_r, _)| clamped_r);
    let adjusted_r = judging.found.filter(|_| is_adjusted).map(|(r, _)| r);
    let explained = if r.abs() < params.leave() {
        None
    } else if rests_on_few(source, target, lag, r, clamped_r) {
        Some(Explained::FewPoints)
    } else if adjusted_r.is_some_and(|adjusted_r| adjusted_r * r.signum() < STANDS) {
        Some(Explained::DailyCycle)
    } else {
        None
    };
    Some(Measured {
        r,
        points,
        clamped_r,
        level: judging.level(window),
        differences: worth(judging.x.differences(), judging.y.differences(), window, differences),
        drifts: judging.drifts(window),
        explained,
    })
}

/// Source, target and steps of a signed lag.
fn directed<'a>(a: &'a Prepared, b: &'a Prepared, lag: i64) -> (&'a Prepared, &'a Prepared, usize) {
    let (source, target) = if lag >= 0 { (a, b) } else { (b, a) };
    (source, target, lag.unsigned_abs() as usize)
}

/// The pair at one lag, positive or 0 where `a` leads.
pub fn measure(a: &Prepared, b: &Prepared, lag: i64, params: &MetricParams) -> Option<Measured> {
    let (source, target, steps) = directed(a, b, lag);
    measure_directed(source, target, steps, params)
}

/// Independent points of the pair at one lag, as [`Measured::effective`] has them.
fn effective(a: &Prepared, b: &Prepared, lag: i64) -> f64 {
    let (source, target, steps) = directed(a, b, lag);
    let judging = Judging::of(source, target, steps);
    let is_drifting = judging.drifts(target.window);
    let worth = if is_drifting { judging.differences(source, target, steps) } else { judging.level(target.window) };
    worth.effective_points.0
}

/// Whether the relation rests on a few slots: on the three of largest product, on values beyond six robust sigmas, or on
/// a single quarter of the window.
fn rests_on_few(source: &Prepared, target: &Prepared, lag: usize, r: f64, clamped_r: f64) -> bool {
    let (x, y) = (source.window_of(&source.raw, lag), target.window_of(&target.raw, 0));
    if clamped_r * r.signum() < STANDS || pearson_without_largest(x, y, INFLUENTIAL) * r.signum() < STANDS {
        return true;
    }
    let (x, y) = (
        source.window_of(&source.judgement().clamped.level.values, lag),
        target.window_of(&target.judgement().clamped.level.values, 0),
    );
    let of_part = |part: usize| {
        let range = part * x.len() / PARTS..(part + 1) * x.len() / PARTS;
        [&x[range.clone()], &y[range]]
    };
    let parts: [[&[f64]; 2]; PARTS] = std::array::from_fn(of_part);
    let is_even = x.len().is_multiple_of(PARTS);
    let found = if is_even { pearsons(parts) } else { parts.map(|[x, y]| pearson(x, y)) };
    let seen = found.iter().flatten().filter(|(part_r, _)| part_r * r.signum() >= PART_STANDS);
    seen.count() < PARTS_NEEDED
}

/// Range of lags around `best` in which |r| stays within `slack` of its peak.
fn peak_range(pair: &Pair<'_>, best: i64, floor: f64) -> (i64, i64) {
    let walk = |step: i64| {
        let mut lag = best;
        while (lag + step).abs() <= pair.lag_max() && pair.is_above(lag + step, floor) {
            lag += step;
        }
        lag
    };
    (walk(-1), walk(1))
}

/// The peaks of a pair of which the integer sums are known: the stronger direction, then the other if it has its own peak.
///
/// A second direction is reported only if it has its own peak, not if it is the shoulder of the first.
pub fn peaks(pair: &Pair<'_>, a: &Prepared, b: &Prepared, params: &MetricParams) -> Vec<Peak> {
    let leave = params.leave();
    let peak = |lag: i64, at: f64| -> Option<Peak> {
        let (source, target, steps) = directed(a, b, lag);
        let (r, points) = raw_r(source, target, steps).filter(|(r, _)| r.abs() >= leave)?;
        let within = |slack: f64| peak_range(pair, lag, at.abs() - slack);
        let (range, near) = (within(1.0 / effective(a, b, lag).sqrt()), within(NEAR));
        Some(Peak { lag, r, points, range, near })
    };
    // at most a tie below: the sums of the screen differ from the exact r in the last bits
    let Some(best) = pair.best_of(Side::Both, leave) else { return Vec::new() };
    let mut peaks = Vec::from_iter(peak(best.lag, best.r));
    if !peaks.is_empty() {
        let (side, way) = if best.lag >= 0 { (Side::Second, -1) } else { (Side::First, 1) };
        if let Some(other) = pair.best_of(side, leave)
            && pair.r(other.lag - way).is_none_or(|nearer| other.r.abs() >= nearer.abs())
        {
            peaks.extend(peak(other.lag, other.r));
        }
    }
    peaks
}
