//! Lateness: verdicts, wrong clocks, backlogs, restarts.

#![allow(clippy::unwrap_used)]

use super::*;
use model::metric::MetricPoint;
use model::series::SeriesRef;
use proptest::prelude::*;

const LIVE: Origin<'static> =
    Origin { source: "live", is_finite: false, arrival: Arrival::Live, now: TimeMs(i64::MAX / 2) };
const FINITE: Origin<'static> = Origin { is_finite: true, ..LIVE };

fn event(colony: u8, ms: i64) -> Event {
    fixtures::event(&format!("colony-{colony}"), &ms.to_string(), TimeMs(ms))
}

fn bucket(ms: i64, interval_seconds: u32) -> MetricPoint {
    let names = fixtures::series("c", "s", "m");
    fixtures::point(SeriesRef { interval_seconds: Some(interval_seconds), ..names }, TimeMs(ms), 1.0)
}

fn events(rows: &[(u8, i64)]) -> Rows {
    Rows { events: rows.iter().map(|(colony, ms)| event(*colony, *ms)).collect(), ..Rows::default() }
}

/// Events of one colony, each with its service.
fn of_services(rows: &[(&str, i64)]) -> Rows {
    let event = |(service, ms): &(&str, i64)| Event { service_id: (*service).to_owned(), ..event(1, *ms) };
    Rows { events: rows.iter().map(event).collect(), ..Rows::default() }
}

fn times(rows: &Rows) -> Vec<i64> {
    rows.events.iter().map(|row| row.timestamp.0).collect()
}

#[test]
fn rows_behind_the_watermark_before_the_batch_are_late() {
    let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
    let mut first = events(&[(1, 1_000), (1, 5), (1, 1_001)]);
    assert!(gate.split_late(&mut first, LIVE).is_empty(), "nothing is late before there is a watermark");
    let mut second = events(&[(1, 5_000), (1, 900), (1, 899), (2, 5)]);
    let late = gate.split_late(&mut second, LIVE);
    assert_eq!(
        (times(&second), times(&late)),
        (vec![5_000, 900, 5], vec![899]),
        "the edge is on time; each colony by itself"
    );
    let mut again = events(&[(1, 899)]);
    assert_eq!(gate.split_late(&mut again, LIVE).len(), 1, "a repeat of a late row is late again");
}

#[test]
fn finite_rows_are_never_late_and_move_the_watermark() {
    let mut gate = LatenessGate::new(100, [("colony-1".to_owned(), TimeMs(1_000))].into(), Watermarks::new());
    let mut old = events(&[(1, 5), (1, 9_000)]);
    assert!(gate.split_late(&mut old, FINITE).is_empty());
    let mut live = events(&[(1, 899), (1, 900)]);
    assert_eq!(gate.split_late(&mut live, LIVE).len(), 1, "the second-largest time is 1000");
}

#[test]
fn late_rows_do_not_move_the_watermark() {
    let mut gate = LatenessGate::new(0, [("colony-1".to_owned(), TimeMs(1_000))].into(), Watermarks::new());
    gate.split_late(&mut events(&[(1, 10)]), LIVE);
    assert!(gate.split_late(&mut events(&[(1, 1_000)]), LIVE).is_empty());
}

#[test]
fn one_row_from_the_future_makes_no_other_row_late() {
    let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
    gate.split_late(&mut events(&[(1, 1_000), (1, 2_000), (1, 86_400_000), (1, 86_400_000)]), LIVE);
    let mut next = events(&[(1, 1_900), (1, 1_899)]);
    assert_eq!(times(&gate.split_late(&mut next, LIVE)), vec![1_899]);
    gate.split_late(&mut events(&[(1, 86_400_001)]), LIVE);
    assert_eq!(gate.split_late(&mut events(&[(1, 2_100)]), LIVE).len(), 1, "a second one confirms that time has moved");
}

