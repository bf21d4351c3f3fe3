//! Random fleets: for any order, steps, shards and detours, the predictions equal those of the reference.

use super::rows::current;
use crate::events::tests::support::{Chain, stamp};
use crate::events::{EventParams, EventStamp};
use crate::heard::Heard;
use crate::reference;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::collections::BTreeSet;

const DAYS: i64 = 9;
const BEGIN: TimeMs = TimeMs(19_003 * DAY_MS);

fn params() -> EventParams {
    EventParams { max_lag_ms: 30 * MINUTE_MS, horizon_ms: 6 * DAY_MS, min_days: 2, ..EventParams::default() }
}

fn event(kind: usize, at_ms: i64, serial: usize) -> EventStamp {
    let (colony, event_type) = (["a", "b", "c"][kind % 3], ["deploy", "alert"][kind / 3 % 2]);
    let mut event = stamp(colony, event_type, BEGIN + at_ms, &format!("{colony}{serial:05}"));
    event.key.service_id = ["web", "db"][usize::from(serial % 11 == 10 && kind == 1)].into();
    event.environment = ["production", "staging"][serial % 2].into();
    event
}

/// Some noise, and relations that hold for a while, with sources in bursts and targets that stay out.
fn fleet() -> impl Strategy<Value = Vec<EventStamp>> {
    let alone = vec(btree_set(0..DAYS * 1440, 0..6), 6);
    let slots = vec((0..DAYS * 24, 0..60_i64, 0..10_u8, 0..3_u8), 30..70);
    let relation = (0..6_usize, 1..6_usize, 0..25 * MINUTE_MS, 0..4_i64, 4..DAYS + 1, 0..4_u8, slots);
    (alone, vec(relation, 1..3)).prop_map(|(alone, relations)| {
        let mut times: BTreeSet<(usize, i64)> = BTreeSet::new();
        for (kind, minutes) in alone.into_iter().enumerate() {
            times.extend(minutes.into_iter().map(|minute| (kind, minute * MINUTE_MS)));
        }
        for (source, distance, lag_ms, jitter, until_day, misses, slots) in relations {
            for (hour, minute, luck, burst) in slots {
                let at = hour * HOUR_MS + minute * MINUTE_MS + 1_000 * i64::from(luck);
                for nth in 0..=i64::from(burst / 2) {
                    times.insert((source, at + nth * 7 * MINUTE_MS));
                }
                if luck >= misses && hour < until_day * 24 {
                    times.insert(((source + distance) % 6, at + lag_ms + 1 + jitter * (minute % 5) * 20_000));
                }
            }
        }
        times.into_iter().enumerate().map(|(serial, (kind, at))| event(kind, at, serial)).collect()
    })
}

fn latest(events: &[EventStamp]) -> Option<TimeMs> {
    events.iter().map(|event| event.at).max()
}

/// Feeds `order` in steps, with a detour and a repeat in each, and evaluates from time to time.
fn feed(order: &[EventStamp], heard: &[Heard], step: usize, peers: usize, now: TimeMs) -> Vec<String> {
    let mut chain = Chain::new(&params(), peers);
    chain.apply_heard(heard);
    for (index, chunk) in order.chunks(step).enumerate() {
        let wrong = event(index % 6, (chunk[0].at - BEGIN) % (DAYS * DAY_MS) + 60_000, 90_000 + index);
        let again = chunk[0].clone();
        chain.apply(chunk.iter().cloned().chain([wrong.clone(), again.clone()]).map(|event| (event, 1)).collect());
        if index % 3 == 1 {
            // never further than in the end: what leaves the look-back is final
            chain.evaluate(latest(&order[..index * step + chunk.len()]).unwrap());
        }
        chain.apply(vec![(wrong, -1), (again, -1)]);
    }
    chain.evaluate(now);
    current(chain.rows.into_values(), &params(), now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn predictions_are_those_of_the_reference(
        (events, shuffled) in fleet().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        step in 15..80_usize,
        hours in vec(0..DAYS * 24, 2),
    ) {
        let Some(now) = latest(&events) else { return Ok(()) };
        // two of three colonies have metrics up to some hour
        let heard: Vec<Heard> = ["a", "b"]
            .into_iter()
            .zip(&hours)
            .map(|(colony, hour)| Heard { colony_id: colony.to_owned(), at: BEGIN + hour * HOUR_MS })
            .filter(|heard| heard.at < now)
            .collect();
        let expected = reference::predictions::predictions(
            &events.iter().cloned().collect(), (&BTreeSet::new(), &heard), &params(), now,
        );
        let expected = current(expected, &params(), now);
        prop_assert_eq!(&feed(&shuffled, &heard, shuffled.len(), 1, now), &expected);
        prop_assert_eq!(&feed(&events, &heard, step, 1, now), &expected);
        prop_assert_eq!(&feed(&shuffled, &heard, step, 3, now), &expected);
    }
}
