//! Contract for rejects: each is identified by its location, states the current fault, and has bounded cost.

use super::rows::{START, bucket, event};
use super::{Fixture, commit_of};
use crate::rejects::KEPT_MAX;
use crate::{Commit, StoreWriter};
use model::reject::{Reject, RejectReason};
use model::rows::Rows;
use std::collections::BTreeMap;

pub(super) fn reject(place: &str) -> Reject {
    Reject {
        source: "files".into(),
        place: place.into(),
        colony_id: None,
        reason: RejectReason::Malformed,
        detail: "not JSON".into(),
        raw: "{\"event_id\": ".into(),
        rejected_at: START,
    }
}

fn refusing(tick: u64, rejects: Vec<Reject>) -> Commit {
    Commit { rejects, ..commit_of(tick, Rows::default()) }
}

async fn by_reason<S: StoreWriter>(store: &mut S) -> Vec<(String, u64)> {
    store.reader().totals().await.unwrap().rejects.into_iter().collect()
}

pub(super) async fn rejects_are_kept_once<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    for tick in 1..=3 {
        store.commit(&refusing(tick, vec![reject("a:1"), reject("a:2"), reject("a:2")])).await.unwrap();
    }
    let totals = store.reader().totals().await.unwrap();
    assert_eq!(totals.rows["rejects"], 2);
    assert_eq!(totals.rejects, BTreeMap::from([("malformed".into(), 2)]));
    fixture.close(store).await;
}

pub(super) async fn a_reject_says_what_is_wrong_now<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    store.commit(&refusing(1, vec![reject("a:1"), reject("a:2")])).await.unwrap();
    let before = fixture.dump(&mut store).await["rejects"].clone();
    let later = Reject { rejected_at: START + 1, ..reject("a:1") };
    store.commit(&refusing(2, vec![later])).await.unwrap();
    assert_eq!(fixture.dump(&mut store).await["rejects"], before, "refused again for the same");
    let other = Reject { reason: RejectReason::BadValue, detail: "count is -1".into(), ..reject("a:2") };
    store.commit(&refusing(3, vec![other.clone(), other])).await.unwrap();
    assert_eq!(by_reason(&mut store).await, [("bad_value".into(), 1), ("malformed".into(), 1)]);
    let rejects = fixture.dump(&mut store).await["rejects"].join("\n");
    assert!(rejects.contains("count is -1"), "{rejects}");
    fixture.close(store).await;
}

pub(super) async fn rejects_are_taken_back_when_their_rows_are_right<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let places = ["a:1", "a:2", "ab:1", "b:7", "b:8"];
    let first: Vec<Reject> = places.into_iter().map(reject).collect();
    let other_source = Reject { source: "kafka".into(), ..reject("a:1") };
    store.commit(&refusing(1, [first, vec![other_source]].concat())).await.unwrap();
    let again = Commit {
        restarted: vec![("files".into(), "a".into())],
        settled: vec![("files".into(), "b:8".into()), ("files".into(), "b:9".into())],
        ..refusing(2, vec![reject("a:2")])
    };
    for _ in 0..2 {
        store.commit(&again).await.unwrap();
        let rejects = fixture.dump(&mut store).await["rejects"].clone();
        let has = |source: &str, place: &str| {
            rejects.iter().filter(|row| row.contains(source) && row.contains(place)).count()
        };
        assert_eq!(rejects.len(), 4, "{rejects:?}");
        assert_eq!((has("kafka", "a:1"), has("files", "a:2"), has("files", "b:7")), (1, 1, 1), "{rejects:?}");
        assert_eq!(has("files", "ab:1"), 1, "another file whose name begins alike: {rejects:?}");
    }
    fixture.close(store).await;
}

