//! Simpler rules, for comparison: a threshold alone, and with it Benjamini-Hochberg on p-values of Fisher's z, with each
//! minute as a point and with those of two AR(1).

use super::histories::{DAY, History, at};
use crate::metrics::MetricParams;
use crate::metrics::fdr::Family;
use crate::metrics::grid::{Kept, Track};
use crate::metrics::series::Prepared;
use crate::metrics::stats::{autocorrelation, p_value};
use crate::reference::plain::lags::{PlainSeries, Workspace, correlate_lags};
use model::series::SeriesId;
use model::time::MINUTE_MS;
use std::collections::BTreeSet;

/// Two series, by number.
pub type Pair = (usize, usize);

/// A rule.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// That of RFD 003: |r| at the best lag.
    Threshold,
    /// With each minute as a point of its own.
    Fisher,
    /// With as many points as two AR(1) have.
    Ar,
}

/// The best lag of a pair in the last window.
pub struct Best {
    pair: Pair,
    r: f64,
    /// Product of the memories of both.
    memory: f64,
}

/// The best lags of all pairs.
pub fn best(history: &History, params: &MetricParams) -> Vec<Best> {
    let last = history.minutes() - 1;
    let prepared = |values: &Vec<f64>| {
        let kept = |value: &f64| Kept { value: *value, weight: 1, series: SeriesId::default() };
        let seen = values.iter().enumerate().filter(|(_, value)| !value.is_nan());
        let track: Track = seen.map(|(minute, value)| (at(minute).0, kept(value))).collect();
        Prepared::new(&track, params, MINUTE_MS, at(last).0).map(PlainSeries::of)
    };
    let series: Vec<Option<PlainSeries>> = history.series.iter().map(prepared).collect();
    let memory: Vec<f64> =
        history.series.iter().map(|values| autocorrelation(&values[values.len() - DAY..])[0]).collect();
    let (mut work, mut curve, mut out) = (Workspace::default(), Vec::new(), Vec::new());
    for (i, a) in series.iter().enumerate() {
        for (j, b) in series.iter().enumerate().skip(i + 1) {
            let (Some(a), Some(b)) = (a, b) else { continue };
            let mut r = 0.0_f64;
            for (source, target) in [(a, b), (b, a)] {
                correlate_lags(source, target, &mut work, &mut curve);
                r = curve.iter().filter(|r| !r.is_nan()).fold(r, |best, r| best.max(r.abs()));
            }
            out.push(Best { pair: (i, j), r, memory: memory[i] * memory[j] });
        }
    }
    out
}

impl Rule {
    pub const ALL: [Rule; 3] = [Rule::Threshold, Rule::Fisher, Rule::Ar];

    pub fn name(self) -> &'static str {
        match self {
            Rule::Threshold => "\\|r\\| ≥ 0.8",
            Rule::Fisher => "and each minute a point, BH",
            Rule::Ar => "and AR(1) points, BH",
        }
    }

    /// The pairs that it reports.
    pub fn found(self, all: &[Best], params: &MetricParams) -> BTreeSet<Pair> {
        let lags = 2 * params.lag_slots(MINUTE_MS) + 1;
        let points = DAY as f64;
        let chance = |best: &Best| match self {
            Rule::Threshold => 0.0,
            Rule::Fisher => p_value(best.r, points, lags),
            Rule::Ar => p_value(best.r, (points * (1.0 - best.memory) / (1.0 + best.memory)).clamp(3.0, points), lags),
        };
        let family = Family::new(all.iter().map(chance).collect(), all.len());
        let is_found =
            |best: &&Best| best.r >= params.threshold && family.q_value(chance(best)) <= params.false_discovery_rate;
        all.iter().filter(is_found).map(|best| best.pair).collect()
    }
}
