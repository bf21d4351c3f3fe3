//! All lags of a pair, counted once in cells of a minute: both ends of the pair, and every window, use the same table.

use crate::events::windows::cell;
use model::time::{DAY_MS, MINUTE_MS};

/// Day shifts of the estimate "same time on other days": days of another kind together, and whole weeks.
pub const DAY_SHIFTS: [&[i64]; 2] = [&[1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13], &[7, 14, 21, 28]];

/// Both directions of every day shift of a group, in milliseconds.
pub fn shifts(group: usize) -> impl Iterator<Item = i64> {
    DAY_SHIFTS[group].iter().flat_map(|days| [-days * DAY_MS, days * DAY_MS])
}

/// A target after a source by no more than the longest lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Meeting {
    /// Position of the onset at this end.
    pub at: u32,
    /// Cell of the lag, from 1 to the longest.
    pub cell: u32,
}

/// The lags of one pair.
#[derive(Clone, Debug)]
pub struct PairLags {
    max_lag_min: i64,
    /// Pairs with a lag above minus the longest and up to each minute, from minus to plus the longest.
    below: Vec<u32>,
    /// Per group of day shifts, pairs of a moved source and a target with a lag above zero and up to each minute.
    moved: [Vec<u32>; 2],
    /// Forward lags by source.
    pub by_source: Vec<Meeting>,
    /// Forward lags by target, the last target first.
    pub by_target: Vec<Meeting>,
}

impl PairLags {
    /// Counts the lags `target - source`. Times must rise.
    ///
    /// ```
    /// use coral_operators::events::lags::PairLags;
    /// let lags = PairLags::count(&[0, 3_600_000], &[90_000, 3_540_000], 240);
    /// // 1.5 and 59 minutes forward, 1 and 58.5 minutes backward
    /// assert_eq!((lags.within(0, 2), lags.within(0, 240), lags.within(-2, 0), lags.within(-240, 0)), (1, 2, 1, 2));
    /// ```
    pub fn count(sources: &[i64], targets: &[i64], max_lag_min: u32) -> PairLags {
        let max_lag = i64::from(max_lag_min);
        let reach_ms = max_lag * MINUTE_MS;
        let mut below = vec![0; 2 * max_lag as usize + 1];
        let (mut by_source, mut by_target) = (Vec::new(), Vec::new());
        let mut first = 0;
        for (position, source) in sources.iter().enumerate() {
            while first < targets.len() && targets[first] - source <= -reach_ms {
                first += 1;
            }
            for (offset, target) in targets[first..].iter().enumerate() {
                let lag_ms = target - source;
                if lag_ms > reach_ms {
                    break;
                }
                let cell = cell(lag_ms);
                below[(cell + max_lag) as usize] += 1;
                if lag_ms > 0 {
                    let cell = cell as u32;
                    by_source.push(Meeting { at: position as u32, cell });
                    by_target.push(Meeting { at: (targets.len() - 1 - first - offset) as u32, cell });
                }
            }
        }
        by_target.sort_unstable();
        accumulate(&mut below);
        let moved = [0, 1].map(|group| {
            let mut upto = vec![0; max_lag as usize + 1];
            for shift in shifts(group) {
                count_forward(sources, shift, targets, reach_ms, &mut upto);
            }
            accumulate(&mut upto);
            upto
        });
        PairLags { max_lag_min: max_lag, below, moved, by_source, by_target }
    }

    /// Longest lag.
    pub fn max_lag_min(&self) -> u32 {
        self.max_lag_min as u32
    }

    fn at(&self, min: i64) -> u32 {
        self.below[(min.clamp(-self.max_lag_min, self.max_lag_min) + self.max_lag_min) as usize]
    }

    /// Pairs with a lag in `(from_min, to_min]`, both cut off at the longest lag.
    pub fn within(&self, from_min: i64, to_min: i64) -> u32 {
        self.at(to_min) - self.at(from_min)
    }

    /// Pairs of a source moved by the days of a group and a target with a lag in `(from_min, to_min]`.
    pub fn moved_within(&self, group: usize, from_min: u32, to_min: u32) -> u32 {
        self.moved[group][to_min as usize] - self.moved[group][from_min as usize]
    }

    /// Counts of all slots of `length_min` minutes, the first starting at minus the longest lag.
    pub fn slots(&self, length_min: u32) -> Vec<u32> {
        let length = length_min as usize;
        (length..self.below.len()).map(|end| self.below[end] - self.below[end - length]).collect()
    }
}

fn accumulate(counts: &mut [u32]) {
    let mut sum = 0;
    for count in counts {
        sum += *count;
        *count = sum;
    }
}

fn count_forward(sources: &[i64], shift_ms: i64, targets: &[i64], reach_ms: i64, counts: &mut [u32]) {
    let (Some(first_target), Some(last_target)) = (targets.first(), targets.last()) else { return };
    let low = sources.partition_point(|source| source + shift_ms + reach_ms < *first_target);
    let high = sources.partition_point(|source| source + shift_ms < *last_target);
    if low >= high {
        return;
    }
    let mut first = targets.partition_point(|target| *target <= sources[low] + shift_ms);
    for source in sources[low..high].iter().map(|source| source + shift_ms) {
        while first < targets.len() && targets[first] <= source {
            first += 1;
        }
        for lag_ms in targets[first..].iter().map(|target| target - source).take_while(|lag| *lag <= reach_ms) {
            counts[cell(lag_ms) as usize] += 1;
        }
    }
}
