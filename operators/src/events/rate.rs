//! The rate of a type by time of day: per hour, and per minute of the hour if it is scheduled.

use crate::events::span::Span;
use libm::{cos, sin, sqrt};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};

/// A minute counts as scheduled beyond this (Rayleigh test at level 0.001 over six harmonics).
const SCHEDULED_POWER: f64 = 8.7;

const MINUTES_OF_DAY: usize = 1440;

/// What estimate (ii) needs to know of the counted type.
#[derive(Clone, Debug)]
pub struct TargetRate {
    /// Expected onsets between midnight and the start of each minute; runs on past midnight by the longest lag.
    cumulative: Vec<f64>,
}

impl TargetRate {
    /// Estimates the rate of a type from its onsets in `span`.
    ///
    /// ```
    /// use coral_operators::events::{rate::TargetRate, span::Span};
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
        let by_minute = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| hour * minute)).cycle();
        for rate in by_minute.take(MINUTES_OF_DAY + max_lag_min as usize) {
            sum += rate;
            cumulative.push(sum);
        }
        TargetRate { cumulative }
    }

    /// Expected onsets between midnight and each minute from this one on, past midnight by the longest lag.
    pub(crate) fn cumulative_from(&self, minute: usize) -> &[f64] {
        &self.cumulative[minute..]
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
    // the power is at most the count
    if count <= SCHEDULED_POWER || [1, 2, 3, 4, 6, 12].into_iter().all(|harmonic| power(harmonic) <= SCHEDULED_POWER) {
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
