//! Number of targets per source in a window by chance: the largest of six estimates (methods, section "chance").
//!
//! (i) flat rate, (ii) hour of day with the minute of the hour of scheduled targets, (iii) the flanks of the window,
//! (iv) the mirrored lags, (v) the same time on other days and weeks, (vi) another lag with evidence of its own. All of
//! them estimate a mean count. None has a floor that grows with the amount of data: (iii) to (v) are shrunk towards the
//! previous estimates by a few imagined sources. The largest of several noisy estimates is too large, which costs dense
//! pairs most of their evidence. So (iii) overrules the model only as far as it is beyond its own noise, and so does (iv)
//! for windows that start later than an hour; from (v) a standard error is subtracted.

use crate::events::ends::End;
use crate::events::lags::PairLags;
use crate::events::rate::TargetRate;
use crate::events::windows::{Window, Windows};
use libm::sqrt;
use model::time::{DAY_MS, MINUTE_MS};
use std::cell::OnceCell;

/// Mirrored lags are taken from at least this width.
const MIRROR_WIDTH_MIN: u32 = 16;
/// Imagined sources behind the model in estimate (iv).
const MIRROR_PRIOR: f64 = 5.0;
/// Imagined sources behind the model in estimate (v).
const MOVED_PRIOR: f64 = 10.0;
/// Standard deviations above the model from which other days are used almost without a prior.
const MOVED_DEVIATIONS: f64 = 3.0;
/// The wider surroundings of a window are this many widths …
const WIDE: u32 = 4;
/// … and at least this long.
const WIDE_MIN: u32 = 16;
/// Another lag is searched in slots of at least this length (a grid of a quarter of an hour fills all of them equally)
/// …
const SLOT_MIN: u32 = 15;
/// … at least this far away, or one and a half widths.
const SLOT_DISTANCE_MIN: f64 = 25.0;
/// Standard deviations above chance from which another lag has evidence of its own …
const SLOT_DEVIATIONS: f64 = 3.0;
/// … and above the flat rate, for a short slot with at least half as many pairs as the window.
const SHORT_SLOT_DEVIATIONS: f64 = 4.0;
/// Windows that start before this have estimate (iv) as it is: shared activity is strongest at short lags.
const MIRROR_NEAR_MIN: u32 = 60;
/// Standard deviations above the model up to which estimates (iii) and (iv) are noise, and from which they hold in full.
const NOISE_DEVIATIONS: (f64, f64) = (1.0, 2.0);
/// No chance level is below this.
const CHANCE_MIN: f64 = 1e-9;

/// The chance levels of windows at one end of a pair. Each is computed when it is asked for: most windows hold no lag.
pub struct Chance<'a> {
    windows: &'a Windows,
    own: &'a End,
    lags: &'a PairLags,
    slots: &'a AllSlots,
    /// Onsets of this end.
    n: f64,
    /// Flat rate of the other.
    per_min: f64,
    seasonal: Vec<f64>,
}

impl<'a> Chance<'a> {
    /// For the onsets of `own`, of which there is at least one, with those of `other` counted.
    pub fn new(
        windows: &'a Windows,
        (own, other): (&'a End, &End),
        (lags, slots): (&'a PairLags, &'a AllSlots),
        length_ms: i64,
    ) -> Chance<'a> {
        let n = own.times.len() as f64;
        let per_min = other.times.len() as f64 / (length_ms as f64 / MINUTE_MS as f64);
        let seasonal = seasonal_sums(&own.times, other.rate(), windows.max_lag_min);
        Chance { windows, own, lags, slots, n, per_min, seasonal }
    }

    /// Expected onsets of the other side per onset of this one in a window, and whether another lag has evidence of its
    /// own.
    pub fn level(&self, index: usize) -> (f64, bool) {
        let window = self.windows.all[index];
        let (n, per_min) = (self.n, self.per_min);
        let by_hour = (self.seasonal[window.end_min as usize] - self.seasonal[window.start_min as usize]) / n;
        let model = (f64::from(window.width_min()) * per_min).max(by_hour);
        let model = flank(window, self.lags, n, per_min, model);
        let model = moved(window, self.own, self.lags, mirrored(window, self.lags, n, model));
        let (level, locked) = self.lock(window, model);
        (level.max(CHANCE_MIN), locked)
    }
}

