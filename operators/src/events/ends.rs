//! One end of a pair: the units of evidence of an event type within a span, its rate, and how many of its onsets are
//! still observed after a shift by whole days.
//!
//! The target's end of a pair is the source's end on reversed time. So every type is prepared twice, forward and mirrored,
//! and everything else is written once.

use crate::events::lags::shifts;
use crate::events::rate::TargetRate;
use crate::events::span::Span;
use crate::events::windows::cell;
use libm::{exp, sqrt};
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use std::cell::OnceCell;

/// A gap below this share of the mean gap may join onsets of a bursty stream …
const LINK_SHARE: f64 = 0.25;
/// … but none above an hour does.
const LINK_MAX_MS: f64 = 60.0 * MINUTE_MS as f64;
/// A stream is bursty when it has more short gaps than other days at the same time, by this many standard deviations on
/// the square-root scale.
const BURST_DEVIATIONS: f64 = 2.0;
/// Imagined other days with onsets at the mean rate.
const IMAGINED_DAYS: f64 = 2.0;

/// A stream is regular if a slot of its own lags of this length …
const SLOT_MIN: usize = 15;
/// … stands out of the slots up to this far around it …
const AROUND_MIN: usize = 60;
/// … by this many standard deviations.
const REGULAR_DEVIATIONS: f64 = 4.0;
/// A stream of at least this many onsets must stand out on the square-root scale too. Shorter ones, such as a script
/// of a single day, have too few lags for that.
const ROOT_ONSETS_MIN: usize = 30;
/// Standard deviations on that scale, on which small counts are not skewed (Anscombe 1948).
const ROOT_DEVIATIONS: f64 = 3.5;
/// Fewest lags in such a slot: `2 / sqrt(0.5)` is less than four.
const REGULAR_LAGS_MIN: u32 = 3;

/// Gaps this close to the median gap are like it.
const NEAR_MS: i64 = 15 * MINUTE_MS / 2;
/// Fewest such gaps of a periodic stream.
const NEAR_LEAST: usize = 4;

/// One type on one direction of time.
#[derive(Clone, Debug)]
pub struct End {
    /// Onsets, rising; on reversed time they are negated.
    pub times: Vec<i64>,
    /// When the span ends on this direction of time.
    pub until: i64,
    /// Starts of the units of evidence: single onsets, bursts, sessions, or the stream as a whole.
    pub units: Vec<usize>,
    /// Whether they are more than single onsets.
    pub clustered: bool,
    /// Starts of stretches of activity without a gap of the longest lag.
    pub sessions: Vec<usize>,
    span: Span,
    max_lag_min: u32,
    /// When first needed.
    rate: OnceCell<TargetRate>,
    /// Per group of day shifts, by start plus end of a window in minutes: moved onsets with the middle of the window observed.
    seen: [Vec<u32>; 2],
}

/// One type in both directions of time.
#[derive(Clone, Debug)]
pub struct Ends {
    /// As it happened.
    pub forward: End,
    /// On reversed time.
    pub mirrored: End,
}

impl Ends {
    /// Prepares the onsets of a type, rising, in `span`.
    pub fn new(times: &[i64], span: Span, max_lag_min: u32) -> Ends {
        let reversed = Span { origin: TimeMs(-span.instant.0), instant: TimeMs(-span.origin.0) };
        let negated = times.iter().rev().map(|at| -at).collect();
        Ends {
            forward: End::new(times.to_vec(), span, max_lag_min),
            mirrored: End::new(negated, reversed, max_lag_min),
        }
    }
}

impl End {
    fn new(times: Vec<i64>, span: Span, max_lag_min: u32) -> End {
        let max_lag_ms = i64::from(max_lag_min) * MINUTE_MS;
        let sessions = starts(&times, |gap_ms| gap_ms >= max_lag_ms);
        let (units, clustered) = if is_periodic(&times, max_lag_ms) {
            (vec![0], true)
        } else if is_regular(&times, max_lag_min) {
            (sessions.clone(), true)
        } else {
            units(&times, span)
        };
        let seen = [0, 1].map(|group| seen(&times, group, span, max_lag_min));
        let (until, rate) = (span.instant.0, OnceCell::new());
        End { times, until, units, clustered, sessions, span, max_lag_min, rate, seen }
    }

