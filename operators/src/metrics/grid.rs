//! The grid: the native interval of a series, and its samples as one number per slot.

use super::by_time::ByTime;
use super::columns::{Named, Pack, Whole};
use super::params::{COVERAGE_MIN, MetricParams, STEPS_MS};
use model::series::SeriesId;
use model::time::SECOND_MS;
use std::collections::{BTreeMap, BTreeSet};

/// One sample as stored by the scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// The number.
    pub value: f64,
    /// Samples behind it.
    pub weight: u64,
    /// The series it came with, which says its application and environment.
    pub series: SeriesId,
}

/// Samples of one series at one interval, by time in ms.
pub type Track = ByTime<Kept>;

/// Samples of a day as columns.
#[derive(Clone, Debug)]
pub struct KeptColumns {
    values: Vec<f64>,
    weights: Whole,
    series: Named,
}

impl Pack for Kept {
    type Columns = KeptColumns;

    fn pack<'a>(rows: impl Iterator<Item = &'a Kept> + Clone) -> Option<KeptColumns> {
        let values = rows.clone().map(|kept| kept.value).collect();
        let weights = Whole::pack(rows.clone().map(|kept| kept.weight));
        Some(KeptColumns { values, weights, series: Named::pack(rows.map(|kept| kept.series)) })
    }

    fn unpack(columns: &KeptColumns, place: usize) -> Kept {
        let (weight, series) = (columns.weights.at(place), columns.series.at(place));
        Kept { value: columns.values[place], weight, series }
    }
}

/// Bytes of a kept sample: of closed days value, weight and time, and in a day of a look-back of twelve all of it with some
/// room at its end.
pub const SAMPLE_BYTES: u64 = 8 + 8 + 4 + size_of::<(i64, Kept)>() as u64 / 8;

/// Grid step of a declared interval: the finest step that is not finer; `None` beyond one hour.
///
/// ```
/// use coral_operators::metrics::grid::declared_step_ms;
/// assert_eq!(declared_step_ms(10), Some(60_000));
/// assert_eq!(declared_step_ms(900), Some(900_000));
/// assert_eq!(declared_step_ms(86_400), None);
/// ```
pub fn declared_step_ms(interval_seconds: u32) -> Option<i64> {
    STEPS_MS.into_iter().find(|step| *step >= i64::from(interval_seconds) * SECOND_MS)
}

/// Grid step derived from the spacing of ascending timestamps: the finest one not below 4/5 of the median gap. `None`
/// for fewer than two timestamps or gaps longer than an hour and a quarter.
pub fn learnt_step_ms(times: impl Iterator<Item = i64>) -> Option<i64> {
    let times: Vec<i64> = times.collect();
    let mut gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    let median = *gaps.get(gaps.len().checked_sub(1)? / 2)?;
    STEPS_MS.into_iter().find(|step| step * 5 / 4 >= median)
}

/// Which of a series' tracks is correlated at an instant, and on which step: the finest that covers the window,
/// otherwise the finest. At equal steps a declared interval wins over a derived one.
pub fn native<'a>(
    tracks: &'a BTreeMap<Option<u32>, Track>,
    params: &MetricParams,
    at_ms: i64,
) -> Option<(i64, Option<u32>, &'a Track)> {
    let from = at_ms - params.range_ms();
    let mut choices: Vec<(i64, bool, Option<u32>, &Track)> = Vec::new();
    for (interval, track) in tracks {
        let mut times = track.range(from + 1..=at_ms).map(|(t, _)| t).peekable();
        if times.peek().is_none() {
            continue;
        }
        let step = match interval {
            Some(seconds) => declared_step_ms(*seconds),
            None => learnt_step_ms(times),
        };
        choices.extend(step.map(|step| (step, interval.is_none(), *interval, track)));
    }
    choices.sort_by_key(|(step, learnt, interval, _)| (*step, *learnt, *interval));
    let covers = |step: i64, track: &Track| {
        let window = params.window_slots(step);
        let first = (at_ms.div_euclid(step) - window as i64 + 1) * step;
        let slots: BTreeSet<i64> = track.range(first..=at_ms).map(|(t, _)| t.div_euclid(step)).collect();
        slots.len() as f64 >= COVERAGE_MIN * window as f64
    };
    let best = match &choices[..] {
        [only] => only,
        _ => choices.iter().find(|c| covers(c.0, c.3)).or(choices.first())?,
    };
    Some((best.0, best.2, best.3))
}

/// The `slots` slots that end with the one holding `at_ms`: the count-weighted mean of the samples in each, NaN without any.
pub fn resample(track: &Track, step_ms: i64, at_ms: i64, slots: usize) -> Vec<f64> {
    let first = at_ms.div_euclid(step_ms) - slots as i64 + 1;
    let mut sums = vec![(0.0_f64, 0.0_f64); slots];
    for (time, kept) in track.range(first * step_ms..=at_ms) {
        let slot = &mut sums[(time.div_euclid(step_ms) - first) as usize];
        slot.0 += kept.value * kept.weight as f64;
        slot.1 += kept.weight as f64;
    }
    sums.into_iter().map(|(sum, weight)| if weight > 0.0 { sum / weight } else { f64::NAN }).collect()
}

/// The latest slots of a track, kept from look to look: only what has changed is computed again.
#[derive(Debug, Default)]
pub struct Slots {
    first: i64,
    values: Vec<f64>,
    /// The earliest slot of which a sample has changed since.
    changed: Option<i64>,
}

impl Slots {
    /// A sample of this slot has changed.
    pub fn change(&mut self, slot: i64) {
        self.changed = Some(self.changed.map_or(slot, |changed| changed.min(slot)));
    }

    /// What [`resample`] gives, for the same track and step every time.
    pub fn resample(&mut self, track: &Track, step_ms: i64, at_ms: i64, slots: usize) -> &[f64] {
        let last = at_ms.div_euclid(step_ms);
        let first = last - slots as i64 + 1;
        let known = self.values.len() as i64;
        // the last slot may have been looked at before it was over
        let kept_to = self.changed.take().unwrap_or(i64::MAX).min(self.first + known - 1);
        let is_ahead = first >= self.first && known == slots as i64 && kept_to > first;
        if is_ahead {
            self.values.truncate((kept_to - self.first) as usize);
            self.values.drain(..(first - self.first) as usize);
            self.values.extend(resample(track, step_ms, at_ms, (last - kept_to + 1) as usize));
        } else {
            self.values = resample(track, step_ms, at_ms, slots);
        }
        self.first = first;
        &self.values
    }
}
