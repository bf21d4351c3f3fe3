//! A year of releases, day by day: what the patterns learnt so far predict in its last quarter.

use super::rows::{Prediction, predictions};
use crate::events::tests::releases::{Releases, all};
use crate::events::tests::support::Chain;
use crate::events::{EventParams, EventStamp};
use model::time::{DAY_MS, MINUTE_MS};

/// How often the year is evaluated: well inside what is kept current.
const STEP_MS: i64 = 6 * DAY_MS;

/// The predictions of a year that is fed by time.
fn told(mut events: Vec<EventStamp>) -> Vec<Prediction> {
    let params = EventParams::default();
    let mut chain = Chain::new(&params, 1);
    events.sort_by_key(|event| event.at);
    for chunk in events.chunk_by(|a, b| a.at.floor_to(STEP_MS) == b.at.floor_to(STEP_MS)) {
        chain.apply(chunk.iter().cloned().map(|event| (event, 1)).collect());
        let now = chunk[chunk.len() - 1].at;
        chain.forget_before(now - params.keep_ms());
        chain.evaluate(now);
    }
    predictions(&chain)
}

#[test]
fn most_predictions_of_the_last_quarter_come_true() {
    for Releases { name, events, .. } in all() {
        let (first, last) = (events.iter().map(|event| event.at).min(), events.iter().map(|event| event.at).max());
        let (first, last) = (first.unwrap(), last.unwrap());
        let since = first + (last - first) / 4 * 3;
        let all = told(events);
        let own: Vec<&Prediction> = all.iter().filter(|one| one.issued_at >= since).collect();
        let count = |outcome: &str| own.iter().filter(|one| one.outcome == outcome).count();
        let (hits, misses, voids) = (count("hit"), count("miss"), count("void"));
        let decided: Vec<&&Prediction> = own.iter().filter(|one| ["hit", "miss"].contains(&&*one.outcome)).collect();
        let mean = |value: &dyn Fn(&Prediction) -> f64| {
            decided.iter().map(|one| value(one)).sum::<f64>() / decided.len() as f64
        };
        let came = |one: &Prediction| f64::from(u8::from(one.outcome == "hit"));
        let brier = mean(&|one| (one.probability - came(one)).powi(2));
        let by_chance = mean(&|one| (one.chance_level - came(one)).powi(2));
        let mut leads: Vec<i64> = own
            .iter()
            .filter(|one| one.outcome == "hit")
            .map(|one| (one.resolved_at.unwrap() - one.issued_at) / MINUTE_MS)
            .collect();
        leads.sort_unstable();
        let stated = mean(&|one| one.probability);
        eprintln!(
            "{name}: {} predictions in the last quarter of {}: {hits} hits, {misses} misses, {voids} void; stated {stated:.3}, \
             came {:.3}; Brier {brier:.3}, by chance {by_chance:.3}, skill {:.3}; lead median {} minutes, quartiles {} and {}",
            own.len(),
            all.len(),
            mean(&came),
            1.0 - brier / by_chance,
            leads[leads.len() / 2],
            leads[leads.len() / 4],
            leads[leads.len() * 3 / 4],
        );
        assert!(decided.len() >= 100, "{name}");
        assert!((stated - mean(&came)).abs() < 0.1, "{name}: probabilities are about what they say");
        assert!(brier < 0.5 * by_chance, "{name}: better than chance");
    }
}