    /// What to expect of it as the counted side.
    pub fn rate(&self) -> &TargetRate {
        self.rate.get_or_init(|| TargetRate::learn(&self.times, self.span, self.max_lag_min))
    }

    /// Onsets moved by the days of a group whose window `(start_min, end_min]` is observed, judged by its middle.
    pub fn seen(&self, group: usize, start_min: u32, end_min: u32) -> f64 {
        f64::from(self.seen[group][(start_min + end_min) as usize])
    }
}

/// Positions at which a stretch begins: the first, and each after a gap that splits.
fn starts(times: &[i64], splits: impl Fn(i64) -> bool) -> Vec<usize> {
    let after = times.windows(2).enumerate().filter(|(_, pair)| splits(pair[1] - pair[0])).map(|(index, _)| index + 1);
    std::iter::once(0).filter(|_| !times.is_empty()).chain(after).collect()
}

/// Starts of the units, and whether the stream is bursty. Only then onsets closer than a quarter of the mean gap (at most
/// an hour) are one unit: in a Poisson stream a fifth of the gaps are as short by chance, and in one of working hours more.
fn units(times: &[i64], span: Span) -> (Vec<usize>, bool) {
    let count = times.len() as f64;
    let length = span.length_ms() as f64;
    let link_ms = (LINK_SHARE * length / count).min(LINK_MAX_MS);
    let mean = link_ms * count / length;
    let gaps = times.len().saturating_sub(1);
    let short = times.windows(2).filter(|pair| ((pair[1] - pair[0]) as f64) < link_ms).count() as f64;
    let stand_out = |expected: f64| root_deviation(short, expected) > BURST_DEVIATIONS;
    // no other day makes fewer of them likely than the mean rate does
    let bursty = stand_out(gaps as f64 * (1.0 - exp(-mean)))
        && stand_out(as_on_other_days(&times[..gaps], times, (link_ms, mean), span));
    if bursty { (starts(times, |gap_ms| gap_ms as f64 >= link_ms), true) } else { ((0..times.len()).collect(), false) }
}

/// How many of the gaps after `starts` other days make shorter than `link_ms`: from the onsets that follow the same clock
/// time within it there, at least from their mean number.
fn as_on_other_days(starts: &[i64], times: &[i64], (link_ms, mean): (f64, f64), span: Span) -> f64 {
    let mut followed = vec![0_u32; starts.len()];
    let mut days = vec![0_u32; starts.len()];
    let days_max = (span.length_ms() + DAY_MS - 1) / DAY_MS;
    for shift_ms in (1..days_max).flat_map(|days| [-days * DAY_MS, days * DAY_MS]) {
        let (mut low, mut high) = (0, 0);
        for (index, start) in starts.iter().enumerate() {
            let moved = start + shift_ms;
            if moved < span.origin.0 || ((span.instant.0 - moved) as f64) < link_ms {
                continue;
            }
            low += times[low..].iter().take_while(|at| **at <= moved).count();
            high = high.max(low);
            high += times[high..].iter().take_while(|at| (**at - moved) as f64 <= link_ms).count();
            followed[index] += (high - low) as u32;
            days[index] += 1;
        }
    }
    let expected = |(followed, days): (&u32, &u32)| {
        let pulled = (f64::from(*followed) + IMAGINED_DAYS * mean) / (f64::from(*days) + IMAGINED_DAYS);
        1.0 - exp(-pulled.max(mean))
    };
    followed.iter().zip(&days).map(expected).sum()
}

/// By how many standard deviations a count is greater than its mean, on the scale on which small counts are not skewed
/// (Anscombe 1948).
fn root_deviation(count: f64, mean: f64) -> f64 {
    2.0 * (sqrt(count + 0.375) - sqrt(mean + 0.375))
}

