//! A series at one instant on one grid: the raw values for r, and the values on which r is judged.

use super::grid::{Track, resample};
use super::params::{MetricParams, PROFILE_DAYS};
use super::stats::{Acf, autocorrelation, correlation_time, robust_scale, varies};
use model::time::DAY_MS;

/// Values beyond this many robust sigmas are clamped before a relation is judged.
pub const CLAMP_SIGMAS: f64 = 6.0;

/// Values on which a relation is judged: missing slots are NaN.
#[derive(Clone, Debug)]
pub struct Judged {
    /// One per slot of window and lag.
    pub values: Vec<f64>,
    /// Over the target window.
    pub acf: Acf,
    /// Integrated autocorrelation time over the target window, in slots.
    pub time: f64,
}

/// A level and its first differences, for when the level drifts; the latter clamped as well.
#[derive(Clone, Debug)]
pub struct Level {
    /// The level itself.
    pub level: Judged,
    /// From slot to slot.
    pub differences: Judged,
}

/// One series at one instant and one step. All slices hold window + lag slots, oldest first.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Slots in the window.
    pub window: usize,
    /// Raw values, moved and scaled so that the sums stay exact; NaN where missing.
    pub raw: Vec<f64>,
    /// `raw` with 0 where missing.
    pub filled: Vec<f64>,
    /// `filled` squared.
    pub squared: Vec<f64>,
    /// 1 where observed, 0 where missing.
    pub mask: Vec<f64>,
    /// Whether nothing is missing.
    pub complete: bool,
    /// For each start of the window: mean and sum of squares about it. Filled when `complete`.
    pub moments: Vec<(f64, f64)>,
    /// Clamped at six robust sigmas.
    pub clamped: Level,
    /// Clamped, minus the mean of the same time of day on the days before; absent until that covers the window.
    pub adjusted: Option<Level>,
}

fn judged(values: Vec<f64>, window: usize) -> Judged {
    let acf = autocorrelation(&values[values.len() - window..]);
    Judged { time: correlation_time(&acf, window), values, acf }
}

fn level(values: Vec<f64>, window: usize) -> Level {
    let mut differences = vec![f64::NAN; values.len()];
    for (slot, pair) in differences[1..].iter_mut().zip(values.windows(2)) {
        *slot = pair[1] - pair[0];
    }
    // where a profile begins to be known, the level of every series jumps in the same slot
    if let Some((centre, sigma)) = robust_scale(&differences) {
        let reach = CLAMP_SIGMAS * sigma;
        differences.iter_mut().for_each(|v| *v = v.clamp(centre - reach, centre + reach));
    }
    Level { level: judged(values, window), differences: judged(differences, window) }
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
        let window = params.window_slots(step_ms);
        let slots = window + params.lag_slots(step_ms);
        let slots_per_day = (DAY_MS / step_ms) as usize;
        let history = PROFILE_DAYS as usize * slots_per_day;
        let all = resample(track, step_ms, at_ms, history + slots);
        let observed: Vec<f64> = all[history..].iter().copied().filter(|v| !v.is_nan()).collect();
        if window == 0 || observed.len() < MetricParams::points_needed(window) {
            return None;
        }
        let mean = observed.iter().map(|v| v / observed.len() as f64).sum::<f64>();
        let reach = observed.iter().map(|v| (v - mean).abs()).fold(0.0, f64::max);
        let largest = observed.iter().map(|v| v.abs()).fold(0.0, f64::max);
        // a spread of 1e-12 of the values is their rounding, not a movement
        if !reach.is_finite() || reach <= 1e-12 * largest {
            return None;
        }
        let all: Vec<f64> = all.iter().map(|v| (v - mean) / reach).collect();
        let raw = all[history..].to_vec();
        let filled: Vec<f64> = raw.iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect();
        let mask: Vec<f64> = raw.iter().map(|v| if v.is_nan() { 0.0 } else { 1.0 }).collect();
        let complete = observed.len() == raw.len();
        let moments = if complete { window_moments(&raw, window) } else { Vec::new() };

        let (centre, sigma) = robust_scale(&raw)?;
        let reach = CLAMP_SIGMAS * sigma;
        let clamped: Vec<f64> = all.iter().map(|v| v.clamp(centre - reach, centre + reach)).collect();
        let adjusted = without_profile(&clamped, history, slots_per_day);
        let covered = adjusted[adjusted.len() - window..].iter().filter(|v| !v.is_nan()).count();
        let adjusted = (covered >= MetricParams::points_needed(window)).then(|| level(adjusted, window));
        Some(Prepared {
            window,
            squared: filled.iter().map(|v| v * v).collect(),
            raw,
            filled,
            mask,
            complete,
            moments,
            clamped: level(clamped[history..].to_vec(), window),
            adjusted,
        })
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

/// Mean and sum of squares about it for every start of the window; the sum is 0 where the series does not move.
fn window_moments(values: &[f64], window: usize) -> Vec<(f64, f64)> {
    (0..=values.len() - window)
        .map(|start| {
            let slice = &values[start..start + window];
            let mean = slice.iter().sum::<f64>() / window as f64;
            let (mut about, mut raw) = (0.0, 0.0);
            for v in slice {
                about += (v - mean) * (v - mean);
                raw += v * v;
            }
            (mean, if varies(about, raw) { about } else { 0.0 })
        })
        .collect()
}
