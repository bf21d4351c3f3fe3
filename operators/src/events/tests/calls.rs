//! Calls between services weigh pairs: for any order, steps and shards as the oracle says, and as long as they were seen
//! within the look-back.

use super::fleets::{event, fleet, latest, params};
use super::support::{Chain, assert_same};
use crate::calls::Call;
use crate::events::EventStamp;
use crate::reference;
use model::event::EventTypeKey;
use model::pattern::{Finding, PatternState};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;

const SERVICES: [&str; 4] = ["web", "cart", "pay", "*"];

/// The event in the service of its colony: each has one.
fn in_service(event: EventStamp) -> EventStamp {
    let place = ["a", "b", "c", "d"].iter().position(|colony| *colony == event.key.colony_id).unwrap_or(0);
    let service_id = crate::events::levels::service_of(SERVICES[place]);
    EventStamp { key: EventTypeKey { service_id, ..event.key }, ..event }
}

fn call(colony: &str, from: usize, to: usize, seen_at: TimeMs) -> Call {
    let [from_service, to_service] = [from, to].map(|place| SERVICES[place].to_owned());
    Call { colony_id: colony.to_owned(), from_service, to_service, seen_at }
}

/// Calls in any colony, some of them last seen before the look-back.
fn calls() -> impl Strategy<Value = Vec<Call>> {
    let one = (0..5usize, 0..4usize, 1..4usize, -12..8i64).prop_map(|(colony, from, way, day)| {
        call(["a", "b", "c", "d", "e"][colony], from, (from + way) % 4, TimeMs((19_003 + day) * DAY_MS))
    });
    vec(one, 0..8)
}

/// Feeds events and calls in steps, evaluates from time to time, and returns the final findings.
fn feed(events: &[EventStamp], calls: &[Call], step: usize, peers: usize, now: TimeMs) -> Vec<Finding> {
    let mut chain = Chain::new(&params(), peers);
    let mut calls = calls.iter().cloned();
    for (index, chunk) in events.chunks(step).enumerate() {
        chain.apply(chunk.iter().cloned().map(|event| (event, 1)).collect());
        chain.apply_calls(calls.by_ref().take(2));
        if index % 2 == 1 {
            chain.evaluate(latest(&events[..index * step + chunk.len()]).unwrap());
        }
    }
    chain.apply_calls(calls);
    chain.evaluate(now);
    chain.forget_before(now - params().keep_ms());
    chain.evaluate(now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn pairs_of_linked_services_are_weighed_as_by_the_oracle(
        (events, shuffled) in fleet().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        calls in calls(),
        step in 15..80usize,
    ) {
        let Some(now) = latest(&events) else { return Ok(()) };
        let [events, shuffled] = [events, shuffled].map(|all| all.into_iter().map(in_service).collect::<Vec<_>>());
        let set: BTreeSet<Call> = calls.iter().cloned().collect();
        let expected = reference::events::findings(&events.iter().cloned().collect(), &set, &params(), now);
        let at_once = feed(&shuffled, &calls, shuffled.len().max(1), 1, now);
        assert_same(&at_once, &expected);
        let backwards: Vec<Call> = calls.iter().rev().chain(&calls).cloned().collect();
        prop_assert_eq!(&feed(&events, &backwards, step, 3, now), &at_once);
    }
}

/// Seven occurrences of one relation, among eight independent types.
fn weak() -> Vec<EventStamp> {
    let mut events = Vec::new();
    for index in 0..7 {
        let at = 5 * DAY_MS + index * 9 * HOUR_MS + (index * index * 611_953) % (2 * HOUR_MS);
        events.push(event(0, at, events.len()));
        events.push(event(5, at + 12 * MINUTE_MS, events.len()));
    }
    for kind in 0..8 {
        for index in 0..6 {
            let at = 5 * DAY_MS + (index * 11 + kind as i64 * 3) * HOUR_MS + (kind as i64 + 1) * index * 1_700_000;
            events.push(event(kind, at, events.len()));
        }
    }
    events.into_iter().map(in_service).collect()
}

fn q_value(calls: &[Call]) -> f64 {
    let events = weak();
    let now = latest(&events).unwrap();
    let mut chain = Chain::new(&params(), 1);
    chain.apply(events.into_iter().map(|event| (event, 1)).collect());
    // the first evaluation is without calls
    chain.evaluate(now);
    chain.apply_calls(calls.iter().cloned());
    let found = chain.evaluate(now);
    let is_meant = |finding: &&Finding| {
        let key = &finding.correlation.key;
        let ends = [&key.source, &key.target].map(|end| (&*end.colony_id, &*end.name));
        ends == [("a", "deploy"), ("b", "alert")]
    };
    let found = found.iter().find(is_meant).unwrap();
    assert_ne!(found.correlation.state, PatternState::Withdrawn);
    found.correlation.q_value.0
}

#[test]
fn a_call_of_either_colony_gives_a_pair_more_weight_while_it_was_seen_within_the_look_back() {
    let now = latest(&weak()).unwrap();
    let without = q_value(&[]);
    assert!(without > 0.0 && without < 0.1, "{without}");
    // the pair weighs ten times as much, all of them together a little more
    for linked in [call("a", 0, 1, now), call("b", 0, 1, now), call("a", 1, 0, now - params().keep_ms())] {
        let with = q_value(std::slice::from_ref(&linked));
        assert!(with < without / 3.0 && with > without / 10.0, "{with} instead of {without}: {linked:?}");
    }
    let not_of_them = [call("c", 0, 1, now), call("a", 0, 2, now), call("a", 0, 1, now - params().keep_ms() - 1)];
    // another pair weighs more, or none does
    for other in not_of_them {
        let with = q_value(std::slice::from_ref(&other));
        assert!(with >= without, "{with} instead of {without}: {other:?}");
    }
}
