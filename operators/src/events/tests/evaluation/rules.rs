//! Simpler rules, for comparison: three within four hours, and a binomial test of that with Benjamini-Hochberg.

use super::histories::History;
use model::time::{DAY_MS, HOUR_MS};
use std::collections::{BTreeMap, BTreeSet};

/// Source and target, each as `colony type`.
pub type Pair = (String, String);

const WINDOW_MS: i64 = 4 * HOUR_MS;
const OCCURRENCES_MIN: usize = 3;
const FALSE_DISCOVERY_RATE: f64 = 0.05;

/// A rule.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// That of RFD 003: at least three sources with the target within four hours.
    Naive,
    /// The same count against a flat rate, at 5 % false discoveries.
    BenjaminiHochberg,
}

/// The onsets of each type, sorted.
fn types(history: &History) -> BTreeMap<(&str, String), Vec<i64>> {
    let mut types: BTreeMap<(&str, String), Vec<i64>> = BTreeMap::new();
    for event in &history.events {
        let name = format!("{} {}", event.key.colony_id, event.key.event_type);
        types.entry((event.key.colony_id.as_ref(), name)).or_default().push(event.at.0);
    }
    types.values_mut().for_each(|times| times.sort_unstable());
    types
}

/// Every ordered pair of types of different colonies, with its sources, its targets, and how many sources are followed.
pub fn pairs(history: &History) -> Vec<(Pair, [usize; 3])> {
    let types = types(history);
    let mut pairs = Vec::new();
    for ((source_colony, source), sources) in &types {
        for ((target_colony, target), targets) in &types {
            if source_colony == target_colony {
                continue;
            }
            let is_followed = |at: &&i64| {
                let next = targets.partition_point(|target| *target <= **at);
                targets.get(next).is_some_and(|target| target - **at <= WINDOW_MS)
            };
            let followed = sources.iter().filter(is_followed).count();
            pairs.push(((source.clone(), target.clone()), [sources.len(), targets.len(), followed]));
        }
    }
    pairs
}

impl Rule {
    pub const ALL: [Rule; 2] = [Rule::Naive, Rule::BenjaminiHochberg];

    pub fn name(self) -> &'static str {
        match self {
            Rule::Naive => "3 within 4 h",
            Rule::BenjaminiHochberg => "binomial, Benjamini-Hochberg",
        }
    }

    /// The pairs that it reports.
    pub fn found(self, history: &History) -> BTreeSet<Pair> {
        let pairs = pairs(history);
        match self {
            Rule::Naive => {
                pairs.into_iter().filter(|(_, [.., k])| *k >= OCCURRENCES_MIN).map(|(pair, _)| pair).collect()
            }
            Rule::BenjaminiHochberg => benjamini_hochberg(pairs, history.days),
        }
    }
}

fn benjamini_hochberg(pairs: Vec<(Pair, [usize; 3])>, days: i64) -> BTreeSet<Pair> {
    let log_factorials = log_factorials(pairs.iter().map(|(_, [sources, ..])| *sources).max().unwrap_or(0));
    let mut tested: Vec<(f64, Pair)> = pairs
        .into_iter()
        .filter(|(_, [sources, targets, _])| *sources >= OCCURRENCES_MIN && *targets >= OCCURRENCES_MIN)
        .map(|(pair, [sources, targets, followed])| {
            let mean = targets as f64 * WINDOW_MS as f64 / (days * DAY_MS) as f64;
            (tail(sources, followed, 1.0 - (-mean).exp(), &log_factorials), pair)
        })
        .collect();
    tested.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all = tested.len() as f64;
    let last =
        tested.iter().enumerate().rposition(|(rank, (p, _))| *p <= FALSE_DISCOVERY_RATE * (rank + 1) as f64 / all);
    tested.truncate(last.map_or(0, |last| last + 1));
    tested.into_iter().map(|(_, pair)| pair).collect()
}

fn log_factorials(up_to: usize) -> Vec<f64> {
    let mut all = vec![0.0];
    for n in 1..=up_to {
        all.push(all[n - 1] + (n as f64).ln());
    }
    all
}

/// P(X >= k) of a binomial.
fn tail(n: usize, k: usize, p: f64, log_factorials: &[f64]) -> f64 {
    let log_choose = |i: usize| log_factorials[n] - log_factorials[i] - log_factorials[n - i];
    (k..=n).map(|i| (log_choose(i) + i as f64 * p.ln() + (n - i) as f64 * (-p).ln_1p()).exp()).sum::<f64>().min(1.0)
}

#[test]
fn the_tail_of_a_binomial_is_known() {
    let table = log_factorials(10);
    assert!((tail(10, 0, 0.3, &table) - 1.0).abs() < 1e-12);
    assert!((tail(10, 10, 0.5, &table) - 1.0 / 1024.0).abs() < 1e-12);
    assert!((tail(3, 2, 0.5, &table) - 0.5).abs() < 1e-12);
}
