//! The lag of a pattern: the median of the excess over chance, and its interquartile range.
//!
//! Sources are not matched with targets for this: if sources outnumber targets, a matching pairs each target with the
//! earliest source that reaches it, and the lag drifts to the end of the window. Instead all lags around the window are
//! taken, each with the probability that it is no chance: one bell over a flat background, fitted by EM.
//!
//! The pairs with their weights are kept as evidence, so that a query of it gives the lag again. Weights are multiples of
//! 2^-20: sums of them are exact, in whatever order a database adds.

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
/// Weights are multiples of one over this.
const WEIGHT_STEPS: f64 = (1 << 20) as f64;
/// Of more pairs, so many of neighbouring lags are represented by the middle one that no more are left.
const PAIRS_MAX: usize = 2_000;

/// Bits of a chance level that count: it moves with the present, and weights that followed each step would be written
/// again with each evaluation.
const CHANCE_BITS: u32 = 10;

/// The law of a lag.
#[derive(Clone, Debug, PartialEq)]
pub struct LagLaw {
    /// First quartile, median and third quartile of the excess, in whole seconds: the weighted quartiles of `pairs`.
    pub quartiles_s: [i32; 3],
    /// The pairs that are not mere chance, by lag and then by source.
    pub pairs: Vec<LagPair>,
}

/// A source and a target around the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LagPair {
    /// Time of the source.
    pub source_at: i64,
    /// Time of the target.
    pub target_at: i64,
    /// Weight relative to the most certain pair, which has 1.
    pub weight: f64,
}

impl LagPair {
    fn lag_ms(&self) -> i64 {
        self.target_at - self.source_at
    }

    fn lag_min(&self) -> f64 {
        self.lag_ms() as f64 / MINUTE_MS as f64
    }
}

/// The law of the excess over chance. `sources`: those that are decided. Times must rise.
///
/// ```
/// use coral_operators::events::{lag::lag_law, windows::Windows};
/// let windows = Windows::new(240);
/// let sources: Vec<i64> = (0..20).map(|i| i * 36_000_000).collect();
/// let targets: Vec<i64> = sources.iter().map(|at| at + 15_000).collect();
/// let law = lag_law(&sources, &targets, windows.all[0], 240, 0.001);
/// assert_eq!(law.quartiles_s, [15, 15, 15]);
/// assert!(law.pairs.len() == 20 && law.pairs.iter().all(|pair| pair.weight == 1.0));
/// ```
pub fn lag_law(sources: &[i64], targets: &[i64], window: Window, max_lag_min: u32, chance: f64) -> LagLaw {
    let (start, end) = (f64::from(window.start_min), f64::from(window.end_min));
    let width = end - start;
    let margin = width.max(MARGIN_MIN);
    let (low, high) = ((start - margin).max(0.0), (end + margin).min(f64::from(max_lag_min)));
    let mut pairs = pairs_between(sources, targets, low, high);
    if pairs.len() < 2 {
        let quartiles = pairs.first().map_or([start, (start + end) / 2.0, end], |only| [only.lag_min(); 3]);
        return LagLaw { quartiles_s: quartiles.map(whole_seconds), pairs };
    }
    let lags: Vec<f64> = pairs.iter().map(LagPair::lag_min).collect();
    let count = lags.len() as f64;
    let inside: Vec<f64> = lags.iter().copied().filter(|lag| *lag > start && *lag <= end).collect();
    let hits = inside.len() as f64;
    let expected = sources.len() as f64 * coarse(chance);
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
    let greatest = weights.iter().copied().fold(0.0, f64::max);
    for (pair, weight) in pairs.iter_mut().zip(&weights) {
        pair.weight = (weight / greatest * WEIGHT_STEPS).round() / WEIGHT_STEPS;
    }
    pairs.retain(|pair| pair.weight > 0.0);
    let pairs = represented(pairs);
    LagLaw { quartiles_s: [0.25, 0.5, 0.75].map(|share| whole_seconds(weighted_quantile(&pairs, share))), pairs }
}

