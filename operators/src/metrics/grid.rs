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

#[cfg(test)]
mod tests {
    use super::*;
    use model::series::SeriesRef;
    use model::time::{DAY_MS, MINUTE_MS};

    #[test]
    fn samples_of_a_closed_day_are_what_they_were_also_after_one_changes() {
        let series_of = |application_name: &str| {
            SeriesId::of(SeriesRef { application_name, ..fixtures::series("shop-production", "api", "latency_ms") })
        };
        let (one, other) = (series_of("shop"), series_of("store"));
        let shapes: [fn(u64) -> u64; 3] = [|_| 9, |minute| minute, |minute| u64::MAX - minute];
        for (weight, names) in shapes.into_iter().flat_map(|weight| [(weight, [one, one]), (weight, [one, other])]) {
            let kept = |minute: u64| Kept {
                value: minute as f64 / 7.0,
                weight: weight(minute),
                series: names[minute as usize % 2],
            };
            let day = 0..=DAY_MS - 1;
            let mut expected: Vec<(i64, Kept)> =
                (0..1_440).map(|minute| (minute as i64 * MINUTE_MS, kept(minute))).collect();
            let mut track: Track = expected.iter().copied().collect();
            assert!(!track.is_packed(0));
            track.insert(DAY_MS, kept(1_440));
            assert!(track.is_packed(0) && track.range(day.clone()).eq(expected.iter().copied()));
            expected[77].1 = kept(1_500);
            track.insert(77 * MINUTE_MS, kept(1_500));
            assert!(!track.is_packed(0) && track.range(day.clone()).eq(expected.iter().copied()));
            track.insert(2 * DAY_MS, kept(1));
            assert!(track.is_packed(0) && track.range(day).eq(expected.iter().copied()));
        }
    }
}
