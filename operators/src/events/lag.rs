//! The lag of a pattern: the median of the excess over chance, and its interquartile range.
//!
//! Sources are not matched with targets for this: if sources outnumber targets, a matching pairs each target with the
//! earliest source that reaches it, and the lag drifts to the end of the window. Instead all lags around the window are
//! taken, each with the probability that it is no chance: one bell over a flat background, fitted by EM.

use crate::events::windows::Window;
use libm::{exp, sqrt};
use model::time::{MINUTE_MS, SECOND_MS};

/// Minimum distance around the window from which lags are used.
const MARGIN_MIN: f64 = 90.0;
/// Weight of chance pairs, as a share of their number, that shrinks the width of the bell towards that of the window.
const PULL: f64 = 0.1;
/// A window holds most evidence of a bell where it is this many of its standard deviations wide: that is where the share
/// inside, over the square root of the width, is greatest.
const WIDTH_SDS: f64 = 2.8;
const ROUNDS: usize = 80;
/// No bell is narrower.
const SD_MIN: f64 = 0.02;

/// First quartile, median and third quartile of the excess, in whole seconds. `sources`: those whose window has passed.
///
/// ```
/// use coral_operators::events::{lag::lag_law_s, windows::Windows};
/// let windows = Windows::new(240);
/// let sources: Vec<i64> = (0..20).map(|i| i * 36_000_000).collect();
/// let targets: Vec<i64> = sources.iter().map(|at| at + 15_000).collect();
/// let first = windows.all[0];
/// assert_eq!(lag_law_s(&sources, &targets, first, 240, 0.001), [15, 15, 15]);
/// ```
pub fn lag_law_s(sources: &[i64], targets: &[i64], window: Window, max_lag_min: u32, chance: f64) -> [i32; 3] {
    lag_law(sources, targets, window, max_lag_min, chance)
        .map(|min| (min * (MINUTE_MS / SECOND_MS) as f64 + 0.5).floor() as i32)
}

fn lag_law(sources: &[i64], targets: &[i64], window: Window, max_lag_min: u32, chance: f64) -> [f64; 3] {
    let (start, end) = (f64::from(window.start_min), f64::from(window.end_min));
    let width = end - start;
    let margin = width.max(MARGIN_MIN);
    let (low, high) = ((start - margin).max(0.0), (end + margin).min(f64::from(max_lag_min)));
    let lags = lags_between(sources, targets, low, high);
    if lags.len() < 2 {
        return lags.first().map_or([start, (start + end) / 2.0, end], |only| [*only; 3]);
    }
    let count = lags.len() as f64;
    let inside: Vec<f64> = lags.iter().copied().filter(|lag| *lag > start && *lag <= end).collect();
    let hits = inside.len() as f64;
    let expected = sources.len() as f64 * chance;
    let extra = (hits - expected).max(0.1 * hits).max(1.0);
    let by_chance = expected.min(0.9 * hits);
    let mut at = (start + end) / 2.0;
    if hits > 0.0 {
        at = ((inside.iter().sum::<f64>() - by_chance * at) / (hits - by_chance).max(1.0)).clamp(start, end);
    }
    let sd_window = width / WIDTH_SDS;
    let (mut sd, mut share) = (sd_window, (extra / count).min(0.999));
    let pull = PULL * expected;
    let mut weights = vec![0.0; lags.len()];
    for _ in 0..ROUNDS {
        let before = (at, sd, share);
        let background = (1.0 - share) / (high - low);
        for (weight, lag) in weights.iter_mut().zip(&lags) {
            let z = (lag - at) / sd;
            let bell = share * exp(-0.5 * z * z) / (sd * sqrt(2.0 * std::f64::consts::PI));
            *weight = bell / (bell + background);
        }
        let total: f64 = weights.iter().sum();
        at = weights.iter().zip(&lags).map(|(weight, lag)| weight * lag).sum::<f64>() / total;
        share = (total / count).clamp(0.01, 0.999);
        let spread: f64 = weights.iter().zip(&lags).map(|(weight, lag)| weight * (lag - at) * (lag - at)).sum();
        sd = sqrt((spread + pull * sd_window * sd_window) / (total + pull)).max(SD_MIN);
        // further rounds would only repeat this one
        if (at, sd, share) == before {
            break;
        }
    }
    [0.25, 0.5, 0.75].map(|share| weighted_quantile(&lags, &weights, share))
}

/// Lags in `(low, high]` minutes, rising.
fn lags_between(sources: &[i64], targets: &[i64], low: f64, high: f64) -> Vec<f64> {
    let (low_ms, high_ms) = ((low * MINUTE_MS as f64) as i64, (high * MINUTE_MS as f64) as i64);
    let mut lags: Vec<i64> = Vec::new();
    for source in sources {
        let first = targets.partition_point(|target| target - source <= low_ms);
        lags.extend(targets[first..].iter().map(|target| target - source).take_while(|lag| *lag <= high_ms));
    }
    lags.sort_unstable();
    lags.into_iter().map(|lag| lag as f64 / MINUTE_MS as f64).collect()
}

/// The value at which a share of the weight is reached, each weight spread half before and half after its value; linear
/// between values.
fn weighted_quantile(values: &[f64], weights: &[f64], share: f64) -> f64 {
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let mut before: Option<(f64, f64)> = None;
    for (value, weight) in values.iter().zip(weights) {
        sum += weight;
        let reached = (sum - weight / 2.0) / total;
        if reached >= share {
            return match before {
                Some((known, at)) if reached > at => known + (value - known) * (share - at) / (reached - at),
                _ => *value,
            };
        }
        before = Some((*value, reached));
    }
    before.map_or(0.0, |(value, _)| value)
}
