//! One pair at one instant: its best lag, its mirror, its p-value, and the guards that need only the two series.

use super::lags::{Workspace, correlate_lags};
use super::params::{MetricParams, STANDS};
use super::row::Explained;
use super::series::{Judged, Level, Prepared};
use super::stats::{effective_points, p_value, pearson, pearson_without_largest};

/// |r| this close to each other count as equal; the shorter lag is taken, so that rounding never decides.
const TIE: f64 = 1e-9;
/// Slots whose products are omitted to test the influence of a few.
const INFLUENTIAL: usize = 3;
/// Parts of the window in which a relation is tested again.
const PARTS: usize = 4;
/// |r| at which it is seen again in a part, and the parts in which it must be.
const PART_STANDS: f64 = 0.5;
const PARTS_NEEDED: usize = 2;

/// One direction of a pair that is strong enough to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Whether the first series of the pair is the source.
    pub forward: bool,
    /// Best lag in steps.
    pub lag: usize,
    /// Range of lags around it, in steps, signed along the direction.
    pub lag_range: (i64, i64),
    /// Pearson's r of the raw values.
    pub r: f64,
    /// Pearson's r of the clamped values; 0 when they do not move.
    pub clamped_r: f64,
    /// Slots compared.
    pub points: usize,
    /// Independent points they are worth.
    pub effective: f64,
    /// The coefficient that was judged: without the daily profile, or of differences.
    pub judged_r: f64,
    /// Chance of as strong a relation at any lag.
    pub p: f64,
    /// Whether the other direction is stronger.
    pub mirror: bool,
    /// What else explains it.
    pub explained: Option<Explained>,
}

/// The result of one pair.
#[derive(Clone, Debug, PartialEq)]
pub struct PairResult {
    /// p-value of the best lag: the pair's member in the family of tests.
    pub p: f64,
    /// The stronger direction, then its mirror; empty below the leave threshold.
    pub found: Vec<Found>,
}

/// A relation judged at one lag.
struct Verdict {
    p: f64,
    effective: f64,
    /// The coefficient that `p` is of; 0 when a side does not move.
    judged_r: f64,
    /// r without the daily profile, if it is known for both.
    adjusted_r: Option<f64>,
}

fn r_between(
    source: &Prepared,
    target: &Prepared,
    pick: impl Fn(&Prepared) -> &Judged,
    lag: usize,
) -> Option<(f64, usize)> {
    let (x, y) = (pick(source), pick(target));
    pearson(source.window_of(&x.values, lag), target.window_of(&y.values, 0))
}

/// p-value on the values to be judged: without the daily profile where both have one, differenced where one drifts.
fn judge(source: &Prepared, target: &Prepared, lag: usize) -> Verdict {
    let window = target.window;
    let needed = MetricParams::points_needed(window);
    let adjusted = match (&source.adjusted, &target.adjusted) {
        (Some(x), Some(y)) => pearson(source.window_of(&x.level.values, lag), target.window_of(&y.level.values, 0))
            .filter(|(_, n)| *n >= needed)
            .map(|(r, _)| (r, x, y)),
        _ => None,
    };
    let (x, y): (&Level, &Level) = adjusted.map_or((&source.clamped, &target.clamped), |(_, x, y)| (x, y));
    // slower than a tenth of the window: its level says nothing, only its changes do
    let drifts = x.level.time.max(y.level.time) > window as f64 / 10.0;
    let (x, y) = if drifts { (&x.differences, &y.differences) } else { (&x.level, &y.level) };
    let lags = 2 * target.lag_max() + 1;
    let (p, effective, judged_r) = match pearson(source.window_of(&x.values, lag), target.window_of(&y.values, 0)) {
        Some((r, n)) => {
            let effective = effective_points(&x.acf, &y.acf, window, n);
            (p_value(r, effective, lags), effective, r)
        }
        None => (1.0, 3.0, 0.0),
    };
    Verdict { p, effective, judged_r, adjusted_r: adjusted.map(|(r, _, _)| r) }
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
/// Positive lags: `a` leads. A second direction is reported only if it has its own peak, not if it is the shoulder of
/// the first.
pub fn correlate(a: &Prepared, b: &Prepared, params: &MetricParams, work: &mut Workspace) -> Option<PairResult> {
    let lag_max = a.lag_max();
    let (mut ab, mut ba) = (Vec::new(), Vec::new());
    correlate_lags(a, b, work, &mut ab);
    correlate_lags(b, a, work, &mut ba);
    let at = |lag: i64| if lag >= 0 { ab[lag as usize] } else { ba[lag.unsigned_abs() as usize] };
    let best = best_of(by_length(lag_max).collect::<Vec<_>>().into_iter(), at)?;

    let look = |lag: i64, mirror: bool, p_least: f64| -> Option<(f64, Option<Found>)> {
        let forward = lag >= 0;
        let (source, target) = if forward { (a, b) } else { (b, a) };
        let steps = lag.unsigned_abs() as usize;
        let (r, points) = pearson(source.window_of(&source.raw, steps), target.window_of(&target.raw, 0))?;
        let verdict = judge(source, target, steps);
        let p = verdict.p.max(p_least);
        if r.abs() < params.leave() {
            return Some((p, None));
        }
        let clamped_r = r_between(source, target, |s| &s.clamped.level, steps).map_or(0.0, |(r, _)| r);
        let explained = if rests_on_few(source, target, steps, r, clamped_r) {
            Some(Explained::FewPoints)
        } else if verdict.adjusted_r.is_some_and(|adjusted| adjusted * r.signum() < STANDS) {
            Some(Explained::DailyCycle)
        } else {
            None
        };
        let (low, high) = peak_range(lag, lag_max as i64, 1.0 / verdict.effective.sqrt(), at);
        let lag_range = if forward { (low, high) } else { (-high, -low) };
        let (effective, judged_r) = (verdict.effective, verdict.judged_r);
        let lag = steps;
        Some((
            p,
            Some(Found { forward, lag, lag_range, r, clamped_r, points, effective, judged_r, p, mirror, explained }),
        ))
    };

    let (p, primary) = look(best, false, 0.0)?;
    let mut found: Vec<Found> = primary.into_iter().collect();
    if !found.is_empty() {
        let way = if best > 0 { -1 } else { best.signum().abs() * 2 - 1 };
        let opposite = (1..=lag_max as i64).map(|lag| lag * way);
        if let Some(lag) = best_of(opposite, at) {
            let nearer = at(lag - way).abs();
            if nearer.is_nan() || at(lag).abs() >= nearer {
                found.extend(look(lag, true, p).and_then(|(_, mirror)| mirror));
            }
        }
    }
    Some(PairResult { p, found })
}
