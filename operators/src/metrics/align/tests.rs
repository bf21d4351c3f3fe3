//! `Align` keeps no more than its rows, and gives the same from columns as from rows.

use super::*;
use model::series::SeriesRef;
use model::time::{DAY_MS, MINUTE_MS};

/// Minutes of a day.
const DAY: i64 = 1_440;

fn series_of(application_name: &str) -> SeriesId {
    SeriesId::of(SeriesRef { application_name, ..fixtures::series("shop-production", "api", "latency_ms") })
}

/// A row with all numbers.
fn full(minute: i64) -> MetricPoint {
    let value = |more: i64| Some(Real((minute * 7 + more) as f64));
    MetricPoint {
        series: series_of("shop"),
        timestamp: TimeMs(minute * MINUTE_MS),
        version: 3,
        count: Some(9),
        mean: value(0),
        p50: value(1),
        p95: value(2),
        p99: value(3),
        max: value(4),
    }
}

/// A number in every second minute.
fn some<T>(minute: i64, number: T) -> Option<T> {
    (minute % 2 == 0).then_some(number)
}

/// One that has closed the first day, and one that has only that.
fn closed_and_open(day: &[(MetricPoint, i64)]) -> (Align, Align) {
    let (mut closed, mut open) = (Align::default(), Align::default());
    assert_eq!(closed.apply(day.to_vec()), open.apply(day.to_vec()));
    assert_eq!(closed.apply(vec![(full(DAY), 1)]).len(), 1);
    assert!(!open.tracks[0].is_packed(0));
    (closed, open)
}

fn assert_same_day(closed: &Align, open: &Align, name: &str) {
    let rows = |align: &Align| align.tracks[0].range(0..=DAY_MS - 1).collect::<Vec<_>>();
    assert_eq!(rows(closed), rows(open), "{name}");
}

#[test]
fn a_closed_day_gives_what_its_rows_give_whatever_numbers_they_have() {
    type Shape = (&'static str, bool, fn(i64) -> MetricPoint);
    let shapes: [Shape; 12] = [
        ("all numbers", true, full),
        ("a count each", true, |minute| MetricPoint { count: Some(minute as u64), ..full(minute) }),
        ("large counts", true, |minute| MetricPoint { count: Some(u64::MAX - minute as u64), ..full(minute) }),
        ("a version each", true, |minute| MetricPoint { version: minute as u64, ..full(minute) }),
        ("two applications", true, |minute| MetricPoint {
            series: series_of(["shop", "store"][minute as usize % 2]),
            ..full(minute)
        }),
        ("mean alone", true, |minute| MetricPoint {
            count: None,
            p50: None,
            p95: None,
            p99: None,
            max: None,
            ..full(minute)
        }),
        ("some counts", false, |minute| MetricPoint { count: some(minute, 9), ..full(minute) }),
        ("some means", false, |minute| MetricPoint { mean: some(minute, Real(1.0)), ..full(minute) }),
        ("some p50", false, |minute| MetricPoint { p50: some(minute, Real(1.0)), ..full(minute) }),
        ("some p95", false, |minute| MetricPoint { p95: some(minute, Real(1.0)), ..full(minute) }),
        ("some p99", false, |minute| MetricPoint { p99: some(minute, Real(1.0)), ..full(minute) }),
        ("some max", false, |minute| MetricPoint { max: some(minute, Real(1.0)), ..full(minute) }),
    ];
    for (name, is_packed, row) in shapes {
        let day: Vec<(MetricPoint, i64)> = (0..DAY).map(|minute| (row(minute), 1)).collect();
        let (mut closed, mut open) = closed_and_open(&day);
        assert_eq!(closed.tracks[0].is_packed(0), is_packed, "{name}");
        assert_same_day(&closed, &open, name);
        // a correction of one bucket, and a retraction of another
        let correction = MetricPoint { version: u64::MAX, mean: Some(Real(-1.0)), p95: None, ..row(77) };
        let changes = vec![(correction, 1), (row(500), -1)];
        let found = closed.apply(changes.clone());
        assert_eq!((found.len(), &found), (3, &open.apply(changes)), "{name}");
        assert_same_day(&closed, &open, name);
        // and once the day is closed again
        assert_eq!(closed.apply(vec![(full(2 * DAY), 1)]).len(), 1);
        assert_same_day(&closed, &open, name);
    }
}

#[test]
fn a_day_whose_open_buckets_were_received_again_is_packed_with_all_their_states() {
    let state =
        |minute: i64, count: u64| MetricPoint { count: Some(count), p95: Some(Real(count as f64)), ..full(minute) };
    // one to three states, the second of which was received twice
    let states = |minute: i64| (1..=1 + minute as u64 % 3).map(move |count| (state(minute, count), 1));
    let again = (0..DAY).filter(|minute| minute % 3 > 0).map(|minute| (state(minute, 2), 1));
    let day: Vec<(MetricPoint, i64)> = (0..DAY).flat_map(states).chain(again).collect();
    let (mut closed, mut open) = closed_and_open(&day);
    assert!(closed.tracks[0].is_packed(0));
    assert_eq!(closed.len(), 1 + 2 * DAY as usize);
    assert_same_day(&closed, &open, "closed");
    // the retraction of the greatest state restores the one before it
    let changes = vec![(state(5, 3), -1), (state(6, 1), -1), (state(7, 2), -1)];
    let found = closed.apply(changes.clone());
    assert_eq!(found, open.apply(changes));
    let changed: Vec<(i64, f64, i64)> =
        found.iter().map(|(sample, diff)| (sample.at.0 / MINUTE_MS, sample.value.0, *diff)).collect();
    assert_eq!(changed, [(5, 2.0, 1), (5, 3.0, -1), (6, 1.0, -1)], "of the seventh the second is still there once");
    assert_eq!(closed.apply(vec![(full(2 * DAY), 1)]).len(), 1);
    assert!(closed.tracks[0].is_packed(0));
    assert_same_day(&closed, &open, "closed again");
    closed.forget_before(TimeMs(5 * MINUTE_MS));
    open.forget_before(TimeMs(5 * MINUTE_MS));
    assert_same_day(&closed, &open, "forgotten");
}

#[test]
fn a_series_that_changes_its_application_and_environment_for_ever_holds_no_more_than_its_rows() {
    let mut align = Align::default();
    for minute in 0..600 {
        let (application, environment) = (format!("app-{}", minute % 7), format!("ephemeral-{minute}"));
        let names = SeriesRef {
            colony_id: "c",
            service_id: "s",
            metric_name: "m",
            application_name: &application,
            environment: &environment,
            interval_seconds: Some(60),
        };
        let timestamp = TimeMs(minute * MINUTE_MS);
        let point =
            MetricPoint { series: SeriesId::of(names), timestamp, mean: Some(Real(1.0)), ..MetricPoint::default() };
        assert_eq!(align.apply(vec![(point, 1)]).len(), 1);
        align.forget_before(TimeMs((minute - 9) * MINUTE_MS));
        assert!(align.len() <= 10);
    }
    assert_eq!((align.len(), align.tracks.len(), align.places.len()), (10, 1, 1));
    assert_eq!(align.tracks[0].len(), 10);
    align.forget_before(TimeMs(600 * MINUTE_MS));
    assert!(align.is_empty());
}
