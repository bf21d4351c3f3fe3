//! Now with wrong clocks and silent colonies; it is a function of the set of rows, across restarts.

#![allow(clippy::unwrap_used)]

use super::*;
use model::event::Event;
use model::metric::MetricPoint;
use model::series::{SeriesId, SeriesRef};
use model::time::{HOUR_MS, MINUTE_MS};
use operators::events::EventParams;
use operators::metrics::MetricParams;
use proptest::prelude::*;

const YEAR_MS: i64 = 365 * DAY_MS;
const T0: TimeMs = TimeMs(1_700_000_000_000);

fn params() -> Params {
    Params { events: EventParams::default(), metrics: MetricParams::default(), derived_events: false }
}

fn event(colony_id: &str, timestamp: TimeMs) -> Event {
    fixtures::event(colony_id, &timestamp.to_string(), timestamp)
}

fn events(rows: &[(&str, TimeMs)]) -> Rows {
    Rows { events: rows.iter().map(|(colony_id, time)| event(colony_id, *time)).collect(), ..Rows::default() }
}

fn metrics(rows: &[(&str, TimeMs)]) -> Rows {
    let point = |(colony_id, timestamp): &(&str, TimeMs)| {
        let names = SeriesRef { colony_id, service_id: "s", metric_name: "m", ..SeriesRef::default() };
        let series = SeriesId::of(SeriesRef { interval_seconds: Some(60), ..names });
        MetricPoint { series, timestamp: *timestamp, mean: Some(1.0.into()), ..MetricPoint::default() }
    };
    Rows { metrics: rows.iter().map(point).collect(), ..Rows::default() }
}

fn of(batches: &[Rows]) -> EventClock {
    let mut clock = EventClock::new(&params());
    batches.iter().for_each(|rows| clock.observe(rows));
    clock
}

#[test]
fn one_event_of_a_wrong_year_does_not_move_now() {
    let good = events(&[("a", T0), ("b", T0 + HOUR_MS), ("a", T0 + 3 * HOUR_MS)]);
    let clock = of(&[good.clone(), events(&[("c", T0 + YEAR_MS)])]);
    assert_eq!(clock.events_now(), Some(T0 + 3 * HOUR_MS));
    assert_eq!(clock.newest(), Some(T0 + YEAR_MS));
    // nor two of one of the same colonies
    let clock = of(&[good.clone(), events(&[("a", T0 + YEAR_MS), ("a", T0 + YEAR_MS + 1)])]);
    assert_eq!(clock.events_now(), Some(T0 + 3 * HOUR_MS));
    // a fleet that has returned does
    let clock = of(&[good, events(&[("a", T0 + YEAR_MS), ("a", T0 + YEAR_MS + 1), ("b", T0 + YEAR_MS + 2)])]);
    assert_eq!(clock.events_now(), Some(T0 + YEAR_MS + 2));
}

#[test]
fn one_colony_ahead_does_not_move_now_of_metrics() {
    let minute = |n: i64| T0 + n * MINUTE_MS;
    let clock = of(&[metrics(&[("a", minute(10)), ("b", minute(12)), ("fast", minute(12) + 5 * HOUR_MS)])]);
    assert_eq!(clock.metrics_now(), Some(minute(12)));
    let clock = of(&[metrics(&[("a", minute(10)), ("b", minute(12)), ("wrong", minute(12) + YEAR_MS)])]);
    assert_eq!(clock.metrics_now(), Some(minute(10)), "the slower of the two that are left");
    assert_eq!(of(&[metrics(&[("a", minute(10))])]).metrics_now(), Some(minute(10)), "alone");
}

#[test]
fn old_events_beside_live_metrics_have_their_own_now() {
    let old = events(&[("a", T0), ("b", T0 + HOUR_MS), ("a", T0 + 3 * HOUR_MS)]);
    let live = metrics(&[("a", T0 + YEAR_MS), ("b", T0 + YEAR_MS)]);
    let order = of(&[old.clone(), live]).evaluate().unwrap();
    assert_eq!(order.metrics_now, Some(T0 + YEAR_MS));
    assert_eq!(order.events_now, Some(T0 + 31 * HOUR_MS), "the windows of the last events are over");
    let beside = metrics(&[("a", T0 + 4 * HOUR_MS), ("b", T0 + 4 * HOUR_MS)]);
    assert_eq!(of(&[old, beside]).events_now(), Some(T0 + 4 * HOUR_MS));
}

