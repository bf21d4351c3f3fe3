//! A series at one instant on one grid: the raw values for r, and the values on which r is judged.

use super::grid::{Track, resample};
use super::params::{MetricParams, PROFILE_DAYS};
use super::stats::{Acf, autocorrelation, correlation_time, kurtosis, robust_scale};
use model::time::DAY_MS;
use std::cell::OnceCell;

/// Values beyond this many robust sigmas are clamped before a relation is judged.
pub const CLAMP_SIGMAS: f64 = 6.0;

/// Values on which a relation is judged: missing slots are NaN.
#[derive(Clone, Debug)]
pub struct Judged {
    /// One per slot of window and lag.
    pub values: Vec<f64>,
    window: usize,
    acf: OnceCell<Acf>,
    kurtosis: OnceCell<f64>,
}

impl Judged {
    fn new(values: Vec<f64>, window: usize) -> Judged {
        Judged { values, window, acf: OnceCell::new(), kurtosis: OnceCell::new() }
    }

    /// Over the target window, computed when it is first needed.
    pub fn acf(&self) -> &Acf {
        self.acf.get_or_init(|| autocorrelation(self.newest()))
    }

    /// Over the target window, computed when it is first needed.
    pub fn kurtosis(&self) -> f64 {
        *self.kurtosis.get_or_init(|| kurtosis(self.newest()))
    }

    fn newest(&self) -> &[f64] {
        &self.values[self.values.len() - self.window..]
    }

    /// Integrated autocorrelation time over the target window, in slots.
    pub fn time(&self) -> f64 {
        correlation_time(self.acf(), self.window)
    }
}

/// A level and its first differences, for when the level drifts.
#[derive(Clone, Debug)]
pub struct Level {
    /// The level itself.
    pub level: Judged,
    differences: OnceCell<Judged>,
}

impl Level {
    fn new(values: Vec<f64>, window: usize) -> Level {
        Level { level: Judged::new(values, window), differences: OnceCell::new() }
    }

    /// From slot to slot, clamped as well; computed when they are first needed.
    pub fn differences(&self) -> &Judged {
        self.differences.get_or_init(|| {
            let values = &self.level.values;
            let mut differences = vec![f64::NAN; values.len()];
            for (slot, pair) in differences[1..].iter_mut().zip(values.windows(2)) {
                *slot = pair[1] - pair[0];
            }
            // where a profile begins to be known, the level of every series jumps in the same slot
            if let Some((centre, sigma)) = robust_scale(&differences) {
                let reach = CLAMP_SIGMAS * sigma;
                differences.iter_mut().for_each(|v| *v = v.clamp(centre - reach, centre + reach));
            }
            Judged::new(differences, self.level.window)
        })
    }
}

/// What a relation of a series is judged on. All slices hold window + lag slots, oldest first.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Clamped at six robust sigmas.
    pub clamped: Level,
    /// The same values, and before them those of the days of the profile.
    with_history: Vec<f64>,
    slots_per_day: usize,
    adjusted: OnceCell<Option<Level>>,
}

impl Judgement {
    /// Clamped, minus the mean of the same time of day on the days before; absent until that covers the window. Computed
    /// when it is first needed.
    pub fn adjusted(&self) -> Option<&Level> {
        let adjust = || {
            let Judged { values, window, .. } = &self.clamped.level;
            let history = self.with_history.len() - values.len();
            let adjusted = without_profile(&self.with_history, history, self.slots_per_day);
            let covered = adjusted[adjusted.len() - window..].iter().filter(|v| !v.is_nan()).count();
            (covered >= MetricParams::points_needed(*window)).then(|| Level::new(adjusted, *window))
        };
        self.adjusted.get_or_init(adjust).as_ref()
    }
}

/// One series at one instant and one step.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Slots in the window.
    pub window: usize,
    /// Raw values of window + lag slots, oldest first, moved and scaled so that sums stay exact; NaN where missing.
    pub raw: Vec<f64>,
    /// What was subtracted from the values, and by what they were divided then.
    pub mean: f64,
    /// See `mean`.
    pub reach: f64,
    /// The values of the days of the profile, which come before, as they were.
    history: Vec<f64>,
    slots_per_day: usize,
    judgement: OnceCell<Judgement>,
}

