//! Rows that a store does not apply: it counts them.

use super::rows::{bucket, event};
use super::{Fixture, OnTime, commit_of};
use crate::{Outcome, StoreWriter};
use model::event::Event;
use model::metric::MetricPoint;
use model::real::Real;
use model::rows::Rows;

pub(super) async fn rows_that_are_not_taken_are_counted<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let wrong = |service: &str| MetricPoint { mean: Some(Real(5_000.0)), ..bucket(service, 0) };
    let right = |service: &str| MetricPoint { mean: Some(Real(5.0)), ..bucket(service, 0) };
    let first = Rows {
        metrics: ["a", "b", "c", "d"].map(wrong).into(),
        events: vec![event("x", 0), event("y", 0), event("z", 0)],
        ..Rows::default()
    };
    let first = commit_of(1, first);
    assert_eq!(store.commit(&first).await.unwrap(), Outcome::default(), "all of it is new");
    assert_eq!(store.commit(&first).await.unwrap(), Outcome::default(), "and the same again");
    fixture.close(store).await;
    let mut store = fixture.open().await;
    let fuller = MetricPoint { count: Some(99), ..right("b") };
    let fewer = MetricPoint { count: Some(1), ..right("c") };
    let corrected = MetricPoint { version: 1, ..right("d") };
    let lesser = Event { service_id: String::new(), ..event("x", 0) };
    let again = event("y", 60_000);
    let amended = Event { version: 1, ..event("z", 60_000) };
    let second = commit_of(
        2,
        Rows {
            metrics: vec![right("a"), fuller, fewer, corrected].into(),
            events: vec![lesser, again.clone(), amended.clone()],
            ..Rows::default()
        },
    );
    let expected = Outcome { not_taken: 3, fewer_samples: 1, reused_ids: 1 };
    assert_eq!(store.commit(&second).await.unwrap(), expected);
    let stored = store.reader().metrics_since(model::time::TimeMs(0), None, 9).await.unwrap();
    assert_eq!(stored, [wrong("a"), fuller, wrong("c"), corrected]);
    let stored = store.reader().events_since(model::time::TimeMs(0), None, 9).await.unwrap();
    assert_eq!(stored, [event("x", 0), again, amended]);
    fixture.close(store).await;
}

/// One id for every firing of an alert, in one file or over many commits.
pub(super) async fn an_id_that_is_used_again_is_counted<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let firings = |from: i64, to: i64| -> Vec<Event> { (from..to).map(|n| event("fingerprint", n * 60_000)).collect() };
    let commit = |tick, events| commit_of(tick, Rows { events, ..Rows::default() });
    let reused = |reused_ids| Outcome { reused_ids, ..Outcome::default() };
    assert_eq!(store.commit(&commit(1, firings(0, 40))).await.unwrap(), reused(39));
    assert_eq!(store.commit(&commit(2, firings(40, 41))).await.unwrap(), reused(1));
    assert_eq!(store.commit(&commit(3, firings(40, 41))).await.unwrap(), reused(0), "a repeat");
    fixture.close(store).await;
}
