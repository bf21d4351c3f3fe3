//! Evidence against chance from one end of a pair: a bet, unit by unit, that there are more targets than by chance.
//!
//! A unit of evidence is an occurrence: one onset, one burst, or one stretch of activity. With `y` the mean count over
//! the onsets of a unit and `m` the chance level, the factor `1 - theta + theta y / m` has mean at most 1 under chance,
//! for any dependence inside the unit. E is the product over units, averaged over twelve values of theta. An end whose
//! mean count is not above chance has no evidence: E = 0.

use crate::events::ends::End;
use crate::events::lags::Meeting;
use crate::events::windows::{Window, Windows};
use libm::{exp, log, log1p};
use model::time::MINUTE_MS;
use std::sync::LazyLock;

/// Shares of the units that an effect may explain.
pub const THETA: [f64; 12] = [0.03, 0.06, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.96];
/// `ln (1 - theta)` of each.
static LOG_WITHOUT: LazyLock<[f64; 12]> = LazyLock::new(|| THETA.map(|theta| log1p(-theta)));
/// By how much a mean count must be above chance, relative to it, to count as above it.
const ROUNDING: f64 = 1e-9;
/// So many of the last windows are compared with the present one.
const KNOWN_MAX: usize = 8;
/// Units of one onset with fewer targets than this are counted, not listed.
const LISTED_FROM: usize = 8;
/// Up to so many targets of a unit are compared with each window one by one.
const FEW: usize = 3;

/// The counts of all units in all windows.
#[derive(Clone, Debug)]
struct Tally {
    /// Units with an onset whose window has passed.
    units: Vec<u32>,
    /// Units of one onset by their count.
    single: Vec<[u32; LISTED_FROM]>,
    /// Sum and size of all other units with a count.
    listed: Vec<Vec<(u32, u32)>>,
    /// Mean counts of the present window, with how many units have them.
    parts: Vec<(f64, f64)>,
    /// Windows without listed units, and their `ln E`: many have the same counts and only the flat rate as chance level.
    known: Vec<(Known, f64)>,
}

/// What the `ln E` of a window without listed units follows from.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Known {
    single: [u32; LISTED_FROM],
    units: u32,
    chance: u64,
}

impl Tally {
    /// Counts the meetings (sorted) of an end by units, given their starts.
    fn count(windows: &Windows, end: &End, starts: &[usize], meetings: &[Meeting]) -> Tally {
        let all = windows.all.len();
        let mut tally = Tally {
            units: vec![0; all],
            single: vec![[0; LISTED_FROM]; all],
            listed: vec![Vec::new(); all],
            parts: Vec::new(),
            known: Vec::new(),
        };
        let mut upto = vec![0_u32; windows.max_lag_min as usize + 1];
        let mut next = 0;
        let mut whole = 0;
        for (index, first) in starts.iter().enumerate() {
            let last = starts.get(index + 1).copied().unwrap_or(end.times.len());
            let begin = next;
            while next < meetings.len() && (meetings[next].at as usize) < last {
                next += 1;
            }
            let own = &meetings[begin..next];
            if end.times[last - 1] + windows.max_lag_ms() > end.until {
                tally.add_unfinished(windows, end, *first..last, own, &mut upto);
                continue;
            }
            whole += 1;
            let size = (last - first) as u32;
            let (low, high) =
                own.iter().fold((u32::MAX, 0), |(low, high), meeting| (low.min(meeting.cell), high.max(meeting.cell)));
            if own.is_empty() {
                continue;
            }
            if own.len() > FEW {
                count_upto(own, &mut upto);
            }
            for index in windows.around(low, high) {
                let window = &windows.all[index];
                let count = if own.len() > FEW { within(&upto, window) } else { few_within(own, window) };
                tally.add(index, count, size);
            }
        }
        for units in &mut tally.units {
            *units += whole;
        }
        tally
    }

    /// A unit with an onset for which not all windows have passed: only onsets whose window has passed count.
    fn add_unfinished(
        &mut self,
        windows: &Windows,
        end: &End,
        unit: std::ops::Range<usize>,
        meetings: &[Meeting],
        upto: &mut [u32],
    ) {
        // the first onsets have had all windows; of each of the others some
        let times = &end.times[unit.clone()];
        let open_from = unit.start + times.partition_point(|at| at + windows.max_lag_ms() <= end.until);
        let (of_first, mut rest) =
            meetings.split_at(meetings.partition_point(|meeting| (meeting.at as usize) < open_from));
        count_upto(of_first, upto);
        // by window: targets, and onsets whose window has passed
        let mut counts: Vec<(u32, u32)> =
            windows.all.iter().map(|window| (within(upto, window), (open_from - unit.start) as u32)).collect();
        for at in open_from..unit.end {
            let (own, later) = rest.split_at(rest.partition_point(|meeting| meeting.at as usize == at));
            rest = later;
            count_upto(own, upto);
            let passed_min = (end.until - end.times[at]) / MINUTE_MS;
            for (window, counts) in windows.all.iter().zip(&mut counts) {
                if i64::from(window.end_min) <= passed_min {
                    counts.0 += within(upto, window);
                    counts.1 += 1;
                }
            }
        }
        for (index, (count, size)) in counts.into_iter().enumerate() {
            if size > 0 {
                self.units[index] += 1;
                self.add(index, count, size);
            }
        }
    }