/// More of one kind than are stored: the others are counted, each once, also if a commit is repeated.
pub(super) async fn rejects_beyond_those_kept_are_counted<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let lines = |from: u64, to: u64| (from..=to).map(|line| reject(&format!("a.csv:{line}"))).collect::<Vec<_>>();
    let commits = [
        refusing(1, lines(1, KEPT_MAX - 3)),
        refusing(2, lines(KEPT_MAX - 2, KEPT_MAX + 50)),
        refusing(3, [lines(KEPT_MAX + 40, KEPT_MAX + 60), vec![reject("b.csv:1")]].concat()),
    ];
    for commit in &commits {
        store.commit(commit).await.unwrap();
        store.commit(commit).await.unwrap();
    }
    let totals = store.reader().totals().await.unwrap();
    assert_eq!((totals.rows["rejects"], totals.rows["rejects_omitted"]), (KEPT_MAX + 1, 1));
    assert_eq!(by_reason(&mut store).await, [("malformed".into(), KEPT_MAX + 61)]);
    let repaired = Commit { restarted: vec![("files".into(), "a.csv".into())], ..refusing(4, lines(2, 2)) };
    store.commit(&repaired).await.unwrap();
    assert_eq!(by_reason(&mut store).await, [("malformed".into(), 2)]);
    fixture.close(store).await;
}

/// Rows that lay after the reader's clock are read again: what was said of their time goes, nothing else does.
pub(super) async fn rejects_for_their_time_are_taken_back_when_read_again<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let ahead = |place: &str| Reject { reason: RejectReason::FarFuture, source: "kafka:k".into(), ..reject(place) };
    let other = Reject { source: "kafka:k".into(), ..reject("e/0@8") };
    let far: Vec<Reject> = (0..KEPT_MAX + 5).map(|offset| ahead(&format!("e/0@{}", offset + 10))).collect();
    store.commit(&refusing(1, [far, vec![other, ahead("e/1@7")]].concat())).await.unwrap();
    let again = Commit { rewound: vec![("kafka:k".into(), "e/0".into())], ..refusing(2, vec![ahead("e/0@12")]) };
    for _ in 0..2 {
        store.commit(&again).await.unwrap();
        assert_eq!(by_reason(&mut store).await, [("far_future".into(), 2), ("malformed".into(), 1)]);
    }
    fixture.close(store).await;
}

/// The last record of a file was refused beyond those that are kept, and has been read on.
pub(super) async fn a_settled_reject_beyond_those_kept_is_not_counted<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let lines = (1..=KEPT_MAX + 3).map(|line| reject(&format!("a.csv:{line}"))).collect();
    store.commit(&refusing(1, lines)).await.unwrap();
    let last = format!("a.csv:{}", KEPT_MAX + 3);
    let settled = Commit { settled: vec![("files".into(), last.clone())], ..refusing(2, Vec::new()) };
    for _ in 0..2 {
        store.commit(&settled).await.unwrap();
        assert_eq!(by_reason(&mut store).await, [("malformed".into(), KEPT_MAX + 2)]);
    }
    let again = Commit { settled: vec![("files".into(), last.clone())], ..refusing(3, vec![reject(&last)]) };
    for _ in 0..2 {
        store.commit(&again).await.unwrap();
        assert_eq!(by_reason(&mut store).await, [("malformed".into(), KEPT_MAX + 3)], "refused again, counted once");
    }
    fixture.close(store).await;
}

/// As many as in the first commit of a file, with ids of usual length: the size of a look-up is limited.
pub(super) async fn many_identities_are_looked_up<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let events: Vec<_> = (0..4_500).map(|n| event(&format!("0192e4a0-7c1d-7{n:04}-9b3e-5d8f1c2a{n:04}"), n)).collect();
    let metrics: Vec<_> = (0..2_500).map(|n| bucket(&format!("service-of-some-length-{n}"), 0)).collect();
    let rejects = (0..3_000).map(|n| reject(&format!("a/path/of/some/length/to/a/file-{n}.ndjson:1"))).collect();
    let rows = Rows { events, metrics: metrics.into(), ..Rows::default() };
    let first = Commit { rejects, ..commit_of(1, rows) };
    for _ in 0..2 {
        store.commit(&first).await.unwrap();
    }
    let totals = store.reader().totals().await.unwrap();
    for (table, rows) in [("federated_events", 4_500), ("federated_metrics", 2_500), ("rejects", 3_000)] {
        assert_eq!(totals.rows[table], rows, "{table}");
    }
    fixture.close(store).await;
}
