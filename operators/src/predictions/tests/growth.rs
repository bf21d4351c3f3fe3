//! How often the row of a prediction changes: `prediction_revisions` has a row for each time.

use super::rows::predictions;
use crate::events::tests::support::{Chain, stamp};
use crate::events::{EventParams, EventStamp};
use crate::predictions::PREDICTIONS;
use model::derived::Value;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeMap;

const BEGIN: TimeMs = TimeMs(19_003 * DAY_MS);
const DAYS: i64 = 45;

/// Two sources a day, of which the last of every week is not followed, and another event of the target's colony each hour
/// except for one day a week; by time.
fn history() -> Vec<EventStamp> {
    let mut events = Vec::new();
    for half_day in 0..2 * DAYS {
        let at = BEGIN + half_day * DAY_MS / 2 + (half_day * half_day * 37 % 11) * HOUR_MS / 2;
        events.push(stamp("staging", "deploy", at, &format!("deploy-{half_day}")));
        if half_day % 14 != 13 {
            let at = at + (130 + half_day % 5) * MINUTE_MS;
            events.push(stamp("production", "error_spike", at, &format!("spike-{half_day}")));
        }
    }
    for hour in (0..DAYS * 24).filter(|hour| hour / 24 % 7 != 6) {
        let at = BEGIN + hour * HOUR_MS + hour * 7_919_000 % HOUR_MS;
        events.push(stamp("production", "heartbeat", at, &format!("heartbeat-{hour}")));
    }
    events.sort_by_key(|event| event.at);
    events
}

/// The outcomes that the row of each prediction had, in turn, while the events came one by one, each with an evaluation; and
/// how many rows there are at the end.
fn outcomes_in_turn(events: Vec<EventStamp>) -> (BTreeMap<Vec<Value>, Vec<Value>>, usize) {
    let params = EventParams { horizon_ms: 10 * DAY_MS, ..EventParams::default() };
    let mut chain = Chain::new(&params, 1);
    let mut outcomes: BTreeMap<Vec<Value>, Vec<Value>> = BTreeMap::new();
    for event in events {
        let now = event.at;
        let before = chain.rows.clone();
        chain.apply(vec![(event, 1)]);
        chain.forget_before(now - params.keep_ms());
        chain.evaluate(now);
        let news = chain.rows.iter().filter(|(place, row)| before.get(*place) != Some(*row));
        for (_, row) in news.filter(|(_, row)| row.table == PREDICTIONS) {
            outcomes.entry(row.key.clone()).or_default().push(row.content[11].clone());
        }
    }
    (outcomes, predictions(&chain).len())
}

/// Open, and then a hit or a miss; void in between while the target's colony is silent. No evaluation adds another row.
#[test]
fn a_prediction_changes_with_its_outcome_and_not_with_each_evaluation() {
    let events = history();
    let evaluations = events.len();
    let (of_each, stored) = outcomes_in_turn(events);
    let mut counts: BTreeMap<Vec<Value>, usize> = BTreeMap::new();
    for outcomes in of_each.into_values() {
        *counts.entry(outcomes).or_default() += 1;
    }
    let text = |text: &str| Value::Text(text.to_owned());
    let possible = [
        vec![text("open")],
        vec![text("open"), text("hit")],
        vec![text("open"), text("miss")],
        vec![text("open"), text("void")],
        vec![text("open"), text("void"), text("miss")],
    ];
    assert!(counts.keys().all(|outcomes| possible.contains(outcomes)), "{counts:?}");
    assert!(possible[1..3].iter().all(|outcomes| counts.contains_key(outcomes)), "{counts:?}");
    let predictions: usize = counts.values().sum();
    assert_eq!(predictions, stored);
    assert!(predictions > 50 && evaluations > 10 * predictions, "{predictions} predictions, {evaluations} evaluations");
}
