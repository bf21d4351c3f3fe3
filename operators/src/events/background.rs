//! How often a window is hit by chance: the largest of five estimates (methods, section 2.2, step 4).
//!
//! (i) flat rate, (ii) hour of day with the minute of the hour of scheduled targets, (iii) the flanks of the window,
//! (iv) the mirrored lags, (v) the same time on other days. Estimates (i) to (iv) are rates, turned into a probability
//! by `1 - exp(-mu)`; (v) is a probability.

use crate::events::span::Span;
use crate::events::windows::{HitCounter, Window, Windows};
use libm::{cos, exp, sin, sqrt};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// Day shifts of estimate (v): days of another kind together, and whole weeks.
pub const DAY_SHIFTS: [&[i64]; 2] = [&[1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13], &[7, 14, 21, 28]];

/// A minute counts as scheduled beyond this (Rayleigh test at level 0.001 over six harmonics).
const SCHEDULED_POWER: f64 = 8.7;

/// Mirrored lags are used from this width on.
const MIRROR_WIDTH_MIN: u32 = 16;

const MINUTES_OF_DAY: usize = 1440;

/// Bounds of an accepted chance level.
const CHANCE_MIN: f64 = 1e-9;
const CHANCE_MAX: f64 = 0.999;

/// What estimate (ii) needs to know of a target type.
#[derive(Clone, Debug)]
pub struct TargetRate {
    /// Expected onsets between midnight and the start of each minute; runs on past midnight by the longest lag.
    cumulative: Vec<f64>,
}

impl TargetRate {
    /// Learns the rate of a target type from its onsets in `span`.
    ///
    /// ```
    /// use coral_operators::events::{background::TargetRate, span::Span};
    /// use model::time::{DAY_MS, TimeMs};
    /// let span = Span { origin: TimeMs(0), instant: TimeMs(10 * DAY_MS) };
    /// let daily: Vec<i64> = (0..10).map(|day| day * (DAY_MS + 7_777_777)).collect();
    /// let rate = TargetRate::learn(&daily, span, 240);
    /// // a day of the learnt rate holds about one onset
    /// assert!((rate.between(0, 1440) - 1.0).abs() < 1e-9);
    /// ```
    pub fn learn(targets: &[i64], span: Span, max_lag_min: u32) -> TargetRate {
        let hours = hour_profile(targets, span);
        let minutes = minute_factor(targets);
        let mut cumulative = Vec::with_capacity(MINUTES_OF_DAY + max_lag_min as usize + 1);
        let mut sum = 0.0;
        cumulative.push(sum);
        for minute in 0..MINUTES_OF_DAY + max_lag_min as usize {
            sum += hours[minute / 60 % 24] * minutes[minute % 60];
            cumulative.push(sum);
        }
        TargetRate { cumulative }
    }

    /// Expected onsets from one minute of the day to another.
    pub fn between(&self, from_min: usize, to_min: usize) -> f64 {
        self.cumulative[to_min] - self.cumulative[from_min]
    }
}

/// Targets per minute by hour of day: smoothed 1-2-1, shrunk towards the mean by two pseudo-days.
fn hour_profile(targets: &[i64], span: Span) -> [f64; 24] {
    let days = span.length_ms() as f64 / DAY_MS as f64;
    let mut counts = [0.0; 24];
    for at in targets {
        counts[(at.rem_euclid(DAY_MS) / HOUR_MS) as usize] += 1.0;
    }
    std::array::from_fn(|hour| {
        let smoothed = (counts[(hour + 23) % 24] + 2.0 * counts[hour] + counts[(hour + 1) % 24]) / 4.0;
        ((smoothed * days + targets.len() as f64 / 24.0 * 2.0) / (days + 2.0)) / (60.0 * days)
    })
}

/// Factor by minute of the hour: above 1 where a scheduled target concentrates, 1 everywhere when it is not scheduled.
fn minute_factor(targets: &[i64]) -> [f64; 60] {
    let count = targets.len() as f64;
    let power = |harmonic: i64| {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for at in targets {
            let turn = (at.rem_euclid(HOUR_MS) * harmonic).rem_euclid(HOUR_MS) as f64 / HOUR_MS as f64;
            let angle = 2.0 * std::f64::consts::PI * turn;
            real += cos(angle);
            imaginary += sin(angle);
        }
        (real * real + imaginary * imaginary) / count
    };
    if [1, 2, 3, 4, 6, 12].into_iter().all(|harmonic| power(harmonic) <= SCHEDULED_POWER) {
        return [1.0; 60];
    }
    let mut counts = [0.0; 60];
    for at in targets {
        counts[(at.rem_euclid(HOUR_MS) / MINUTE_MS) as usize] += 1.0;
    }
    let mean = count / 60.0;
    let prior = 3.0 * mean / (3.0 + mean);
    std::array::from_fn(|minute| {
        let here = counts[minute] + sqrt(counts[minute]);
        let around = (counts[(minute + 59) % 60] + counts[minute] + counts[(minute + 1) % 60]) / 3.0;
        ((here.max(around) + prior) / (mean + prior)).max(1.0)
    })
}