#[test]
fn metrics_of_which_events_are_derived_are_events_too() {
    let clock = |derived_events: bool, batches: &[Rows]| {
        let mut clock = EventClock::new(&Params { derived_events, ..params() });
        batches.iter().for_each(|rows| clock.observe(rows));
        clock
    };
    let of = |batches: &[Rows]| clock(true, batches).events_now();
    let live = metrics(&[("a", T0 + YEAR_MS), ("b", T0 + YEAR_MS)]);
    assert_eq!(of(std::slice::from_ref(&live)), Some(T0 + YEAR_MS), "without a reported event");
    let reported = |at: TimeMs| events(&[("a", at), ("b", at + HOUR_MS), ("a", at + 3 * HOUR_MS)]);
    assert_eq!(of(&[reported(T0), live.clone()]), Some(T0 + YEAR_MS));
    assert_eq!(of(&[reported(T0 + YEAR_MS), live.clone()]), Some(T0 + YEAR_MS + 3 * HOUR_MS));
    // reported ones of a year ago are then no longer in the look-back
    let overtaken = |derives: bool, batches: &[Rows]| clock(derives, batches).overtaken();
    let reported_now = T0 + 3 * HOUR_MS + 4 * HOUR_MS + DAY_MS;
    let both = [reported(T0), live.clone()];
    assert_eq!(overtaken(true, &both), Some(Overtaken { reported_now, now: T0 + YEAR_MS }));
    assert_eq!(overtaken(false, &both), None);
    assert_eq!(overtaken(true, std::slice::from_ref(&live)), None);
    assert_eq!(overtaken(true, &[reported(T0 + YEAR_MS), live]), None);
}

#[test]
fn a_store_of_an_earlier_version_tells_how_far_each_colony_has_come() {
    let marks = |rows: &[(&str, TimeMs)]| rows.iter().map(|(name, time)| ((*name).to_owned(), *time)).collect();
    let seen: BTreeMap<String, TimeMs> = marks(&[("a", T0), ("b", T0 + HOUR_MS), ("c", T0 + YEAR_MS)]);
    let clock = EventClock::of_store(
        &params(),
        &BTreeMap::new(),
        &Watermarks { events: seen.clone(), ..Watermarks::default() },
    );
    assert_eq!((clock.events_now(), clock.metrics_now()), (Some(T0 + HOUR_MS), None));
}

proptest! {
    /// For any order, batches and restarts: the same now, and the same text in the store.
    #[test]
    fn now_is_a_function_of_the_set_of_rows(
        (rows, shuffled) in prop::collection::vec((0usize..3, 0i64..200, 0i64..4), 1..40)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        batch in 1usize..7,
    ) {
        let names = ["a", "b", "c"];
        let batches = |rows: &[(usize, i64, i64)], size: usize| -> Vec<Rows> {
            let time = |day: i64, hour: i64| T0 + day * DAY_MS + hour * HOUR_MS;
            rows.chunks(size)
                .map(|rows| {
                    let of: Vec<_> = rows.iter().map(|(n, day, hour)| (names[*n], time(*day, *hour))).collect();
                    Rows { metrics: metrics(&of).metrics, ..events(&of) }
                })
                .collect()
        };
        let mut whole = of(&batches(&rows, rows.len()));
        let mut committed = Positions::default();
        for rows in batches(&shuffled, batch) {
            let positions = BTreeMap::from([(CLOCK_NAME.to_owned(), committed.clone())]);
            let mut clock = EventClock::of_store(&params(), &positions, &Watermarks::default());
            clock.observe(&rows);
            committed.advance(clock.take_moved());
            prop_assert_eq!(clock.take_moved(), Positions::default());
        }
        let positions = BTreeMap::from([(CLOCK_NAME.to_owned(), committed.clone())]);
        let resumed = EventClock::of_store(&params(), &positions, &Watermarks::default());
        prop_assert_eq!(resumed.evaluate(), whole.evaluate());
        prop_assert_eq!(committed.0, whole.take_moved().0);
    }
}