/// (iii) The surroundings of a window without its close neighbourhood; one event of prior exposure. At least the model.
fn flank(window: Window, lags: &PairLags, n: f64, per_min: f64, model: f64) -> f64 {
    let width = i64::from(window.width_min());
    let (start, end) = (i64::from(window.start_min), i64::from(window.end_min));
    let margin = width + (4 * width).max(60);
    let half = width / 2;
    let around = lags.within(start - margin, end + margin) - lags.within(start - half, end + half);
    let reach = i64::from(lags.max_lag_min());
    let clip = |min: i64| min.clamp(-reach, reach);
    let length = (clip(end + margin) - clip(start - margin)) - (clip(end + half) - clip(start - half));
    let (count, exposure) = (f64::from(around), n * length.max(1) as f64);
    let estimate = width as f64 * (count + 1.0) / (exposure + 1.0 / per_min);
    let expected = exposure * model / width as f64;
    model + (estimate - model).max(0.0) * beyond_noise(count, expected)
}

/// How far a count is beyond its noise: 0 where it is noise, 1 where it is certainly more than expected.
fn beyond_noise(count: f64, expected: f64) -> f64 {
    let (noise, certain) = NOISE_DEVIATIONS;
    (((count - expected) / sqrt(expected + 0.5) - noise) / (certain - noise)).clamp(0.0, 1.0)
}

/// (iv) The mirrored lags, of the window or of its wider surroundings, pulled towards the model. At least the model.
fn mirrored(window: Window, lags: &PairLags, n: f64, model: f64) -> f64 {
    let margin = MIRROR_WIDTH_MIN.saturating_sub(window.width_min()) / 2;
    let (start, end) = (window.start_min.saturating_sub(margin), (window.end_min + margin).min(lags.max_lag_min()));
    let share = f64::from(window.width_min()) / f64::from(end - start);
    let count = f64::from(lags.within(-i64::from(end), -i64::from(start)));
    let estimate = share * (count + MIRROR_PRIOR * model / share) / (n + MIRROR_PRIOR);
    let is_near = window.start_min < MIRROR_NEAR_MIN;
    let certainty = if is_near { 1.0 } else { beyond_noise(count, n * model / share) };
    model + (estimate - model).max(0.0) * certainty
}

/// (v) The same time on other days, then on other weeks, from the window and from its wider surroundings: few moved onsets
/// hit a narrow window, or none.
fn moved(window: Window, own: &End, lags: &PairLags, model: f64) -> f64 {
    let width = window.width_min();
    let margin = ((WIDE * width).max(WIDE_MIN) - width) / 2;
    let (start, end) = (window.start_min.saturating_sub(margin), (window.end_min + margin).min(lags.max_lag_min()));
    let share = f64::from(width) / f64::from(end - start);
    let (mut best, mut known) = (model, model);
    for group in [0, 1] {
        let seen = own.seen(group, window.start_min, window.end_min);
        let narrow = pulled(lags.moved_within(group, window.start_min, window.end_min), seen, known);
        let wide = share * pulled(lags.moved_within(group, start, end), seen, known / share);
        known = narrow.max(wide);
        best = best.max(known);
    }
    best
}

/// Hits per shifted onset, shrunk towards the previous estimate. One standard error is subtracted, because the largest
/// of several noisy estimates is used. If other days contradict the previous estimate (strict daily habits), they are
/// used without shrinkage.
fn pulled(count: u32, seen: f64, known: f64) -> f64 {
    let (count, expected) = (f64::from(count), seen * known);
    if count - expected > MOVED_DEVIATIONS * sqrt(expected + 0.5) {
        (count + known) / (seen + 1.0)
    } else {
        ((count - sqrt(count)).max(0.0) + MOVED_PRIOR * known) / (seen + MOVED_PRIOR)
    }
}