/// Whether gaps repeat, as those of a beat or script: the onsets of a session are then not separate occurrences. Slots
/// of a quarter of an hour are insensitive to times on a grid.
fn is_regular(times: &[i64], max_lag_min: u32) -> bool {
    let longest = max_lag_min as usize;
    let mut upto = vec![0_u32; longest + 1];
    for (index, at) in times.iter().enumerate() {
        for cell in times[index + 1..].iter().map(|next| cell(next - at) as usize).take_while(|cell| *cell <= longest) {
            upto[cell] += 1;
        }
    }
    let mut sum = 0;
    for count in &mut upto {
        sum += *count;
        *count = sum;
    }
    // with fewer lags no slot has so many more than none
    if sum < REGULAR_LAGS_MIN {
        return false;
    }
    (SLOT_MIN..(longest + 1).saturating_sub(SLOT_MIN)).any(|start| {
        let within = |low: usize, high: usize| f64::from(upto[high.min(longest)] - upto[low.max(SLOT_MIN)]);
        let length = |low: usize, high: usize| high.min(longest) - low.max(SLOT_MIN);
        let outer = (start.saturating_sub(AROUND_MIN), start + SLOT_MIN + AROUND_MIN);
        let inner = (start - SLOT_MIN, start + 2 * SLOT_MIN);
        let minutes = length(outer.0, outer.1) - length(inner.0, inner.1);
        if minutes < SLOT_MIN {
            return false;
        }
        let around = within(outer.0, outer.1) - within(inner.0, inner.1);
        let mean = around * SLOT_MIN as f64 / minutes as f64;
        let count = within(start, start + SLOT_MIN);
        (count - mean) / sqrt(mean + 0.5) > REGULAR_DEVIATIONS
            && (times.len() < ROOT_ONSETS_MIN || root_deviation(count, mean) > ROOT_DEVIATIONS)
    })
}

/// Whether at least half of the gaps are about the median gap, which is a long one, and more than in a Poisson stream:
/// onsets on their own schedule are not separate occurrences, and two such streams stay undecided. Releases on every
/// working day at about the same hour do not qualify: between 14 and 41 % of their gaps are that close.
fn is_periodic(times: &[i64], max_lag_ms: i64) -> bool {
    let mut gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    let Some(middle) = gaps.get(gaps.len().saturating_sub(1) / 2).copied() else { return false };
    let count = gaps.len() as f64;
    let mean = gaps.iter().sum::<i64>() as f64 / count;
    let near = gaps.iter().filter(|gap| (*gap - middle).abs() <= NEAR_MS).count();
    let expected = count * (2 * NEAR_MS) as f64 / mean * exp(-(middle as f64) / mean);
    let deviation = (near as f64 - expected) / sqrt(expected + 0.5);
    middle >= max_lag_ms && near >= NEAR_LEAST && 2 * near >= gaps.len() && deviation > REGULAR_DEVIATIONS
}

/// By twice the middle of a window: shifted onsets for which that middle is in the span.
fn seen(times: &[i64], group: usize, span: Span, max_lag_min: u32) -> Vec<u32> {
    let (half_ms, last) = (MINUTE_MS / 2, 2 * i64::from(max_lag_min));
    let (mut whole, mut steps) = (0, vec![0_i32; last as usize + 2]);
    for shift in shifts(group).filter(|shift| shift.abs() <= span.length_ms() + DAY_MS) {
        let (from, to) = (span.origin.0 - shift, span.instant.0 - shift);
        // of an onset between these all middles are in the span, of one outside of them some or none
        let inner = times.partition_point(|at| *at < from)
            ..times.partition_point(|at| *at <= to - last * half_ms).max(times.partition_point(|at| *at < from));
        whole += inner.len() as i32;
        let before = times[..inner.start].iter().rev().take_while(|at| **at >= from - last * half_ms);
        let after = times[inner.end..].iter().take_while(|at| **at <= to);
        for at in before.chain(after) {
            let first = -(at - from).div_euclid(half_ms);
            let past = (to - at).div_euclid(half_ms) + 1;
            let (first, past) = (first.clamp(0, last + 1), past.clamp(0, last + 1));
            if first < past {
                steps[first as usize] += 1;
                steps[past as usize] -= 1;
            }
        }
    }
    let mut sum = whole;
    steps.truncate(last as usize + 1);
    let at_step = |step: i32| {
        sum += step;
        sum as u32
    };
    steps.into_iter().map(at_step).collect()
}
