//! Cases about late copies: they never hide an on-time row, and no greater one is lost.

use super::rows::{START, bucket, event};
use super::{Fixture, OnTime, commit_of, dump_after};
use crate::{Commit, Span, StoreWriter, Watermarks, pages};
use model::event::Event;
use model::metric::MetricPoint;
use model::rows::{RollupKey, Rows};
use model::time::{HOUR_MS, TimeMs};

const ALL: Span = Span { from: TimeMs(0), to: None, with_late: true };

fn late_commit(tick: u64, late: Rows) -> Commit {
    let rollups = RollupKey::touched(&late.metrics).into_iter().collect();
    Commit { late: late.into(), rollups, ..commit_of(tick, Rows::default()) }
}

/// An event amended, one moved by three hours and one withdrawn; a bucket that is fuller; a row that has no other copy.
fn on_time() -> Rows {
    let events = ["amended", "moved", "withdrawn", "plain"].map(|id| event(id, 60_000)).to_vec();
    Rows { events, metrics: vec![bucket("svc", 0), bucket("svc", 60_000)].into(), ..Rows::default() }
}

fn late_copies() -> Rows {
    let amended = Event { version: 7, description: "late news".into(), ..event("amended", 60_000) };
    let moved = Event { version: 1, ..event("moved", 60_000 - 3 * HOUR_MS) };
    let withdrawn = Event { withdrawn: true, ..event("withdrawn", 60_000) };
    let fuller = MetricPoint { count: Some(1_000_000), ..bucket("svc", 0) };
    Rows { events: vec![amended, moved, withdrawn], metrics: vec![fuller].into(), ..Rows::default() }
}

/// Every row that counts when late copies do.
async fn all(store: &impl StoreWriter) -> (Vec<Event>, Vec<MetricPoint>) {
    let reader = store.reader();
    let (mut events, mut metrics) = (Vec::new(), Vec::new());
    let mut pages_of_events = pages::<Event>(&reader, ALL, 2);
    while let Some(page) = pages_of_events.next().await.unwrap() {
        events.extend(page.into_iter().map(|stored| stored.row));
    }
    let mut pages_of_metrics = pages::<MetricPoint>(&reader, ALL, 1);
    while let Some(page) = pages_of_metrics.next().await.unwrap() {
        metrics.extend(page.into_iter().map(|stored| stored.row));
    }
    assert_eq!(reader.count_in(ALL).await.unwrap(), (events.len() as u64, metrics.len() as u64));
    (events, metrics)
}

pub(super) async fn late_rows_are_marked_and_never_hide_rows_on_time<F: Fixture>(fixture: &impl Fn() -> F) {
    let mut newer = event("e", 0);
    (newer.version, newer.description) = (7, "late news".into());
    let fuller = MetricPoint { count: Some(1_000_000), ..bucket("svc", 0) };
    let late = late_commit(1, Rows { events: vec![newer], metrics: vec![fuller].into(), ..Rows::default() });
    let on_time = Rows { events: vec![event("e", 0)], metrics: vec![bucket("svc", 0)].into(), ..Rows::default() };
    let on_time = commit_of(2, on_time);

    let first = fixture();
    let mut store = first.open().await;
    store.commit(&late).await.unwrap();
    assert!(store.reader().events_since(TimeMs(0), None, 10).await.unwrap().is_empty(), "late rows are not read back");
    assert!(store.reader().metrics_since(TimeMs(0), None, 10).await.unwrap().is_empty());
    assert_eq!(store.reader().watermarks().await.unwrap(), Watermarks::default());
    assert_eq!(store.reader().totals().await.unwrap().late, 2);
    assert_eq!(first.dump(&mut store).await["env_metric_summary"].len(), 1, "a late bucket counts in the hour");
    store.commit(&on_time).await.unwrap();
    assert_eq!(store.reader().events_since(TimeMs(0), None, 10).await.unwrap(), on_time.rows.events);
    assert_eq!(store.reader().metrics_since(TimeMs(0), None, 10).await.unwrap(), on_time.rows.metrics);
    assert_eq!(store.reader().totals().await.unwrap().late, 2, "they say more, so they are stored as late copies");
    let late_first = first.dump(&mut store).await;
    first.close(store).await;
    assert_eq!(dump_after(&fixture(), &[on_time.clone(), late.clone()], false).await, late_first);
    let together = Commit { late: late.late, ..on_time };
    assert_eq!(dump_after(&fixture(), &[together], false).await, late_first);
}

