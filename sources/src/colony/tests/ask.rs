//! Questions outside a source: rows of a range in slices, rows that are none, colonies that do not answer.

use super::super::ask::{AskedColony, AskedRange, NotAnswered, RowSlices, RowsOf};
use super::*;
use mesh::Route;
use std::collections::BTreeSet;

async fn reached(colony: &TestColony, colony_id: &str) -> Result<AskedColony, NotAnswered> {
    let route = Route::Plain(colony.endpoint());
    AskedColony::reach(&Network::plain(), (colony_id, &route), SystemClock::shared()).await
}

/// A colony with an event in each of the last forty minutes.
async fn started(last: TimeMs) -> TestColony {
    let colony = TestColony::start(COLONY).await;
    let events: Vec<Event> = (0..40_usize).map(|n| event(n, last - n as i64 * MINUTE_MS)).collect();
    colony.add_events(&events);
    colony
}

fn events_in(from: TimeMs, to: TimeMs) -> AskedRange {
    AskedRange { rows: RowsOf::Events, from, to, services: Vec::new(), metrics: Vec::new() }
}

/// Ids of the events that are left, each sent once; how many rows are none; how many slices there were.
async fn left(slices: &mut RowSlices) -> (BTreeSet<String>, u64, usize) {
    let (mut ids, mut refused, mut count) = (BTreeSet::new(), 0, 0);
    while let Some(sent) = slices.next().await.unwrap() {
        assert!(sent.metrics.is_empty(), "nobody asks for buckets");
        assert!(sent.events.into_iter().all(|event| ids.insert(event.event_id)), "each is sent once");
        (refused, count) = (refused + sent.refused, count + 1);
    }
    (ids, refused, count)
}

fn ids(numbers: std::ops::RangeInclusive<usize>) -> BTreeSet<String> {
    numbers.map(|n| format!("e{n}")).collect()
}

#[tokio::test]
async fn rows_of_a_range_come_in_slices_that_fit_into_a_response() {
    let last = SystemClock.now();
    let colony = started(last).await;
    colony.state.lock().unwrap().answer_rows_max = 8;
    let mut slices = reached(&colony, COLONY).await.unwrap().rows(events_in(last - 30 * MINUTE_MS, last));
    let (found, refused, count) = left(&mut slices).await;
    assert_eq!((found, refused), (ids(1..=30), 0), "the end is not in the range");
    assert!(count >= 4, "{count} slices of eight rows");
    let mut none = reached(&colony, COLONY).await.unwrap().rows(events_in(last, last));
    assert_eq!(left(&mut none).await, (BTreeSet::new(), 0, 0), "an empty range is not asked for");
}

#[tokio::test]
async fn rows_that_were_not_asked_for_are_left_out_and_counted() {
    let last = SystemClock.now();
    let colony = started(last).await;
    colony.add_metrics(&[metric(last - MINUTE_MS, 60, 1)]);
    colony.state.lock().unwrap().ignores_ranges = true;
    let range = events_in(last - 10 * MINUTE_MS, last - 4 * MINUTE_MS);
    let mut slices = reached(&colony, COLONY).await.unwrap().rows(range);
    assert_eq!(left(&mut slices).await, (ids(5..=10), 34, 1));
}

#[tokio::test]
async fn a_colony_that_does_not_answer_says_why() {
    let last = SystemClock.now();
    let colony = started(last).await;
    let other = reached(&colony, "another-production").await.err().unwrap();
    assert!(
        other.to_string().starts_with(&format!("colony {COLONY} is at this endpoint; correct the endpoint")),
        "{other}"
    );
    let mut slices = reached(&colony, COLONY).await.unwrap().rows(events_in(last - DAY_MS, last));
    colony.state.lock().unwrap().colony_id = "another-production".to_owned();
    let moved = slices.next().await.unwrap_err();
    assert!(moved.to_string().starts_with("colony another-production is at this endpoint"), "in between: {moved}");
    colony.state.lock().unwrap().colony_id = COLONY.to_owned();
    colony.revoke(true);
    let revoked = reached(&colony, COLONY).await.err().unwrap();
    assert_eq!(revoked.to_string(), "PermissionDenied: revoked");
    colony.revoke(false);
    let mut slices = reached(&colony, COLONY).await.unwrap().rows(events_in(last - DAY_MS, last));
    colony.kill().await;
    assert!(slices.next().await.is_err(), "it is down in between");
    assert!(reached(&colony, COLONY).await.is_err(), "it is down");
}