/// Each value minus the mean of the observed values a whole number of days earlier; `history` slots come before the result.
fn without_profile(clamped: &[f64], history: usize, slots_per_day: usize) -> Vec<f64> {
    (history..clamped.len())
        .map(|slot| {
            let days = (1..=PROFILE_DAYS as usize).map(|day| clamped[slot - day * slots_per_day]);
            let (n, sum) = days.filter(|v| !v.is_nan()).fold((0_u32, 0.0), |(n, sum), v| (n + 1, sum + v));
            if n == 0 { f64::NAN } else { clamped[slot] - sum / f64::from(n) }
        })
        .collect()
}

impl Prepared {
    /// `None` when too little is observed for any correlation, or when the series does not move.
    pub fn new(track: &Track, params: &MetricParams, step_ms: i64, at_ms: i64) -> Option<Prepared> {
        let (history, slots) = Prepared::slots(params, step_ms);
        Prepared::of(resample(track, step_ms, at_ms, history + slots), params, step_ms)
    }

    /// Slots of the profile, and of window and lag after it.
    pub fn slots(params: &MetricParams, step_ms: i64) -> (usize, usize) {
        let slots = params.window_slots(step_ms) + params.lag_slots(step_ms);
        (PROFILE_DAYS as usize * (DAY_MS / step_ms) as usize, slots)
    }

    /// The same of values by slot, oldest first.
    pub fn of(mut all: Vec<f64>, params: &MetricParams, step_ms: i64) -> Option<Prepared> {
        let window = params.window_slots(step_ms);
        let (history, _) = Prepared::slots(params, step_ms);
        let observed = || all[history..].iter().copied().filter(|v| !v.is_nan());
        let count = observed().count();
        if window == 0 || count < MetricParams::points_needed(window) {
            return None;
        }
        let mean = observed().map(|v| v / count as f64).sum::<f64>();
        let reach = observed().map(|v| (v - mean).abs()).fold(0.0, f64::max);
        let largest = observed().map(f64::abs).fold(0.0, f64::max);
        // a spread of 1e-12 of the values is their rounding, not a movement
        if !reach.is_finite() || reach <= 1e-12 * largest {
            return None;
        }
        let raw = all.split_off(history).into_iter().map(|v| (v - mean) / reach).collect();
        let slots_per_day = (DAY_MS / step_ms) as usize;
        Some(Prepared { window, raw, mean, reach, history: all, slots_per_day, judgement: OnceCell::new() })
    }

    /// What its relations are judged on, computed when it is first needed.
    pub fn judgement(&self) -> &Judgement {
        self.judgement.get_or_init(|| self.judge())
    }

    fn judge(&self) -> Judgement {
        let window = self.window;
        // a series is prepared only with observed values
        let (centre, sigma) = robust_scale(&self.raw).unwrap_or_default();
        let reach = CLAMP_SIGMAS * sigma;
        let history = self.history.iter().map(|v| (v - self.mean) / self.reach);
        let with_history: Vec<f64> =
            history.chain(self.raw.iter().copied()).map(|v| v.clamp(centre - reach, centre + reach)).collect();
        let clamped = Level::new(with_history[self.history.len()..].to_vec(), window);
        Judgement { clamped, with_history, slots_per_day: self.slots_per_day, adjusted: OnceCell::new() }
    }

    /// Slots that are known before those of window and lag.
    pub fn slots_before(&self) -> usize {
        self.history.len()
    }

    /// The value of a slot counted from the newest, which is 1, moved and scaled; of the days of the profile as well.
    pub fn at_end(&self, from_end: usize) -> f64 {
        let (known, before) = (self.raw.len(), self.history.len());
        match known.checked_sub(from_end) {
            Some(slot) => self.raw[slot],
            None => (self.history[before + known - from_end] - self.mean) / self.reach,
        }
    }

    /// Longest lag in slots.
    pub fn lag_max(&self) -> usize {
        self.raw.len() - self.window
    }

    /// The window `lag` slots before the target's, of one of this series' slices.
    pub fn window_of<'a>(&self, values: &'a [f64], lag: usize) -> &'a [f64] {
        let start = self.lag_max() - lag;
        &values[start..start + self.window]
    }
}