/// Signed lags of all pairs, counted on a grid of half minutes, for the flanks and mirrored windows.
#[derive(Clone, Debug)]
pub struct LagCounts {
    max_lag_half_min: i64,
    /// Lags below each grid point from minus to plus the longest lag.
    below: Vec<u32>,
    /// Lags exactly on each grid point.
    on: Vec<u32>,
}

impl LagCounts {
    /// Counts the lags `target - source` of no more than `max_lag_min` in either direction. Times must rise.
    pub fn count(sources: &[i64], targets: &[i64], max_lag_min: u32) -> LagCounts {
        let half_min = MINUTE_MS / 2;
        let reach_ms = i64::from(max_lag_min) * MINUTE_MS;
        let max_lag_half_min = i64::from(max_lag_min) * 2;
        let points = 2 * max_lag_half_min as usize + 1;
        let (mut below, mut on) = (vec![0; points + 1], vec![0; points]);
        let mut first = 0;
        for source in sources {
            while first < targets.len() && targets[first] - source < -reach_ms {
                first += 1;
            }
            for lag in targets[first..].iter().map(|target| target - source).take_while(|lag| *lag <= reach_ms) {
                let point = (lag + reach_ms).div_euclid(half_min) as usize;
                // it lies below every later point; on this one, or between this one and the next
                below[point + 1] += 1;
                if (lag + reach_ms) % half_min == 0 {
                    on[point] += 1;
                }
            }
        }
        let mut sum = 0;
        for count in &mut below {
            sum += *count;
            *count = sum;
        }
        LagCounts { max_lag_half_min, below, on }
    }

    fn point(&self, half_min: i64) -> usize {
        (half_min.clamp(-self.max_lag_half_min, self.max_lag_half_min) + self.max_lag_half_min) as usize
    }

    /// Lags in `[from, to)`.
    fn half_open(&self, from_half_min: i64, to_half_min: i64) -> u32 {
        self.below[self.point(to_half_min)] - self.below[self.point(from_half_min)]
    }

    /// Lags in `[from, to]`.
    fn closed(&self, from_half_min: i64, to_half_min: i64) -> u32 {
        let to = self.point(to_half_min);
        self.below[to] + self.on[to] - self.below[self.point(from_half_min)]
    }
}

/// The surroundings of a window without its close neighbourhood: lengths in half minutes.
struct Flank {
    outer: (i64, i64),
    inner: (i64, i64),
}

impl Flank {
    fn of(window: Window, max_lag_min: u32) -> Flank {
        let reach = i64::from(max_lag_min) * 2;
        let (start, end) = (i64::from(window.start_min) * 2, i64::from(window.end_min) * 2);
        let width = i64::from(window.width_min()) * 2;
        let margin = width + (4 * width).max(120);
        let clip = |half_min: i64| half_min.clamp(-reach, reach);
        Flank {
            outer: (clip(start - margin), clip(end + margin)),
            inner: (clip(start - width / 2), clip(end + width / 2)),
        }
    }

    fn length_min(&self) -> f64 {
        let half_min = (self.outer.1 - self.outer.0) - (self.inner.1 - self.inner.0);
        (half_min as f64 / 2.0).max(1.0)
    }
}

/// Chance level per window that holds however targets fall, as long as there are `target_count` of them:
/// estimate (i), and (iii), (iv), (v) with nothing counted. A lower bound of [`chance_levels`].
pub fn chance_floor(
    windows: &Windows,
    width: usize,
    source_count: usize,
    target_count: usize,
    moved: [usize; 2],
    span: Span,
) -> f64 {
    let n = source_count as f64;
    let width_min = windows.widths[width].width_min;
    let minutes = f64::from(width_min);
    let flat = minutes * target_count as f64 / (span.length_ms() as f64 / MINUTE_MS as f64);
    // no flank is longer than both sides in full
    let flank = minutes / (n * (minutes + 2.0 * (4.0 * minutes).max(60.0)).min(2.0 * f64::from(windows.max_lag_min)));
    let mirrored = if width_min >= MIRROR_WIDTH_MIN { 1.0 / n } else { 0.0 };
    let by_rate = 1.0 - exp(-flat.max(flank).max(mirrored));
    let by_day = moved.into_iter().filter(|seen| *seen > 0).map(|seen| 1.0 / (seen as f64 + 1.0)).fold(0.0, f64::max);
    by_rate.max(by_day).clamp(CHANCE_MIN, CHANCE_MAX)
}