    fn add(&mut self, window: usize, count: u32, size: u32) {
        if count == 0 {
            return;
        }
        if size == 1 && (count as usize) < LISTED_FROM {
            self.single[window][count as usize] += 1;
        } else {
            self.listed[window].push((count, size));
        }
    }

    /// `ln E` of one window at chance level `chance`; minus infinity where the mean count is not above it.
    fn log_e(&mut self, window: usize, chance: f64) -> f64 {
        let is_plain = self.listed[window].is_empty();
        let known = Known { single: self.single[window], units: self.units[window], chance: chance.to_bits() };
        if let Some((_, log_e)) = self.known.iter().rev().take(KNOWN_MAX).find(|(same, _)| is_plain && *same == known) {
            return *log_e;
        }
        let log_e = self.log_e_of(window, chance);
        if is_plain {
            self.known.push((known, log_e));
        }
        log_e
    }

    fn log_e_of(&mut self, window: usize, chance: f64) -> f64 {
        let parts = &mut self.parts;
        parts.clear();
        for (count, units) in self.single[window].iter().enumerate().filter(|(_, units)| **units > 0) {
            parts.push((count as f64, f64::from(*units)));
        }
        let listed = &mut self.listed[window];
        listed.sort_unstable();
        for same in listed.chunk_by(|a, b| a == b) {
            parts.push((f64::from(same[0].0) / f64::from(same[0].1), same.len() as f64));
        }
        let units = f64::from(self.units[window]);
        let total: f64 = parts.iter().map(|(mean, count)| mean * count).sum();
        if total <= units * chance * (1.0 + ROUNDING) {
            return f64::NEG_INFINITY;
        }
        let without = units - parts.iter().map(|part| part.1).sum::<f64>();
        for part in parts.iter_mut() {
            part.0 = part.0 / chance - 1.0;
        }
        let mut logs = [0.0; THETA.len()];
        for ((log, theta), log_without) in logs.iter_mut().zip(THETA).zip(*LOG_WITHOUT) {
            let hits: f64 = parts.iter().map(|(excess, count)| count * log1p(theta * excess)).sum();
            *log = without * log_without + hits;
        }
        log_mean_exp(&logs)
    }
}

/// How many meetings there are up to each cell.
fn count_upto(meetings: &[Meeting], upto: &mut [u32]) {
    upto.fill(0);
    for meeting in meetings {
        upto[meeting.cell as usize] += 1;
    }
    let mut sum = 0;
    for count in upto {
        sum += *count;
        *count = sum;
    }
}

/// Of the meetings that are counted up to each cell, those in a window.
fn within(upto: &[u32], window: &Window) -> u32 {
    upto[window.end_min as usize] - upto[window.start_min as usize]
}

/// The same of a few meetings.
fn few_within(meetings: &[Meeting], window: &Window) -> u32 {
    meetings.iter().filter(|meeting| meeting.cell > window.start_min && meeting.cell <= window.end_min).count() as u32
}

/// `ln` of the mean of `exp` of some numbers.
fn log_mean_exp(logs: &[f64]) -> f64 {
    log_sum_exp(logs) - log(logs.len() as f64)
}

/// `ln` of the sum of `exp` of some numbers; minus infinity for none.
///
/// ```
/// use coral_operators::events::evidence::log_sum_exp;
/// assert!((log_sum_exp(&[0.0, 0.0]) - 2.0_f64.ln()).abs() < 1e-15);
/// assert_eq!(log_sum_exp(&[f64::NEG_INFINITY]), f64::NEG_INFINITY);
/// ```
pub fn log_sum_exp(logs: &[f64]) -> f64 {
    let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return greatest;
    }
    greatest + log(logs.iter().map(|one| exp(one - greatest)).sum::<f64>())
}

/// `ln E` of the windows of a pair from one end. Where another lag has evidence of its own, a whole session is one unit.
pub struct Evidence<'a> {
    windows: &'a Windows,
    end: &'a End,
    meetings: &'a [Meeting],
    /// When first needed.
    by_unit: Option<Tally>,
    by_session: Option<Tally>,
}

impl<'a> Evidence<'a> {
    /// Of the meetings (sorted) of an end.
    pub fn new(windows: &'a Windows, end: &'a End, meetings: &'a [Meeting]) -> Evidence<'a> {
        Evidence { windows, end, meetings, by_unit: None, by_session: None }
    }

    /// `ln E` of a window at its chance level.
    pub fn log_e(&mut self, window: usize, (level, locked): (f64, bool)) -> f64 {
        let (tally, starts) =
            if locked { (&mut self.by_session, &self.end.sessions) } else { (&mut self.by_unit, &self.end.units) };
        let (windows, end, meetings) = (self.windows, self.end, self.meetings);
        tally.get_or_insert_with(|| Tally::count(windows, end, starts, meetings)).log_e(window, level)
    }
}