#[test]
fn a_restart_resumes_where_the_gate_was_and_not_where_the_rows_are() {
    let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
    gate.split_late(&mut events(&[(1, 1_000), (1, 2_000), (2, 7)]), LIVE);
    let mut committed = gate.take_moved();
    gate.split_late(&mut Rows { metrics: vec![bucket(60_000, 60)].into(), ..Rows::default() }, LIVE);
    committed.advance(gate.take_moved());
    assert_eq!(gate.take_moved(), Positions::default());
    // the stored rows say less: the event at 2000 has been amended to 500 in the meantime
    let stored = [("colony-1".to_owned(), TimeMs(500)), ("colony-3".to_owned(), TimeMs(9))].into();
    let mut resumed = LatenessGate::new(100, stored, Watermarks::new()).resume(&committed);
    let rows = [(1, 900), (1, 899), (2, 1)];
    let late = |gate: &mut LatenessGate| times(&gate.split_late(&mut events(&rows), LIVE));
    assert_eq!(late(&mut resumed), vec![899]);
    assert_eq!(late(&mut gate), vec![899], "as without a restart");
}

#[test]
fn a_colony_that_only_a_cut_off_commit_has_brought_is_not_known() {
    let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
    gate.split_late(&mut events(&[(1, 1_000), (1, 2_000)]), LIVE);
    let committed = gate.take_moved();
    let stored = [("colony-1".to_owned(), TimeMs(2_000)), ("colony-2".to_owned(), TimeMs(9_000))].into();
    let metrics = [("colony-2".to_owned(), TimeMs(9_000))].into();
    let mut resumed = LatenessGate::new(100, stored, metrics).resume(&committed);
    assert_eq!(resumed.greatest(), (Some(TimeMs(2_000)), None));
    assert_eq!(resumed.take_moved(), Positions::default());
}

#[test]
fn an_open_long_bucket_is_not_late_beside_short_ones() {
    let hour_ms = 3_600_000;
    let mut gate = LatenessGate::new(0, Watermarks::new(), [("c".to_owned(), TimeMs(2 * hour_ms - 60_000))].into());
    let mut rows = Rows { metrics: vec![bucket(hour_ms, 3_600), bucket(hour_ms, 60)].into(), ..Rows::default() };
    let late = gate.split_late(&mut rows, LIVE);
    assert_eq!(
        (rows.metrics.to_vec(), late.metrics.to_vec()),
        (vec![bucket(hour_ms, 3_600)], vec![bucket(hour_ms, 60)])
    );
}

proptest! {
    /// Shuffling the rows inside batches changes no verdict.
    #[test]
    fn the_order_inside_a_batch_changes_no_verdict(
        batches in prop::collection::vec(prop::collection::vec((0u8..3, 0i64..10_000), 0..12), 0..8)
            .prop_flat_map(|batches| {
                let shuffled: Vec<_> = batches.iter().map(|batch| Just(batch.clone()).prop_shuffle()).collect();
                (Just(batches), shuffled)
            }),
        allowed_ms in 0i64..3_000,
    ) {
        let (ordered, shuffled) = batches;
        let run = |batches: &[Vec<(u8, i64)>]| {
            let mut gate = LatenessGate::new(allowed_ms, Watermarks::new(), Watermarks::new());
            let mut verdicts = Vec::new();
            for batch in batches {
                let mut rows = events(batch);
                let mut late = gate.split_late(&mut rows, LIVE);
                prop_assert_eq!(rows.len() + late.len(), batch.len());
                rows.events.sort();
                late.events.sort();
                verdicts.push((rows.events, late.events));
            }
            Ok(verdicts)
        };
        prop_assert_eq!(run(&ordered)?, run(&shuffled)?);
    }
}

#[test]
fn a_fast_clock_makes_no_row_of_another_clock_late() {
    let hour_ms = 3_600_000;
    let mut gate = LatenessGate::new(600_000, Watermarks::new(), Watermarks::new());
    let honest = |minute: i64| TimeMs(100 * hour_ms + minute * 60_000);
    let at = |minute: i64| Origin { now: honest(minute), ..LIVE };
    for minute in 0..5 {
        gate.split_late(&mut of_services(&[("api", honest(minute).0)]), at(minute));
    }
    // ten rows of one service, six hours ahead of everybody
    let fast: Vec<_> = (0..10).map(|n| ("web", honest(5).0 + 6 * hour_ms + n)).collect();
    assert!(gate.split_late(&mut of_services(&fast), at(5)).is_empty());
    for minute in 6..60 {
        let mut rows = of_services(&[("api", honest(minute - 1).0), ("api", honest(minute).0)]);
        assert!(gate.split_late(&mut rows, at(minute)).is_empty(), "minute {minute}");
    }
    let mut behind = of_services(&[("api", honest(-10).0)]);
    assert_eq!(gate.split_late(&mut behind, at(60)).len(), 1, "what is late stays late");
}

