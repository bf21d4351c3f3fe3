//! Scores: how good the predictions of a pattern were, over a number of days.

use crate::predicted::{PatternDay, PredictionLine, PredictionOutcome, Record};
use model::time::{DAY_MS, TimeMs};
use serde::Serialize;

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// How good predictions were. Shares are 0 to 1; what has no value is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Over this many days up to the newest prediction of the reef.
    pub days: i64,
    /// What became of them.
    #[serde(flatten)]
    pub record: Record,
    /// Share of hits among hits and misses.
    pub precision: Option<f64>,
    /// Low end of its 95 % interval (Wilson).
    pub precision_low: Option<f64>,
    /// High end of it.
    pub precision_high: Option<f64>,
    /// Targets on the days on which the pattern predicted.
    pub target_count: u64,
    /// Share of them that a prediction announced.
    pub recall: Option<f64>,
    /// Mean square of probability less outcome.
    pub brier_score: Option<f64>,
    /// One less the ratio of that to the score of the chance level: 1 is perfect, 0 is no better than chance.
    pub skill: Option<f64>,
    /// From a source to its target, of hits.
    pub lead_seconds_median: Option<i64>,
}

/// The score of a pattern's predictions and days over the days before `newest`.
pub(super) fn score(lines: &[&PredictionLine], pattern_days: &[&PatternDay], newest: TimeMs, days: i64) -> Score {
    let since = newest - days * DAY_MS;
    let lines: Vec<&PredictionLine> = lines.iter().copied().filter(|line| line.times.issued > since).collect();
    let record = Record::of(lines.iter().copied());
    let decided: Vec<(&PredictionLine, f64)> = lines
        .iter()
        .filter_map(|line| match line.outcome {
            PredictionOutcome::Hit => Some((*line, 1.0)),
            PredictionOutcome::Miss => Some((*line, 0.0)),
            PredictionOutcome::Open | PredictionOutcome::Void => None,
        })
        .collect();
    let count = decided.len() as f64;
    let mean_square = |stated: fn(&PredictionLine) -> f64| {
        let sum: f64 = decided.iter().map(|(line, came)| (stated(line) - came).powi(2)).sum();
        (count > 0.0).then(|| sum / count)
    };
    let (brier_score, by_chance) = (mean_square(|line| line.probability), mean_square(|line| line.chance_level));
    let own_days = pattern_days.iter().filter(|day| day.muted.is_none() && day.day > since - DAY_MS);
    let target_count: u64 = own_days.map(|day| day.targets).sum();
    let recall = (target_count > 0).then(|| (record.hits as f64 / target_count as f64).min(1.0));
    let interval = (count > 0.0).then(|| wilson(record.hits as f64, count));
    let mut leads: Vec<i64> = lines
        .iter()
        .filter(|line| line.outcome == PredictionOutcome::Hit)
        .filter_map(|line| Some((line.times.resolved? - line.times.issued) / 1_000))
        .collect();
    leads.sort_unstable();
    Score {
        days,
        record,
        precision: (count > 0.0).then(|| record.hits as f64 / count),
        precision_low: interval.map(|(low, _)| low),
        precision_high: interval.map(|(_, high)| high),
        target_count,
        recall,
        brier_score,
        skill: brier_score.zip(by_chance).filter(|(_, chance)| *chance > 0.0).map(|(own, chance)| 1.0 - own / chance),
        lead_seconds_median: leads.get(leads.len().saturating_sub(1) / 2).copied(),
    }
}

/// Wilson's 95 % interval of a share.
fn wilson(hits: f64, count: f64) -> (f64, f64) {
    let (share, square) = (hits / count, Z * Z);
    let middle = share + square / (2.0 * count);
    let half = Z * (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt();
    let of = |end: f64| (end / (1.0 + square / count)).clamp(0.0, 1.0);
    (of(middle - half), of(middle + half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_wilsons() {
        // Newcombe (1998): 81 of 263
        let (low, high) = wilson(81.0, 263.0);
        assert!((low - 0.2553).abs() < 1e-4 && (high - 0.3662).abs() < 1e-4, "{low} {high}");
        let (low, high) = wilson(5.0, 5.0);
        assert!((low - 0.5655).abs() < 1e-4 && (high - 1.0).abs() < 1e-9, "{low} {high}");
    }
}