/// A number to its first [`CHANCE_BITS`] binary digits.
fn coarse(number: f64) -> f64 {
    let dropped = f64::MANTISSA_DIGITS - 1 - CHANCE_BITS;
    f64::from_bits(number.to_bits() & !((1_u64 << dropped) - 1))
}

fn whole_seconds(minutes: f64) -> i32 {
    (minutes * (MINUTE_MS / SECOND_MS) as f64 + 0.5).floor() as i32
}

/// At most [`PAIRS_MAX`] pairs, each with the weight of its neighbours.
fn represented(pairs: Vec<LagPair>) -> Vec<LagPair> {
    if pairs.len() <= PAIRS_MAX {
        return pairs;
    }
    let middle =
        |group: &[LagPair]| LagPair { weight: group.iter().map(|pair| pair.weight).sum(), ..group[group.len() / 2] };
    pairs.chunks(pairs.len().div_ceil(PAIRS_MAX)).map(middle).collect()
}

/// Pairs with a lag in `(low, high]` minutes, by lag and then by source.
fn pairs_between(sources: &[i64], targets: &[i64], low: f64, high: f64) -> Vec<LagPair> {
    let (low_ms, high_ms) = ((low * MINUTE_MS as f64) as i64, (high * MINUTE_MS as f64) as i64);
    let mut pairs: Vec<LagPair> = Vec::new();
    for source in sources {
        let first = targets.partition_point(|target| target - source <= low_ms);
        let within = targets[first..].iter().take_while(|target| *target - source <= high_ms);
        pairs.extend(within.map(|target| LagPair { source_at: *source, target_at: *target, weight: 1.0 }));
    }
    pairs.sort_unstable_by_key(|pair| (pair.lag_ms(), pair.source_at));
    pairs
}

/// The lag in minutes at which a share of the weight is reached, each weight spread half before and half after its lag;
/// linear between lags.
fn weighted_quantile(pairs: &[LagPair], share: f64) -> f64 {
    let total: f64 = pairs.iter().map(|pair| pair.weight).sum();
    let mut sum = 0.0;
    let mut before: Option<(f64, f64)> = None;
    for pair in pairs {
        let value = pair.lag_min();
        sum += pair.weight;
        let reached = (sum - pair.weight / 2.0) / total;
        if reached >= share {
            return match before {
                Some((known, at)) if reached > at => known + (value - known) * (share - at) / (reached - at),
                _ => value,
            };
        }
        before = Some((value, reached));
    }
    before.map_or(0.0, |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::windows::Windows;

    /// Many pairs are represented by a few, which give the same lag to within their distance; what is added is exact.
    #[test]
    fn of_many_pairs_a_bounded_number_is_kept() {
        let sources: Vec<i64> = (0..1_500).map(|i| i * 10 * MINUTE_MS).collect();
        let targets: Vec<i64> = sources.iter().map(|at| at + 30 * MINUTE_MS).collect();
        let windows = Windows::new(240);
        let wide = windows.all.iter().find(|window| (window.start_min, window.end_min) == (0, 64)).copied();
        let wide = wide.unwrap_or(windows.all[0]);
        let all = pairs_between(&sources, &targets, 0.0, 154.0);
        let law = lag_law(&sources, &targets, wide, 240, 6.4);
        assert!(all.len() > 10_000 && law.pairs.len() <= PAIRS_MAX && law.pairs.len() > PAIRS_MAX / 4);
        let mut backwards = law.pairs.clone();
        backwards.reverse();
        let sum = |pairs: &[LagPair]| pairs.iter().map(|pair| pair.weight).sum::<f64>();
        assert_eq!(sum(&law.pairs).to_bits(), sum(&backwards).to_bits());
        assert_eq!(
            law,
            lag_law(&sources, &targets, wide, 240, 6.401),
            "a chance level that moves a little changes nothing"
        );
        let [low, middle, high] = law.quartiles_s;
        assert!(low <= middle && middle <= high && (0..=154 * 60).contains(&middle), "{:?}", law.quartiles_s);
    }
}
