//! By example: a pattern of staging and production, day by day.

use super::rows::{Prediction, current, days, predictions};
use crate::events::row::Frequency;
use crate::events::tests::support::{Chain, stamp};
use crate::events::{EventParams, EventStamp};
use crate::heard::Heard;
use crate::predictions::trial::{Muted, muted};
use crate::reference;
use model::real::Real;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeSet;

const BEGIN: TimeMs = TimeMs(19_003 * DAY_MS);
const LAG_MS: i64 = 135 * MINUTE_MS;

fn params() -> EventParams {
    EventParams { horizon_ms: 10 * DAY_MS, ..EventParams::default() }
}

/// When staging is deployed on a day: at no fixed hour.
fn source_at(day: i64) -> TimeMs {
    BEGIN + day * DAY_MS + 6 * HOUR_MS + (day * day * 37 % 11) * HOUR_MS + day * 7 * MINUTE_MS
}

fn deploy(day: i64) -> EventStamp {
    stamp("staging", "deploy", source_at(day), &format!("deploy-{day}"))
}

fn spike(day: i64) -> EventStamp {
    stamp("production", "error_spike", source_at(day) + LAG_MS, &format!("spike-{day}"))
}

/// One event that only says that its colony was heard of.
fn heard(at: TimeMs) -> EventStamp {
    stamp("production", "cart_empty", at, &format!("heard-{}", at.0))
}

fn fed(events: impl IntoIterator<Item = EventStamp>) -> Chain {
    fed_with(&params(), events)
}

fn fed_with(params: &EventParams, events: impl IntoIterator<Item = EventStamp>) -> Chain {
    let mut chain = Chain::new(params, 1);
    chain.apply(events.into_iter().map(|event| (event, 1)).collect());
    chain
}

/// Deploys on so many days, each with its spike, except on `missing` days.
fn history(days: i64, missing: &[i64]) -> Vec<EventStamp> {
    let spikes = (0..days).filter(|day| !missing.contains(day)).map(spike);
    (0..days).map(deploy).chain(spikes).collect()
}

fn last(chain: &Chain) -> Prediction {
    predictions(chain).pop().unwrap()
}

#[test]
fn the_next_source_opens_a_prediction_that_becomes_a_hit_a_miss_or_void() {
    let mut chain = fed(history(12, &[]).into_iter().chain([deploy(12)]));
    chain.evaluate(source_at(12));
    let open = last(&chain);
    assert_eq!((open.source_event_id.as_str(), open.outcome.as_str()), ("deploy-12", "open"));
    assert!(open.expected_from < source_at(12) + LAG_MS && source_at(12) + LAG_MS <= open.expected_to);
    assert!(open.expected_to - open.expected_from <= 30 * MINUTE_MS);
    assert_eq!(open.expires_at, open.expected_to + params().lateness_ms);
    assert!(open.probability > 0.9 && open.probability < 1.0, "{}", open.probability);
    assert_eq!(predictions(&chain).iter().filter(|one| one.outcome == "hit").count() + 1, predictions(&chain).len());

    // staging goes on, production is silent: void, and a miss as soon as it is heard of
    let later = open.expires_at + HOUR_MS;
    chain.apply(vec![(stamp("staging", "restart", later, "later"), 1)]);
    chain.evaluate(later);
    assert_eq!(last(&chain).outcome, "void");
    chain.apply(vec![(heard(later + 1), 1)]);
    chain.evaluate(later + 1);
    assert_eq!((last(&chain).outcome.as_str(), last(&chain).matched_event_id), ("miss", None));

    chain.apply(vec![(heard(later + 1), -1)]);
    chain.evaluate(later + 1);
    assert_eq!(last(&chain).outcome, "void");
    // or as soon as its metrics say that it was observed
    chain.apply_heard(&[Heard { colony_id: "production".to_owned(), at: open.expected_to }]);
    chain.evaluate(later + 1);
    assert_eq!(last(&chain).outcome, "miss");

    // the target was only late
    chain.apply(vec![(spike(12), 1)]);
    chain.evaluate(later + 2);
    let hit = last(&chain);
    assert_eq!((hit.outcome.as_str(), hit.matched_event_id.as_deref()), ("hit", Some("spike-12")));
    assert_eq!(hit.probability, open.probability, "a prediction never uses its own outcome");
    // and is withdrawn
    chain.apply(vec![(spike(12), -1)]);
    chain.evaluate(later + 3);
    assert_eq!(last(&chain).outcome, "miss");
}

#[test]
fn a_source_while_a_prediction_is_open_opens_none() {
    let second = |minutes: i64| {
        let at = source_at(12) + minutes * MINUTE_MS;
        stamp("staging", "deploy", at, &format!("second-{minutes}"))
    };
    let events = history(12, &[]).into_iter().chain([deploy(12), second(40), second(400)]);
    let mut chain = fed(events);
    chain.evaluate(source_at(12) + 400 * MINUTE_MS);
    let of_day: Vec<String> = predictions(&chain)
        .into_iter()
        .filter(|one| one.issued_at >= source_at(12))
        .map(|one| one.source_event_id)
        .collect();
    assert_eq!(of_day, ["deploy-12", "second-400"]);
}