#[test]
fn the_mark_goes_no_further_than_the_readers_clock() {
    let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
    // a single service: only the reader's clock limits the time
    let mut fast = of_services(&[("api", 1_000), ("api", 50_000), ("api", 60_000)]);
    gate.split_late(&mut fast, Origin { now: TimeMs(1_500), ..LIVE });
    let mut next = of_services(&[("api", 1_500), ("api", 1_400), ("api", 900), ("api", 899)]);
    assert_eq!(times(&gate.split_late(&mut next, Origin { now: TimeMs(1_600), ..LIVE })), vec![899]);
}

#[test]
fn a_service_that_has_been_silent_for_long_delays_no_other() {
    let day_ms = 86_400_000;
    let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
    gate.split_late(&mut of_services(&[("old", 5), ("api", 2 * day_ms), ("api", 2 * day_ms + 1)]), LIVE);
    assert_eq!(gate.split_late(&mut of_services(&[("api", day_ms)]), LIVE).len(), 1);
}

#[test]
fn a_backlog_is_never_late_until_its_source_has_caught_up_once() {
    let backlog = Origin { arrival: Arrival::Backlog, ..LIVE };
    let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
    assert!(gate.split_late(&mut events(&[(1, 9_000), (1, 9_001)]), backlog).is_empty());
    assert!(gate.split_late(&mut events(&[(1, 5)]), backlog).is_empty(), "the older half came second");
    assert!(gate.split_late(&mut Rows::default(), LIVE).is_empty());
    assert!(gate.split_late(&mut events(&[(1, 6)]), backlog).is_empty(), "rows of no kind say nothing");
    assert_eq!(gate.split_late(&mut events(&[(1, 7), (1, 9_002)]), LIVE).len(), 1, "it has caught up");
    // a restart, and a further one, start behind again
    let mut resumed = LatenessGate::new(100, Watermarks::new(), Watermarks::new()).resume(&gate.take_moved());
    assert_eq!(resumed.split_late(&mut events(&[(1, 7)]), backlog).len(), 1, "that was known already");
    let other = Origin { source: "another", ..backlog };
    assert!(resumed.split_late(&mut events(&[(1, 8)]), other).is_empty(), "each source by itself");
    let again = Origin { arrival: Arrival::Again, ..LIVE };
    assert!(resumed.split_late(&mut events(&[(1, 8)]), again).is_empty(), "a restored history");
}

#[test]
fn the_state_of_an_earlier_version_is_taken_over() {
    let committed = Positions([("events".to_owned(), r#"{"colony-1":[2000,1000]}"#.to_owned())].into());
    let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new()).resume(&committed);
    assert_eq!(gate.greatest(), (Some(TimeMs(2_000)), None));
    assert_eq!(times(&gate.split_late(&mut events(&[(1, 900), (1, 899)]), LIVE)), vec![899]);
}

proptest! {
    /// The mark is a function of the set of rows.
    #[test]
    fn the_order_of_rows_does_not_matter(
        (rows, shuffled) in prop::collection::vec((0usize..4, 0i64..400_000_000), 0..20)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let names = ["api", "db", "web", "worker"];
        let marks = |rows: &[(usize, i64)]| {
            let mut gate = LatenessGate::new(0, Watermarks::new(), Watermarks::new());
            for (service, ms) in rows {
                gate.split_late(&mut of_services(&[(names[*service], *ms)]), FINITE);
            }
            gate.take_moved()
        };
        prop_assert_eq!(marks(&rows), marks(&shuffled));
    }
}
