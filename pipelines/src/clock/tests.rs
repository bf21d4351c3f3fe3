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

/// The greatest event is at 3 h.
fn three_hours() -> EventClock {
    of(&[events(&[("a", T0), ("b", T0 + HOUR_MS), ("a", T0 + 3 * HOUR_MS)])])
}

/// A multiple of the interval, and as much later as an event may arrive: up to when a colony has to be read for it.
fn read_at(hours: i64) -> (TimeMs, TimeMs) {
    let reached = (T0 + hours * HOUR_MS).floor_to(5 * MINUTE_MS);
    (reached, reached + 10 * MINUTE_MS)
}

fn read_to(clock: &mut EventClock, colonies: &[&str], time: TimeMs) {
    for colony_id in colonies {
        clock.observe_to(colony_id, time);
    }
}

#[test]
fn colonies_that_are_read_and_silent_let_time_pass_up_to_the_one_furthest_behind() {
    let mut clock = three_hours();
    let ((fifth, read_fifth), (ninth, read_ninth)) = (read_at(5), read_at(9));
    assert!(clock.observe_to("a", read_fifth), "the only one that was read");
    assert_eq!(clock.events_now(), Some(fifth));
    clock.observe_to("b", read_fifth);
    clock.observe_to("a", read_ninth);
    assert_eq!(clock.events_now(), Some(fifth), "b was not read since");
    assert!(clock.observe_to("b", read_ninth));
    assert_eq!(clock.events_now(), Some(ninth));
    // at most as long as the last events can have a target, and a day
    let limit = T0 + 31 * HOUR_MS;
    read_to(&mut clock, &["a", "b"], T0 + YEAR_MS);
    assert_eq!(clock.events_now(), Some(limit));
    assert!(!clock.observe_to("a", T0 + 2 * YEAR_MS));
    // rows come first
    clock.observe(&events(&[("a", limit + HOUR_MS)]));
    assert!(clock.events_now() >= Some(limit + HOUR_MS));
}

#[test]
fn a_colony_that_cannot_be_reached_holds_time_up_until_a_row_comes_or_it_is_not_configured_any_more() {
    let mut clock = three_hours();
    let ((fifth, read_fifth), (ninth, read_ninth)) = (read_at(5), read_at(9));
    read_to(&mut clock, &["a", "b"], read_fifth);
    clock.observe_to("a", read_ninth);
    assert_eq!(clock.events_now(), Some(fifth));
    let mut with_a_row = clock.clone();
    with_a_row.observe(&events(&[("a", ninth + HOUR_MS)]));
    assert_eq!(with_a_row.events_now(), Some(ninth + HOUR_MS));
    let committed = clock.take_moved();
    clock.remove_unless(|colony_id| colony_id == "a");
    assert_eq!(clock.events_now(), Some(ninth));
    let mut all = committed;
    all.advance(clock.take_moved());
    let positions = BTreeMap::from([(CLOCK_NAME.to_owned(), all)]);
    let resumed = EventClock::of_store(&params(), &positions, &Watermarks::default());
    assert_eq!(resumed.events_now(), Some(ninth), "that is committed as well");
}

#[test]
fn a_colony_that_is_not_configured_any_more_stays_heard_of_and_time_does_not_pass_backwards() {
    let mut clock = three_hours();
    let ((fifth, read_fifth), (ninth, read_ninth)) = (read_at(5), read_at(9));
    read_to(&mut clock, &["a"], read_ninth);
    read_to(&mut clock, &["b"], read_fifth);
    let heard = clock.clone().take_heard();
    assert_eq!((clock.events_now(), heard.len()), (Some(fifth), 2));
    clock.remove_unless(|colony_id| colony_id == "b");
    assert_eq!(clock.events_now(), Some(fifth));
    clock.remove_unless(|_| false);
    assert_eq!(clock.events_now(), Some(ninth), "nothing holds it up");
    assert_eq!(clock.clone().take_heard(), heard);
    // configured again, and not read yet
    clock.remove_unless(|_| true);
    assert_eq!(clock.events_now(), Some(ninth));
    let (tenth, read_tenth) = read_at(10);
    read_to(&mut clock, &["b"], read_tenth);
    assert_eq!(clock.events_now(), Some(tenth), "only the one that is read counts");
}

#[test]
fn silence_lasts_until_the_last_prediction_can_close_however_late_events_may_arrive() {
    let late = EventParams { lateness_ms: 3 * DAY_MS, ..EventParams::default() };
    let closes_at = T0 + 3 * HOUR_MS + late.max_lag_ms + late.lateness_ms;
    let mut clock = EventClock::new(&Params { events: late, ..params() });
    clock.observe(&events(&[("a", T0), ("b", T0 + HOUR_MS), ("a", T0 + 3 * HOUR_MS)]));
    for day in 0..20 {
        read_to(&mut clock, &["a", "b"], T0 + day * DAY_MS);
    }
    assert!(clock.events_now() >= Some(closes_at), "{:?}", clock.events_now());
}