#[test]
fn one_more_event_is_followed_around_its_time_however_long_the_history() {
    let params = EventParams { horizon_ms: 30 * DAY_MS, ..params() };
    let followed = |days: i64| {
        let mut chain = fed_with(&params, history(days, &[]));
        let before = source_at(days) - HOUR_MS;
        chain.apply(vec![(stamp("staging", "restart", before, "before"), 1)]);
        chain.evaluate(before);
        let at_first = chain.followed;
        chain.apply(vec![(deploy(days), 1)]);
        chain.evaluate(source_at(days));
        assert_eq!(last(&chain).outcome, "open");
        let of_one = chain.followed;
        chain.evaluate(source_at(days));
        assert_eq!(chain.followed, 0, "nothing has changed");
        (at_first, of_one)
    };
    let (short, long) = (followed(12), followed(26));
    assert!(short.0 >= 5 && long.0 >= 15, "at first each instant is: {} and {}", short.0, long.0);
    assert_eq!((short.1, long.1), (1, 1));
}

#[test]
fn before_a_pattern_is_confirmed_it_predicts_nothing_and_after_three_days_it_may() {
    let mut chain = fed([deploy(0), spike(0), deploy(1), spike(1)]);
    chain.evaluate(source_at(1) + LAG_MS);
    assert_eq!((predictions(&chain), days(&chain)), (Vec::new(), Vec::new()));
}

#[test]
fn a_pattern_that_has_stopped_being_true_mutes_itself_and_says_so() {
    // from day 22 on the target stays out, while staging is deployed often and production is heard of
    let missing: Vec<i64> = (22..26).collect();
    let quiet = missing.iter().map(|day| heard(source_at(*day) + 8 * HOUR_MS));
    let often = (22..25).flat_map(|day| {
        (1..4).map(move |nth| {
            stamp("staging", "deploy", source_at(day) + nth * 3 * HOUR_MS, &format!("deploy-{day}-{nth}"))
        })
    });
    let params = EventParams { horizon_ms: 20 * DAY_MS, ..params() };
    let mut chain = fed_with(&params, history(26, &missing).into_iter().chain(quiet).chain(often));
    chain.evaluate(source_at(25) + 8 * HOUR_MS);
    let muted: Vec<String> = days(&chain).into_iter().filter_map(|(_, _, _, muted)| muted).collect();
    assert!(
        !muted.is_empty() && muted[0].starts_with("no longer true: 0 of"),
        "{:?}\n{:#?}",
        days(&chain),
        predictions(&chain)
    );
    let last_muted = days(&chain).into_iter().filter(|day| day.3.is_some()).map(|day| day.0).max().unwrap();
    assert!(predictions(&chain).iter().all(|one| one.issued_at < last_muted || one.issued_at >= last_muted + DAY_MS));
}

#[test]
fn a_pattern_below_its_floor_is_muted_and_says_so() {
    let of = |hits: u64, chance: f64| {
        let frequency = Frequency { window_min: (130, 140), passed: 20, hits, chance: Real(chance) };
        muted(&frequency, &[]).map(Muted::reason)
    };
    let reason = |text: &str| Some(text.to_owned());
    assert_eq!(of(5, 0.01), None);
    assert_eq!(of(4, 0.01), reason("comes true in 21 % of cases, below its floor of 25 %"));
    // twice its chance level is the floor of what often happens anyway
    assert_eq!(of(12, 0.29), None);
    assert_eq!(of(12, 0.31), reason("comes true in 60 % of cases, below its floor of 62 %"));
}

#[test]
fn what_leaves_the_look_back_stays_as_it_was() {
    let mut chain = fed(history(14, &[]));
    chain.evaluate(source_at(13) + LAG_MS);
    let before = predictions(&chain);
    assert!(before.len() >= 3, "{before:?}");
    // twenty days later nothing is known of them any more, and they are still there
    chain.apply(vec![(heard(source_at(40)), 1)]);
    chain.forget_before(source_at(40) - params().keep_ms());
    chain.evaluate(source_at(40));
    assert_eq!(predictions(&chain), before);
}

#[test]
fn the_rows_of_a_pattern_with_hits_and_misses_are_those_of_the_reference() {
    let events: Vec<EventStamp> =
        history(16, &[9, 12, 14]).into_iter().chain([heard(source_at(15) + LAG_MS)]).collect();
    let now = source_at(15) + LAG_MS;
    let mut chain = fed(events.clone());
    chain.evaluate(now);
    let expected =
        reference::predictions::predictions(&events.into_iter().collect(), (&BTreeSet::new(), &[]), &params(), now);
    let expected = current(expected, &params(), now);
    let count = |outcome: &str| predictions(&chain).iter().filter(|one| one.outcome == outcome).count();
    assert!(count("hit") >= 2 && count("miss") >= 1, "{:#?}", predictions(&chain));
    assert_eq!(current(chain.rows.into_values(), &params(), now), expected);
}