pub(super) async fn a_late_copy_of_a_row_on_time_is_stored_separately_until_it_counts<F: Fixture>(
    fixture: &impl Fn() -> F,
) {
    let live = fixture();
    let mut store = live.open().await;
    store.commit(&commit_of(1, on_time())).await.unwrap();
    let before = live.dump(&mut store).await;
    for tick in 2..4 {
        store.commit(&late_commit(tick, late_copies())).await.unwrap();
        live.close(store).await;
        store = live.open().await;
    }
    let dump = live.dump(&mut store).await;
    for (table, rows) in &before {
        if !table.starts_with("late_") {
            assert_eq!(&dump[table], rows, "current copies stay: {table}");
        }
    }
    assert_eq!((dump["late_event_copies"].len(), dump["late_metric_copies"].len()), (3, 1));
    let totals = store.reader().totals().await.unwrap();
    assert_eq!((totals.late, totals.rows["late_event_copies"], totals.rows["late_metric_copies"]), (4, 3, 1));
    assert_eq!(store.newer_events(&on_time().events).await.unwrap(), vec![], "a live engine does not see it");
    assert_eq!(store.amended_events(9).await.unwrap(), Some(vec![]), "nor is it listed");
    assert_eq!(store.reader().events_since(TimeMs(0), None, 9).await.unwrap().len(), 4);

    // each row once, by the copy that says most, at its own time
    let (events, metrics) = all(&store).await;
    let late = late_copies();
    let mut expected = [late.events, vec![event("plain", 60_000)]].concat();
    expected.sort_by_key(|row| (row.timestamp, row.event_id.clone()));
    assert_eq!((&events, metrics.clone()), (&expected, vec![late.metrics.first().unwrap(), bucket("svc", 60_000)]));
    let hour = Span { from: START, to: Some(START + HOUR_MS), with_late: true };
    assert_eq!(store.reader().count_in(hour).await.unwrap(), (3, 2), "one has moved away");
    let earlier = Span { from: START - 4 * HOUR_MS, to: Some(START), with_late: true };
    assert_eq!(store.reader().events_in(earlier, None, 9).await.unwrap().len(), 1);
    let colonies = [bucket("svc", 0).series.series().key.colony_id.clone()];
    let of_colony = store.reader().metrics_of(&colonies, START, START + HOUR_MS).await.unwrap();
    assert_eq!(of_colony, metrics, "the same of some colonies");

    // what a backfill writes
    let backfilled = commit_of(4, late_copies());
    store.commit(&backfilled).await.unwrap();
    assert_eq!(store.reader().totals().await.unwrap().late, 0);
    let after = live.dump(&mut store).await;
    live.close(store).await;
    let rows = [on_time(), late_copies()].map(|rows| commit_of(1, rows));
    assert_eq!(dump_after(&fixture(), &rows, false).await, after, "as if all had been on time");
    let again =
        [commit_of(1, on_time()), late_commit(2, late_copies()), backfilled.clone(), late_commit(5, late_copies())];
    assert_eq!(dump_after(&fixture(), &again, true).await, after, "repeats of the late copies change nothing");
}

pub(super) async fn the_copies_that_are_kept_do_not_depend_on_the_order<F: Fixture>(fixture: &impl Fn() -> F) {
    let events = |version: u64| vec![Event { version, ..event("e", version as i64 * HOUR_MS) }];
    let metrics = |count: u64| vec![MetricPoint { count: Some(count), ..bucket("svc", 0) }];
    let rows = |number: u64| Rows { events: events(number), metrics: metrics(number).into(), ..Rows::default() };
    let commits = [
        late_commit(1, rows(4)),
        commit_of(2, rows(2)),
        late_commit(3, rows(1)),
        commit_of(4, rows(0)),
        late_commit(5, rows(3)),
    ];
    let in_order = dump_after(&fixture(), &commits, false).await;
    assert_eq!((in_order["late_event_copies"].len(), in_order["late_metric_copies"].len()), (1, 1));
    for order in [[4, 3, 2, 1, 0], [1, 4, 0, 2, 3], [0, 4, 3, 1, 2]] {
        let commits = order.map(|place: usize| commits[place].clone());
        assert_eq!(dump_after(&fixture(), &commits, true).await, in_order, "{order:?}");
    }
}