#[test]
fn a_colony_that_is_read_further_may_close_predictions_also_where_rows_have_moved_now() {
    let mut clock = three_hours();
    clock.observe(&events(&[("b", T0 + 9 * HOUR_MS)]));
    assert!(clock.observe_to("a", read_at(5).1), "nothing was heard of it");
    assert!(clock.observe_to("a", read_at(7).1));
    assert!(!clock.observe_to("a", read_at(7).1));
    assert_eq!(clock.events_now(), Some(T0 + 9 * HOUR_MS));
    assert_eq!(clock.take_heard().len(), 1);
}

#[test]
fn what_a_colony_held_long_before_it_was_first_read_ends_with_its_newest_row() {
    let mut clock = three_hours();
    // an import of last year
    assert!(!clock.observe_to("a", T0 + YEAR_MS));
    assert!(!clock.observe_to("a", T0 + YEAR_MS + DAY_MS));
    assert_eq!((clock.events_now(), clock.take_heard()), (Some(T0 + 3 * HOUR_MS), Vec::new()));
    // what happens from now on does not
    clock.observe(&events(&[("a", T0 + YEAR_MS), ("b", T0 + YEAR_MS + 1), ("b", T0 + YEAR_MS + 2)]));
    assert_eq!(clock.events_now(), Some(read_at(366 * 24).0 - 10 * MINUTE_MS));
    assert_eq!(clock.take_heard().len(), 1);
    assert_eq!(clock.take_heard(), []);
}

#[test]
fn silence_is_committed_once_an_interval() {
    let mut clock = three_hours();
    let (_, read) = read_at(5);
    clock.observe_to("a", read);
    assert_ne!(clock.take_moved(), Positions::default());
    for second in 1..300 {
        assert!(!clock.observe_to("a", read + second * 1_000));
        assert_eq!((clock.take_moved(), clock.take_heard().len()), (Positions::default(), usize::from(second == 1)));
    }
    assert!(clock.observe_to("a", read + 300 * 1_000));
    assert_eq!(clock.take_moved().0.len(), 1);
}

#[test]
fn a_replay_of_a_range_inherits_what_was_read_up_to_its_end() {
    let mut live = three_hours();
    read_to(&mut live, &["a", "b"], read_at(5).1);
    read_to(&mut live, &["a", "b", "new"], read_at(20).1);
    let committed = live.take_moved();
    let mut replay = three_hours();
    replay.inherit_observed(&committed, read_at(9).0);
    assert_eq!(replay.events_now(), Some(read_at(9).0));
    assert_eq!(replay.take_heard().len(), 2);
    replay.inherit_observed(&committed, T0 + YEAR_MS);
    assert_eq!(replay.events_now(), live.events_now());
}

/// A colony and an hour: of an event, or up to which the colony was read.
type Step = (usize, i64, bool);

/// A colony is read in the order of time.
fn as_read(steps: &[Step]) -> Vec<Step> {
    let mut hours: [Vec<i64>; 3] = Default::default();
    for (colony, hour, _) in steps.iter().filter(|(_, _, is_read)| *is_read) {
        hours[*colony].push(*hour);
    }
    hours.iter_mut().for_each(|hours| hours.sort_unstable());
    let next = |(colony, hour, is_read): &Step| {
        let hour = if *is_read { hours[*colony].remove(0) } else { *hour };
        (*colony, hour, *is_read)
    };
    steps.iter().map(next).collect()
}

fn take(clock: &mut EventClock, (colony, hour, is_read): Step) {
    let (colony, at) = (["a", "b", "c"][colony], T0 + hour * HOUR_MS);
    if is_read {
        clock.observe_to(colony, at);
    } else {
        clock.observe(&events(&[(colony, at)]));
    }
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
    /// For any order and restarts: the same now, colonies heard of up to the same times, the same text in the store.
    #[test]
    fn silence_is_a_function_of_what_was_read(
        (steps, shuffled) in prop::collection::vec((0usize..3, 0i64..200, any::<bool>()), 1..40)
            .prop_flat_map(|steps| (Just(steps.clone()), Just(steps).prop_shuffle())),
    ) {
        let mut whole = of(&[]);
        as_read(&steps).into_iter().for_each(|step| take(&mut whole, step));
        let mut committed = Positions::default();
        for step in as_read(&shuffled) {
            let positions = BTreeMap::from([(CLOCK_NAME.to_owned(), committed.clone())]);
            let mut clock = EventClock::of_store(&params(), &positions, &Watermarks::default());
            take(&mut clock, step);
            committed.advance(clock.take_moved());
            prop_assert_eq!(clock.take_moved(), Positions::default());
        }
        let positions = BTreeMap::from([(CLOCK_NAME.to_owned(), committed.clone())]);
        let mut resumed = EventClock::of_store(&params(), &positions, &Watermarks::default());
        prop_assert_eq!(resumed.evaluate(), whole.evaluate());
        prop_assert_eq!(resumed.take_heard(), whole.take_heard());
        prop_assert_eq!(committed.0, whole.take_moved().0);
    }

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
