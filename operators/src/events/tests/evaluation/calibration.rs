//! Whether predictions come true as often as they say.

use super::super::support::Chain;
use crate::predictions::PREDICTIONS;
use fixtures::tally::{interval, percent, table};
use model::derived::Value;
use model::real::Real;
use std::collections::BTreeMap;

/// Patterns with fewer decided predictions say nothing about their own rate.
const DECIDED_MIN: usize = 5;
/// Stated probabilities are grouped by these parts of the range.
const BINS: usize = 5;

/// A prediction that was decided.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// The probability that it stated.
    pub probability: f64,
    /// Whether the target came.
    pub is_hit: bool,
}

/// Those of one pattern.
pub type OfPattern = Vec<Decided>;

/// The decided predictions of a run, by pattern.
pub fn decided(chain: &Chain) -> Vec<OfPattern> {
    let mut patterns: BTreeMap<&str, OfPattern> = BTreeMap::new();
    for row in chain.rows.values().filter(|row| row.table == PREDICTIONS) {
        let (Value::Text(pattern), Value::Real(Real(probability)), Value::Text(outcome)) =
            (&row.content[0], &row.content[10], &row.content[11])
        else {
            panic!("no prediction: {row:?}");
        };
        if ["hit", "miss"].contains(&outcome.as_str()) {
            let one = Decided { probability: *probability, is_hit: outcome == "hit" };
            patterns.entry(pattern).or_default().push(one);
        }
    }
    patterns.into_values().collect()
}

fn hits(of: &[Decided]) -> u64 {
    of.iter().filter(|one| one.is_hit).count() as u64
}

/// The mean of what they stated.
fn stated(of: &[Decided]) -> f64 {
    of.iter().map(|one| one.probability).sum::<f64>() / of.len() as f64
}

/// Of the patterns with enough decided predictions, how many state a probability inside the interval of their own rate.
pub fn inside(patterns: &[OfPattern]) -> (u64, u64) {
    let known: Vec<&OfPattern> = patterns.iter().filter(|of| of.len() >= DECIDED_MIN).collect();
    let is_inside = |of: &&&OfPattern| {
        let (low, high) = interval(hits(of), of.len() as u64);
        (low..=high).contains(&stated(of))
    };
    (known.iter().filter(is_inside).count() as u64, known.len() as u64)
}

/// The section of the report.
pub fn section(patterns: &[OfPattern]) -> String {
    let all: Vec<Decided> = patterns.iter().flatten().copied().collect();
    let bin = |probability: f64| ((probability * BINS as f64) as usize).min(BINS - 1);
    let row = |place: usize| {
        let of: Vec<Decided> = all.iter().filter(|one| bin(one.probability) == place).copied().collect();
        let (count, hits) = (of.len() as u64, hits(&of));
        let (low, high) = interval(hits, count);
        let edge = |place: usize| format!("{:.1}", place as f64 / BINS as f64);
        let stated = if of.is_empty() { "–".to_owned() } else { format!("{:.1} %", stated(&of) * 100.0) };
        let came = format!("{} ({:.1} to {:.1} %)", percent(hits, count), low * 100.0, high * 100.0);
        vec![format!("{} to {}", edge(place), edge(place + 1)), count.to_string(), stated, came]
    };
    let (inside, known) = inside(patterns);
    format!(
        "\n## Predictions\n\nThe decided predictions of the histories with planted relations, by the probability that they \
         stated when their source came. Each uses only what was known at the end of the day before. They are those of \
         about the last half of each history. One whose target's colony was not heard of afterwards is void and not \
         counted.\n{}\nOf {known} patterns with at least {DECIDED_MIN} decided predictions, {inside} ({}) state a \
         probability inside the 95 % interval of their own rate. Wanted: 90 %.\n",
        table(&["stated", "predictions", "stated, mean", "came true (95 %)"], &(0..BINS).map(row).collect::<Vec<_>>()),
        percent(inside, known)
    )
}

#[test]
fn a_pattern_is_inside_where_it_states_its_own_rate() {
    let of = |probability: f64, hits: usize, misses: usize| -> OfPattern {
        let one = |is_hit: bool| Decided { probability, is_hit };
        [vec![one(true); hits], vec![one(false); misses]].concat()
    };
    let (right, wrong, few) = (of(0.8, 8, 2), of(0.9, 5, 5), of(0.8, 0, 4));
    assert_eq!(inside(&[right.clone(), wrong.clone(), few.clone()]), (1, 2));
    let page = section(&[right, wrong, few]);
    // ten of 0.8 and four of it; ten of 0.9
    assert!(page.contains("| 0.8 to 1.0 | 24 | 84.2 % | 54.2 % ("), "{page}");
    assert!(page.contains("| 0.0 to 0.2 | 0 | – | – ("), "{page}");
}
