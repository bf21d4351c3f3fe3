//! What one more event costs after ten days and after ninety, and that evidence does not grow with time.

use super::fleets::{params, planted};
use super::support::{Chain, stamp};
use crate::events::sweep::Work;
use crate::events::{EventParams, EventStamp};
use model::pattern::Finding;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, TimeMs};

const BEGIN: TimeMs = TimeMs(19_003 * DAY_MS);
const RELATIONS: i64 = 4;

/// Relations that never meet. On each day they share out four stretches of an hour, six hours apart; in its own one a
/// relation has its source and, twelve minutes later, its target.
fn relations(days: i64) -> Vec<EventStamp> {
    let mut events = Vec::new();
    for (day, relation) in (0..days).flat_map(|day| (0..RELATIONS).map(move |relation| (day, relation))) {
        let stretch = (relation + day * day + day / 3) % RELATIONS;
        let minute = (day * day * 7 + day * 37 + relation * 11) % 60;
        let at = BEGIN + day * DAY_MS + stretch * 6 * HOUR_MS + minute * MINUTE_MS;
        let later = at + 12 * MINUTE_MS + (1 + day % 7) * 5 * SECOND_MS;
        events.push(stamp(&format!("s{relation}"), "deploy", at, &format!("s{relation}-{day}")));
        events.push(stamp(&format!("t{relation}"), "alert", later, &format!("t{relation}-{day}")));
    }
    events
}

/// The source of the first relation three days before the last one.
fn earlier(events: &[EventStamp], days: i64) -> EventStamp {
    let id = format!("s0-{}", days - 4);
    events.iter().find(|event| event.event_id == id).unwrap().clone()
}

/// What one more source of a relation costs in the evening of the last of so many days: in the same step of the present, in
/// the next step, three days late, and when one of three days ago is withdrawn.
fn of_one_more(days: i64) -> [Work; 4] {
    let params = EventParams::default();
    let events = relations(days);
    let at = BEGIN + (days - 1) * DAY_MS + 20 * HOUR_MS;
    let more = |at: TimeMs| (stamp("s0", "deploy", at, "one-more"), 1);
    let withdrawn = (earlier(&events, days), -1);
    let kinds = [(at, more(at)), (at - params.interval_ms, more(at)), (at, more(at - 3 * DAY_MS)), (at, withdrawn)];
    kinds.map(|(before, change)| {
        let mut chain = Chain::new(&params, 1);
        chain.apply(events.iter().cloned().map(|event| (event, 1)).collect());
        chain.forget_before(before - params.keep_ms());
        chain.evaluate(before);
        chain.apply(vec![change]);
        chain.evaluate(at);
        chain.scans[0].work()
    })
}

/// The pairs of its type, at the instants after it; in the next step also those with evidence. A pair that is evaluated costs
/// what its onsets within the horizon do, whatever the history.
#[test]
fn one_more_event_costs_no_more_after_ninety_days_than_after_ten() {
    let (short, long) = (of_one_more(10), of_one_more(90));
    for (short, long) in short.iter().zip(&long) {
        assert!(short.evaluated > 0 && short.looked >= short.evaluated, "{short:?}");
        assert!(2 * long.evaluated <= 3 * short.evaluated, "{short:?} and {long:?}");
        assert!(2 * long.looked <= 3 * short.looked, "{short:?} and {long:?}");
    }
    // one relation in the same step, all of them in the next one
    assert_eq!((long[0].evaluated, long[1].evaluated), (1, RELATIONS as usize));
}

fn rows(findings: &[Finding]) -> usize {
    findings.iter().map(|finding| finding.evidence.len()).sum()
}

#[test]
fn evidence_is_that_of_the_horizon_however_long_a_pattern_holds() {
    let mut chain = Chain::new(&params(), 1);
    let mut by_day = Vec::new();
    for of_day in planted(24, 24).chunk_by(|a, b| a.at.floor_to(DAY_MS) == b.at.floor_to(DAY_MS)) {
        chain.apply(of_day.iter().cloned().map(|event| (event, 1)).collect());
        let now = of_day[of_day.len() - 1].at;
        chain.forget_before(now - params().keep_ms());
        by_day.push(rows(&chain.evaluate(now)));
    }
    // a day more than the horizon, which begins at a midnight; each source has one target around its window
    let sources = (params().horizon_ms / DAY_MS + 1) as usize * 8;
    let late = &by_day[by_day.len() / 2..];
    assert!(late.iter().all(|rows| (1..=2 * sources).contains(rows)), "{by_day:?}");
}