impl Chance<'_> {
    /// (vi) Where another positive or negative lag has evidence of its own, that lag is the chance level for this window.
    fn lock(&self, window: Window, model: f64) -> (f64, bool) {
        let (mut level, mut locked, n) = (model, false, self.n);
        let width_min = window.width_min();
        let Some((slots, short)) = self.slots.of_width(window.width) else { return (level, locked) };
        let distance = (1.5 * f64::from(slots.length_min)).max(SLOT_DISTANCE_MIN) as i64;
        let short_mean = n * self.per_min * f64::from(SLOT_MIN);
        let (start, end) = (i64::from(window.start_min), i64::from(window.end_min));
        let mean = n * model * f64::from(slots.length_min) / f64::from(width_min);
        let stands_out = |count: f64| (count - mean) / sqrt(mean + 0.5) > SLOT_DEVIATIONS;
        let stands_out_short = |count: f64| (count - short_mean) / sqrt(short_mean + 0.5) > SHORT_SLOT_DEVIATIONS;
        let own = start - i64::from((slots.length_min - width_min) / 2);
        // if the fullest of all does not stand out, none does
        if stands_out(slots.greatest) {
            let fullest = slots.fullest(own, distance);
            if stands_out(fullest) {
                level = level.max(fullest / n);
                locked = true;
            }
        }
        if stands_out_short(short.greatest) {
            let fullest = if width_min > SLOT_MIN {
                short.fullest(start, distance).min(short.fullest(end - i64::from(SLOT_MIN), distance))
            } else {
                slots.fullest(own, distance)
            };
            if stands_out_short(fullest) && fullest >= 0.5 * f64::from(self.lags.within(start, end)) {
                level = level.max(fullest / n);
                locked = true;
            }
        }
        (level, locked)
    }
}

/// The slots in which other lags of a pair are searched, for each width of windows.
pub struct AllSlots {
    /// By length, rising; first the short ones.
    by_length: Vec<Slots>,
    /// Per width, the position of its slots; none where no other lag is searched.
    of_width: Vec<Option<usize>>,
}

impl AllSlots {
    /// Counts the lags of a pair in slots of every length.
    pub fn count(windows: &Windows, lags: &PairLags) -> AllSlots {
        let mut by_length: Vec<Slots> = Vec::new();
        let mut position = |length_min: u32| {
            if let Some(known) = by_length.iter().position(|known| known.length_min == length_min) {
                return Some(known);
            }
            by_length.push(Slots::new(lags, length_min)?);
            Some(by_length.len() - 1)
        };
        let has_short = position(SLOT_MIN).is_some();
        let of_width = windows
            .widths
            .iter()
            .map(|width| {
                let is_searched = has_short && width.width_min < windows.max_lag_min;
                is_searched.then(|| position(width.width_min.max(SLOT_MIN))).flatten()
            })
            .collect();
        AllSlots { by_length, of_width }
    }

    /// The slots of a width, and the short ones.
    fn of_width(&self, width: usize) -> Option<(&Slots, &Slots)> {
        Some((&self.by_length[self.of_width[width]?], &self.by_length[0]))
    }
}

/// All slots of one length.
struct Slots {
    length_min: u32,
    max_lag_min: i64,
    counts: Vec<u32>,
    /// The count of the fullest.
    greatest: f64,
    /// The fullest before and from each start on, when first needed.
    fullest: OnceCell<(Vec<u32>, Vec<u32>)>,
}

impl Slots {
    fn new(lags: &PairLags, length_min: u32) -> Option<Slots> {
        if length_min >= 2 * lags.max_lag_min() {
            return None;
        }
        let counts = lags.slots(length_min);
        let greatest = f64::from(counts.iter().copied().max().unwrap_or(0));
        let max_lag_min = i64::from(lags.max_lag_min());
        Some(Slots { length_min, max_lag_min, counts, greatest, fullest: OnceCell::new() })
    }

    /// The maximum count of a slot that starts at least `distance` minutes before or after `start`.
    fn fullest(&self, start: i64, distance: i64) -> f64 {
        let (before, from) = self.fullest.get_or_init(|| {
            let counts = &self.counts;
            let mut before = vec![0; counts.len() + 1];
            for (index, count) in counts.iter().enumerate() {
                before[index + 1] = before[index].max(*count);
            }
            let mut from = vec![0; counts.len() + 1];
            for (index, count) in counts.iter().enumerate().rev() {
                from[index] = from[index + 1].max(*count);
            }
            (before, from)
        });
        let last = self.counts.len() as i64;
        let until = (start - distance + self.max_lag_min + 1).clamp(0, last) as usize;
        let since = (start + distance + self.max_lag_min).clamp(0, last) as usize;
        f64::from(before[until].max(from[since]))
    }
}

/// Per minute of lag: expected onsets since midnight, summed over the onsets of this end.
fn seasonal_sums(times: &[i64], rate: &TargetRate, max_lag_min: u32) -> Vec<f64> {
    let mut sums = vec![0.0; max_lag_min as usize + 1];
    for at in times {
        let minute = (at.rem_euclid(DAY_MS) / MINUTE_MS) as usize;
        for (sum, cumulative) in sums.iter_mut().zip(rate.cumulative_from(minute)) {
            *sum += cumulative;
        }
    }
    sums
}
