//! Random fleets: for any order, steps, shards and detours, the findings equal those of the oracle.

use super::support::{Chain, assert_same, stamp};
use crate::events::{EventParams, EventStamp};
use crate::reference;
use model::pattern::{Evidence, Finding, PatternState};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::collections::BTreeSet;

const DAYS: i64 = 8;

pub fn params() -> EventParams {
    EventParams { max_lag_ms: 30 * MINUTE_MS, horizon_ms: 3 * DAY_MS, min_days: 1, ..EventParams::default() }
}

fn kind(index: usize) -> (&'static str, &'static str) {
    (["a", "b", "c", "d"][index % 4], ["deploy", "alert"][index / 4 % 2])
}

pub fn event(kind_index: usize, at_ms: i64, serial: usize) -> EventStamp {
    let (colony, event_type) = kind(kind_index);
    // long after 1970, on no particular day
    let mut event = stamp(colony, event_type, TimeMs(19_003 * DAY_MS + at_ms), &format!("{colony}{serial:05}"));
    event.environment = ["production", "staging"][serial % 2].into();
    event
}

/// Random onsets of eight types, some of which follow another for a while.
pub fn fleet() -> impl Strategy<Value = Vec<EventStamp>> {
    let alone = vec(btree_set(0..DAYS * 1440, 0..14), 8);
    let relation = (0..8usize, 1..8usize, 0..25 * MINUTE_MS, 0..3i64, 1..DAYS, btree_set(0..DAYS * 24, 10..70));
    (alone, vec(relation, 0..4)).prop_map(|(alone, relations)| {
        let mut times: BTreeSet<(usize, i64)> = BTreeSet::new();
        for (kind, minutes) in alone.into_iter().enumerate() {
            times.extend(minutes.into_iter().map(|minute| (kind, minute * MINUTE_MS)));
        }
        for (source, distance, lag_ms, jitter, until_day, hours) in relations {
            for hour in hours.into_iter().filter(|hour| *hour < until_day * 24) {
                let at = hour * HOUR_MS + hour * 7_919_000 % HOUR_MS;
                times.insert((source, at));
                times.insert(((source + distance) % 8, at + lag_ms + 1 + jitter * (hour % 5) * 20_000));
            }
        }
        times.into_iter().enumerate().map(|(serial, (kind, at))| event(kind, at, serial)).collect()
    })
}

pub fn latest(events: &[EventStamp]) -> Option<TimeMs> {
    events.iter().map(|event| event.at).max()
}