/// The part of `sources`, moved by whole days, whose windows are observed; per group of [`DAY_SHIFTS`] the sum of all.
pub fn moved_counts(sources: &[i64], span: Span, max_lag_ms: i64) -> [usize; 2] {
    DAY_SHIFTS.map(|days| shifts(days).map(|shift| moved(sources, shift, span, max_lag_ms).len()).sum())
}

/// Both directions of every day shift, in milliseconds.
fn shifts(days: &[i64]) -> impl Iterator<Item = i64> {
    days.iter().flat_map(|days| [-days * DAY_MS, days * DAY_MS])
}

/// The sources that are still observed, with their windows, after a shift.
fn moved(sources: &[i64], shift_ms: i64, span: Span, max_lag_ms: i64) -> &[i64] {
    let low = sources.partition_point(|at| at + shift_ms < span.origin.0);
    let high = sources.partition_point(|at| at + shift_ms + max_lag_ms <= span.instant.0);
    if low < high { &sources[low..high] } else { &[] }
}

/// Counts, per window, the sources with a target inside it; sources are moved by `shift_ms` first. Times must rise.
pub fn count_hits(windows: &Windows, sources: &[i64], shift_ms: i64, targets: &[i64], hits: &mut HitCounter) {
    let max_lag_ms = windows.max_lag_ms();
    let mut first = sources.first().map_or(0, |source| targets.partition_point(|at| *at <= source + shift_ms));
    for source in sources.iter().map(|source| source + shift_ms) {
        while first < targets.len() && targets[first] <= source {
            first += 1;
        }
        hits.next_source();
        for lag in targets[first..].iter().map(|target| target - source).take_while(|lag| *lag < max_lag_ms) {
            hits.add(windows, lag, |_, _| ());
        }
    }
}

/// How many sources have a target at a lag inside `(start_ms, end_ms)`; lags may be negative. Times must rise.
pub fn count_hits_between(sources: &[i64], targets: &[i64], start_ms: i64, end_ms: i64) -> usize {
    let is_hit = |source: &&i64| {
        let next = targets.partition_point(|target| target - **source <= start_ms);
        targets.get(next).is_some_and(|target| target - **source < end_ms)
    };
    sources.iter().filter(is_hit).count()
}

/// The chance level of every window for eligible `sources` (not empty) and all observed `targets`.
pub fn chance_levels(
    windows: &Windows,
    sources: &[i64],
    targets: &[i64],
    rate: &TargetRate,
    span: Span,
    hits: &mut HitCounter,
) -> Vec<f64> {
    let n = sources.len() as f64;
    let lags = LagCounts::count(sources, targets, windows.max_lag_min);
    let seasonal = seasonal_sums(sources, rate, windows.max_lag_min);
    let targets_per_min = targets.len() as f64 / (span.length_ms() as f64 / MINUTE_MS as f64);
    let mut levels: Vec<f64> = windows
        .all
        .iter()
        .map(|&window| {
            let minutes = f64::from(window.width_min());
            let flat = minutes * targets_per_min;
            let by_hour = (seasonal[window.end_min as usize] - seasonal[window.start_min as usize]) / n;
            let flank = Flank::of(window, windows.max_lag_min);
            let around = lags.half_open(flank.outer.0, flank.outer.1) - lags.half_open(flank.inner.0, flank.inner.1);
            let nearby = minutes * (f64::from(around) + 1.0) / (n * flank.length_min());
            let mirrored = if window.width_min() >= MIRROR_WIDTH_MIN {
                let count = lags.closed(-2 * i64::from(window.end_min), -2 * i64::from(window.start_min));
                (f64::from(count) + 1.0) / n
            } else {
                0.0
            };
            1.0 - exp(-flat.max(by_hour).max(nearby).max(mirrored).max(1e-12))
        })
        .collect();
    for days in DAY_SHIFTS {
        hits.clear();
        let mut seen = 0;
        for shift in shifts(days) {
            let moved = moved(sources, shift, span, windows.max_lag_ms());
            seen += moved.len();
            count_hits(windows, moved, shift, targets, hits);
        }
        if seen > 0 {
            for (level, count) in levels.iter_mut().zip(&hits.counts) {
                *level = level.max((f64::from(*count) + 1.0) / (seen as f64 + 1.0));
            }
        }
    }
    for level in &mut levels {
        *level = level.clamp(CHANCE_MIN, CHANCE_MAX);
    }
    levels
}

/// Per minute of lag: expected onsets since midnight, summed over the sources.
fn seasonal_sums(sources: &[i64], rate: &TargetRate, max_lag_min: u32) -> Vec<f64> {
    let mut sums = vec![0.0; max_lag_min as usize + 1];
    for source in sources {
        let minute = (source.rem_euclid(DAY_MS) / MINUTE_MS) as usize;
        for (sum, cumulative) in sums.iter_mut().zip(&rate.cumulative[minute..]) {
            *sum += cumulative;
        }
    }
    sums
}