/// Feeds `order` in steps, with a detour in each, and evaluates from time to time. Returns the final findings.
pub fn feed(order: &[EventStamp], step: usize, peers: usize, now: TimeMs) -> Vec<Finding> {
    let mut chain = Chain::new(&params(), peers);
    let mut seen = None;
    for (index, chunk) in order.chunks(step).enumerate() {
        // an event that is retracted in the next step
        let wrong = event(index % 8, chunk[0].at.0 % (DAYS * DAY_MS) + 60_000, 90_000 + index);
        chain.apply(chunk.iter().cloned().chain([wrong.clone()]).map(|event| (event, 1)).collect());
        seen = seen.max(latest(chunk));
        if index % 3 == 1 {
            chain.evaluate(seen.unwrap());
        }
        chain.apply(vec![(wrong, -1)]);
    }
    chain.evaluate(now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn findings_are_those_of_the_oracle(
        (events, shuffled) in fleet().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        step in 15..80usize,
    ) {
        let Some(now) = latest(&events) else { return Ok(()) };
        let expected = reference::events::findings(&events.iter().cloned().collect(), &BTreeSet::new(), &params(), now);
        let at_once = feed(&shuffled, shuffled.len(), 1, now);
        assert_same(&at_once, &expected);
        // bit for bit, in any order
        let in_order = feed(&events, step, 1, now);
        prop_assert_eq!(&in_order, &at_once);
        let in_shards = feed(&shuffled, step, 3, now);
        prop_assert_eq!(&in_shards, &at_once);
    }

    #[test]
    fn scanning_again_after_any_change_is_like_scanning_afresh(
        events in fleet(), removed in vec(any::<prop::sample::Index>(), 0..30), late in vec((0..8usize, 0..DAYS * DAY_MS), 0..30)
    ) {
        let Some(now) = latest(&events) else { return Ok(()) };
        let mut set: BTreeSet<EventStamp> = events.iter().cloned().collect();
        let mut chain = Chain::new(&params(), 2);
        chain.apply(set.iter().cloned().map(|event| (event, 1)).collect());
        chain.evaluate(now);
        for index in removed {
            let event = index.get(&events);
            if set.remove(event) {
                chain.apply(vec![(event.clone(), -1)]);
            }
        }
        for (serial, (kind, at)) in late.into_iter().enumerate() {
            let event = event(kind, at, 50_000 + serial);
            if set.insert(event.clone()) {
                chain.apply(vec![(event, 1)]);
            }
        }
        let mut afresh = Chain::new(&params(), 1);
        afresh.apply(set.iter().cloned().map(|event| (event, 1)).collect());
        prop_assert_eq!(chain.evaluate(now), afresh.evaluate(now));
    }

    #[test]
    fn following_the_present_in_small_steps_is_like_looking_afresh(
        events in fleet(), late in vec((0..8usize, 0..3 * DAY_MS), 12), steps in vec(0..200i64, 12), peers in 1..3usize
    ) {
        let mut now = TimeMs(19_003 * DAY_MS + 5 * DAY_MS);
        let mut set: BTreeSet<EventStamp> = events.iter().filter(|event| event.at <= now).cloned().collect();
        let mut chain = Chain::new(&params(), peers);
        chain.apply(set.iter().cloned().map(|event| (event, 1)).collect());
        for (serial, (minutes, (kind, before_ms))) in steps.into_iter().zip(late).enumerate() {
            let later = now + minutes * MINUTE_MS;
            let mut fresh: Vec<EventStamp> =
                events.iter().filter(|event| event.at > now && event.at <= later).cloned().collect();
            now = later;
            if serial % 3 == 2 {
                fresh.push(event(kind, now.0 - 19_003 * DAY_MS - before_ms, 60_000 + serial));
            }
            set.extend(fresh.iter().cloned());
            chain.apply(fresh.into_iter().map(|event| (event, 1)).collect());
            if serial % 4 == 3 && let Some(gone) = set.iter().nth(serial * 5).cloned() {
                set.remove(&gone);
                chain.apply(vec![(gone, -1)]);
            }
            let mut afresh = Chain::new(&params(), 1);
            afresh.apply(set.iter().cloned().map(|event| (event, 1)).collect());
            prop_assert_eq!(chain.evaluate(now), afresh.evaluate(now));
        }
    }
}

/// A relation that holds on the first `until_day` days: the source at odd times, the target 12 minutes later.
pub fn planted(days: i64, until_day: i64) -> Vec<EventStamp> {
    let mut events = Vec::new();
    for index in 0..days * 8 {
        let at = index * 3 * HOUR_MS + (index * index * 611_953) % (2 * HOUR_MS);
        events.push(event(0, at, events.len()));
        let lag = if at < until_day * DAY_MS { 12 * MINUTE_MS } else { (index * 7_777_777) % (2 * HOUR_MS) };
        events.push(event(5, at + lag + (index % 7) * 3_000, events.len()));
    }
    events
}

fn states(findings: &[Finding]) -> Vec<(String, PatternState)> {
    let of = |finding: &Finding| {
        let key = &finding.correlation.key;
        (format!("{}>{}", key.source.colony_id, key.target.colony_id), finding.correlation.state)
    };
    findings.iter().map(of).collect()
}

#[test]
fn a_relation_is_confirmed_then_withdrawn_when_it_ends_then_gone() {
    let events = planted(20, 10);
    let at = |day: i64| {
        let now = TimeMs(19_003 * DAY_MS + day * DAY_MS);
        let set: BTreeSet<EventStamp> = events.iter().filter(|event| event.at <= now).cloned().collect();
        let mut chain = Chain::new(&params(), 1);
        chain.apply(set.iter().cloned().map(|event| (event, 1)).collect());
        let found = chain.evaluate(now);
        assert_same(&found, &reference::events::findings(&set, &BTreeSet::new(), &params(), now));
        states(&found)
    };
    assert_eq!(at(9), [("a>b".to_owned(), PatternState::Confirmed)]);
    // the last two days of it still weigh; then they do not, but it was confirmed within the horizon
    assert_eq!(at(13), [("a>b".to_owned(), PatternState::Withdrawn)]);
    // a horizon later nothing remembers it
    assert_eq!(at(18), []);
}

#[test]
fn forgetting_and_restarting_from_recent_rows_change_nothing() {
    let events = planted(40, 36);
    let keep_ms = params().keep_ms();
    let mut whole = Chain::new(&params(), 1);
    let mut forgetful = Chain::new(&params(), 1);
    for (index, chunk) in events.chunks(60).enumerate() {
        let changes: Vec<(EventStamp, i64)> = chunk.iter().cloned().map(|event| (event, 1)).collect();
        let now = latest(&events[..60 * index + chunk.len()]).unwrap();
        whole.apply(changes.clone());
        forgetful.apply(changes);
        forgetful.forget_before(now - keep_ms);
        let expected = whole.evaluate(now);
        assert_eq!(forgetful.evaluate(now), expected);
        let mut restarted = Chain::new(&params(), 1);
        let recent = events[..60 * index + chunk.len()].iter().filter(|event| event.at >= now - keep_ms);
        restarted.apply(recent.cloned().map(|event| (event, 1)).collect());
        assert_eq!(restarted.evaluate(now), expected);
        // old rows that are sent again are ignored
        forgetful
            .apply(events.iter().filter(|event| event.at < now - keep_ms).map(|event| (event.clone(), 1)).collect());
    }
    assert!(!whole.evaluate(latest(&events).unwrap()).is_empty());
}

#[test]
fn a_finding_says_what_was_seen() {
    let events = planted(6, 6);
    let now = latest(&events).unwrap();
    let mut chain = Chain::new(&params(), 1);
    chain.apply(events.iter().cloned().map(|event| (event, 1)).collect());
    let found = chain.evaluate(now);
    assert_same(
        &found,
        &reference::events::findings(&events.iter().cloned().collect(), &BTreeSet::new(), &params(), now),
    );
    assert_eq!(found.len(), 1);
    let correlation = &found[0].correlation;
    let evidence: Vec<&Evidence> = found[0].evidence.iter().filter(|row| row.is_match()).collect();
    assert_eq!(correlation.correlation_type, "error_propagation");
    assert_eq!((correlation.source_application.as_str(), correlation.target_application.as_str()), ("app-a", "app-b"));
    assert_eq!((correlation.lag_low_seconds, correlation.lag_seconds, correlation.lag_high_seconds), (725, 729, 735));
    assert_eq!(correlation.occurrence_count as usize, evidence.len());
    assert_eq!(correlation.explained_by, None);
    assert!(correlation.confidence.0 > 0.95 && correlation.correlation_score.0 > 0.9);
    let weights: f64 = evidence.iter().map(|row| row.weight.0).sum();
    assert!((weights - 1.0).abs() < 1e-9);
    let first = evidence.iter().min_by_key(|row| row.source_timestamp).unwrap();
    assert_eq!(correlation.first_observed, first.source_timestamp);
    assert_eq!(
        correlation.pattern_description,
        "deploy of web in app-a (production) is followed by alert of web in app-b (staging), 12m9s later in 32 of 32 \
         cases (chance: 2 %)"
    );
    // an occurrence counts as soon as it is seen
    let occurrences = correlation.occurrence_count;
    chain.apply(vec![(event(0, 6 * DAY_MS + 3_000, 7_000), 1), (event(5, 6 * DAY_MS + 723_000, 7_001), 1)]);
    let found = chain.evaluate(TimeMs(19_003 * DAY_MS + 6 * DAY_MS + 20 * MINUTE_MS));
    let later = &found[0].correlation;
    // a horizon of three days: older rows have been dropped
    assert!(later.last_observed > correlation.last_observed);
    assert!(later.occurrence_count <= occurrences + 1);
}

/// Six colonies with two daily habits each, independent of one another, for a week.
fn habits(seed: u64) -> Vec<EventStamp> {
    let mut state = seed;
    let mut below = |n: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as i64).rem_euclid(n)
    };
    let mut events = Vec::new();
    for colony in ["a", "b", "c", "d", "e", "f"] {
        for event_type in ["deploy", "alert"] {
            let minute = 9 * 60 + below(8 * 60);
            for day in 0..7 {
                // the sum of two: about normal, eight minutes or so
                let at = minute + below(20) + below(20) - 20;
                let at = TimeMs((19_003 + day) * DAY_MS + at * MINUTE_MS);
                events.push(stamp(colony, event_type, at, &format!("{event_type}{day}")));
            }
        }
    }
    events
}

#[test]
fn a_colony_that_came_later_is_not_judged_by_the_time_before() {
    let params = EventParams::default();
    for seed in 1..=5 {
        let young = habits(seed);
        let now = latest(&young).unwrap();
        let confirmed = |events: &[EventStamp]| -> Vec<(String, PatternState)> {
            let mut chain = Chain::new(&params, 1);
            chain.apply(events.iter().cloned().map(|event| (event, 1)).collect());
            let found = chain.evaluate(now);
            states(&found).into_iter().filter(|(_, state)| *state == PatternState::Confirmed).collect()
        };
        assert_eq!(confirmed(&young), [], "seed {seed}");
        // one event of another colony, long before, says nothing about these
        let old = stamp("old", "deploy", TimeMs(18_975 * DAY_MS), "first");
        let with_old: Vec<EventStamp> = [old].into_iter().chain(young).collect();
        assert_eq!(confirmed(&with_old), [], "seed {seed}");
    }
}
