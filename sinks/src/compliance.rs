//! The harness that every store passes: one list of cases, run on each.
//!
//! A case starts from an empty store, writes commits, and compares what the store answers, or whole dumps of its tables
//! without the columns of the run itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test harness: a failure is a panic")]

use crate::{Commit, SinkError, Span, StoreReader, StoreWriter, Watermarks};
use async_trait::async_trait;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::PatternState;
use model::position::Positions;
use model::real::Real;
use model::reject::Reject;
use model::rows::{RollupKey, Rows};
use model::time::{HOUR_MS, TimeMs};
use std::collections::BTreeMap;
use std::sync::Arc;

pub mod derived;
mod late;
mod not_taken;
mod overview;
mod readers;
mod refused;
pub mod rows;

use refused::reject;
use rows::{START, bucket, event, finding};

/// Table name to its rows as text, sorted, without columns that belong to the run (`updated_at`, `revision`, …).
pub type Dump = BTreeMap<String, Vec<String>>;

/// How the harness gets at a store.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The store under test.
    type Opened: StoreWriter;

    /// Opens the fixture's one store; after [`Fixture::close`] it opens the same data again.
    async fn open(&self) -> Self::Opened;

    /// Closes it.
    async fn close(&self, store: Self::Opened);

    /// Everything in it.
    async fn dump(&self, store: &mut Self::Opened) -> Dump;

    /// Makes the next commit fail after all its rows were handed over; `false` when the store cannot fail.
    async fn fail_next_commit(&self, store: &mut Self::Opened) -> bool;
}

/// Rows on time from `from` on, without their marks: what most cases compare.
#[async_trait]
pub trait OnTime {
    /// Events, in pages.
    async fn events_since(&self, from: TimeMs, after: Option<&Event>, limit: usize) -> Result<Vec<Event>, SinkError>;

    /// Metric buckets, in pages.
    async fn metrics_since(
        &self,
        from: TimeMs,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<MetricPoint>, SinkError>;
}

#[async_trait]
impl OnTime for Arc<dyn StoreReader> {
    async fn events_since(&self, from: TimeMs, after: Option<&Event>, limit: usize) -> Result<Vec<Event>, SinkError> {
        let page = self.events_in(Span::on_time_since(from), after, limit).await?;
        Ok(page.into_iter().map(|stored| stored.row).collect())
    }

    async fn metrics_since(
        &self,
        from: TimeMs,
        after: Option<&MetricPoint>,
        limit: usize,
    ) -> Result<Vec<MetricPoint>, SinkError> {
        let page = self.metrics_in(Span::on_time_since(from), after, limit).await?;
        Ok(page.into_iter().map(|stored| stored.row).collect())
    }
}

/// Runs every case, each on a fresh fixture.
pub async fn run_all<F: Fixture>(fixture: impl Fn() -> F) {
    what_was_written_is_read(&fixture()).await;
    the_same_commit_twice_changes_nothing(&fixture()).await;
    an_open_bucket_is_replaced_by_its_fuller_copy(&fixture).await;
    the_greater_version_wins_in_any_order(&fixture).await;
    a_correction_of_a_bucket_wins_by_its_version(&fixture).await;
    a_withdrawn_event_stays_and_is_reported_to_an_engine_that_forgot(&fixture).await;
    late::late_rows_are_marked_and_never_hide_rows_on_time(&fixture).await;
    late::a_late_copy_of_a_row_on_time_is_stored_separately_until_it_counts(&fixture).await;
    late::the_copies_that_are_kept_do_not_depend_on_the_order(&fixture).await;
    refused::rejects_are_kept_once(&fixture()).await;
    refused::a_reject_says_what_is_wrong_now(&fixture()).await;
    refused::rejects_are_taken_back_when_their_rows_are_right(&fixture()).await;
    refused::rejects_beyond_those_kept_are_counted(&fixture()).await;
    refused::rejects_for_their_time_are_taken_back_when_read_again(&fixture()).await;
    refused::a_settled_reject_beyond_those_kept_is_not_counted(&fixture()).await;
    refused::many_identities_are_looked_up(&fixture()).await;
    not_taken::rows_that_are_not_taken_are_counted(&fixture()).await;
    not_taken::an_id_that_is_used_again_is_counted(&fixture()).await;
    a_failed_commit_leaves_nothing(&fixture()).await;
    a_restart_in_between_changes_nothing(&fixture).await;
    findings_are_replaced_and_removed(&fixture()).await;
    pages_hold_every_row_once_in_order(&fixture()).await;
    rows_of_a_span_are_counted(&fixture()).await;
    hostile_text_stays_data(&fixture()).await;
    large_counts_survive(&fixture()).await;
    sightings_keep_the_first_and_the_latest(&fixture()).await;
    overview::services_calls_and_hours_are_read(&fixture()).await;
    overview::buckets_are_read_by_their_names(&fixture()).await;
    overview::values_are_those_of_the_rows(&fixture()).await;
    overview::events_of_some_types_are_read(&fixture()).await;
    overview::colonies_are_named_as_their_newest_rows_name_them(&fixture()).await;
    derived::every_table_is_written_read_and_removed(&fixture()).await;
    derived::rows_are_written_replaced_removed_and_read(&fixture()).await;
    derived::the_newest_rows_come_first_and_a_count_ends_where_it_is_told(&fixture()).await;
    derived::a_repeat_changes_nothing_and_what_does_not_fit_is_refused(&fixture).await;
    readers::readers_see_whole_commits_while_commits_continue(&fixture()).await;
    readers::pages_hold_what_was_stored_when_reading_began(&fixture()).await;
    readers::many_readers_get_the_same_answer_at_once(&fixture()).await;
    readers::a_reader_of_a_closed_store_says_so(&fixture()).await;
}

/// A commit of the given rows on time, with the rollups they touch.
pub fn commit_of(tick: u64, rows: Rows) -> Commit {
    let rollups = RollupKey::touched(&rows.metrics).into_iter().collect();
    Commit { tick, committed_at: START + tick as i64, rows: rows.into(), rollups, ..Commit::default() }
}

fn rich_commit() -> Commit {
    let events = (0..50).map(|i| event(&format!("e{i:02}"), i * 60_000)).collect();
    let metrics = (0..200).map(|i| bucket(&format!("svc-{}", i % 4), i / 4 * 60_000)).collect();
    let rows = Rows {
        events,
        metrics,
        nodes: vec![rows::node(0)],
        edges: vec![rows::edge(0)],
        colonies: vec![rows::colony()],
    };
    let position = Positions(BTreeMap::from([("events.ndjson".into(), "50".into())]));
    let late = Rows {
        events: vec![event("late", -HOUR_MS)],
        metrics: vec![bucket("svc-0", -HOUR_MS)].into(),
        ..Rows::default()
    };
    Commit {
        late: late.into(),
        rejects: vec![reject("events.ndjson:51")],
        findings: vec![finding("a", 0.7, &[("e00", "e01"), ("e02", "e03")]), finding("b", 0.9, &[("e00", "e05")])],
        positions: vec![("files".into(), position)],
        ..commit_of(1, rows)
    }
}

async fn what_was_written_is_read<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let commit = rich_commit();
    store.commit(&commit).await.unwrap();
    assert_eq!(store.reader().events_since(TimeMs(0), None, 1_000).await.unwrap(), commit.rows.events);
    let mut metrics = commit.rows.metrics.to_vec();
    metrics.sort_by_key(|a| (a.timestamp, a.series));
    assert_eq!(store.reader().metrics_since(TimeMs(0), None, 1_000).await.unwrap(), metrics);
    assert_eq!(
        store.reader().events_since(START + 49 * 60_000, None, 9).await.unwrap().len(),
        1,
        "`from` is inclusive"
    );
    let mut correlations: Vec<_> = commit.findings.iter().map(|finding| finding.correlation.clone()).collect();
    correlations.sort_by_key(|correlation| correlation.key.correlation_id());
    assert_eq!(store.reader().correlations().await.unwrap(), correlations);
    assert_eq!(store.reader().positions().await.unwrap()["files"].0["events.ndjson"], "50");
    let newest = BTreeMap::from([("shop-production".into(), START + 49 * 60_000)]);
    let expected = Watermarks { events: newest.clone(), metrics: newest };
    assert_eq!(store.reader().watermarks().await.unwrap(), expected);
    let totals = store.reader().totals().await.unwrap();
    assert_eq!(totals.late, 2);
    assert_eq!(totals.rejects, BTreeMap::from([("malformed".into(), 1)]));
    let expected = [
        ("federated_events", 51),
        ("federated_metrics", 201),
        ("correlations", 2),
        ("correlation_evidence", 3),
        ("event_correlations", 6),
    ];
    for (table, rows) in expected {
        assert_eq!(totals.rows[table], rows, "{table}");
    }
    // 200 on-time buckets in one hour, equal except for their p95
    let dump = fixture.dump(&mut store).await;
    assert_eq!(dump["env_metric_summary"].len(), 1);
    fixture.close(store).await;
}

async fn the_same_commit_twice_changes_nothing<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    store.commit(&rich_commit()).await.unwrap();
    let once = fixture.dump(&mut store).await;
    assert!(once.values().map(Vec::len).sum::<usize>() > 200, "the dump shows the rows");
    store.commit(&rich_commit()).await.unwrap();
    assert_eq!(fixture.dump(&mut store).await, once);
    // and from a later run, with everything doubled inside
    let mut doubled = rich_commit();
    Arc::make_mut(&mut doubled.rows).append((*rich_commit().rows).clone());
    Arc::make_mut(&mut doubled.late).append((*rich_commit().late).clone());
    doubled.rejects.extend(rich_commit().rejects);
    doubled.rollups.extend(rich_commit().rollups);
    doubled.committed_at = doubled.committed_at + HOUR_MS;
    store.commit(&doubled).await.unwrap();
    assert_eq!(fixture.dump(&mut store).await, once);
    fixture.close(store).await;
}

/// Writes `commits` one by one to a fresh store and dumps it.
async fn dump_after<F: Fixture>(fixture: &F, commits: &[Commit], restarts: bool) -> Dump {
    let mut store = fixture.open().await;
    for commit in commits {
        store.commit(commit).await.unwrap();
        if restarts {
            fixture.close(store).await;
            store = fixture.open().await;
        }
    }
    let dump = fixture.dump(&mut store).await;
    fixture.close(store).await;
    dump
}

async fn an_open_bucket_is_replaced_by_its_fuller_copy<F: Fixture>(fixture: &impl Fn() -> F) {
    let with_count = |count: u64| {
        let mut point = bucket("svc", 0);
        (point.count, point.p95) = (Some(count), Some(Real(count as f64 / 3.0)));
        point
    };
    let commits: Vec<Commit> = [(1, 10), (2, 25), (3, 40)]
        .map(|(tick, count)| commit_of(tick, Rows { metrics: vec![with_count(count)].into(), ..Rows::default() }))
        .to_vec();
    let first = fixture();
    let mut store = first.open().await;
    for commit in &commits {
        store.commit(commit).await.unwrap();
    }
    assert_eq!(store.reader().metrics_since(TimeMs(0), None, 10).await.unwrap(), vec![with_count(40)]);
    let in_order = first.dump(&mut store).await;
    first.close(store).await;
    let reversed: Vec<Commit> = commits.iter().rev().cloned().collect();
    assert_eq!(dump_after(&fixture(), &reversed, false).await, in_order);
    let copies = commits.iter().flat_map(|commit| commit.rows.metrics.to_vec()).collect();
    let at_once = commit_of(1, Rows { metrics: copies, ..Rows::default() });
    assert_eq!(dump_after(&fixture(), &[at_once], false).await, in_order);
}

async fn the_greater_version_wins_in_any_order<F: Fixture>(fixture: &impl Fn() -> F) {
    let copy = |version: u64, description: &str, minutes: i64| {
        let mut row = event("e", minutes * 60_000);
        (row.version, row.description) = (version, description.into());
        row
    };
    // a higher version wins over greater content; among equal versions the content decides
    let copies = [copy(1, "zzz", 9), copy(2, "bbb", 1), copy(2, "bba", 1)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
        let fixture = fixture();
        let mut store = fixture.open().await;
        for (tick, copy) in (1..).zip(order) {
            let rows = Rows { events: vec![copies[copy].clone()], ..Rows::default() };
            store.commit(&commit_of(tick, rows)).await.unwrap();
        }
        assert_eq!(
            store.reader().events_since(TimeMs(0), None, 10).await.unwrap(),
            vec![copies[1].clone()],
            "{order:?}"
        );
        fixture.close(store).await;
    }
}

/// Microseconds for milliseconds: the right value is smaller and has fewer samples. The hour says what counts.
async fn a_correction_of_a_bucket_wins_by_its_version<F: Fixture>(fixture: &impl Fn() -> F) {
    let wrong = MetricPoint { p95: Some(Real(5_000.0)), mean: Some(Real(4_000.0)), ..bucket("svc", 0) };
    let right = MetricPoint { version: 1, count: Some(1), p95: Some(Real(5.0)), mean: Some(Real(4.0)), ..wrong };
    let twice = MetricPoint { version: 1, p95: Some(Real(4.5)), ..right };
    let commits = [wrong, twice, right].map(|row| Rows { metrics: vec![row].into(), ..Rows::default() });
    let mut dumps = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        let fixture = fixture();
        let mut store = fixture.open().await;
        for (tick, number) in (1..).zip(order) {
            store.commit(&commit_of(tick, commits[number].clone())).await.unwrap();
        }
        assert_eq!(store.reader().metrics_since(TimeMs(0), None, 10).await.unwrap(), vec![right], "{order:?}");
        dumps.push(fixture.dump(&mut store).await["env_metric_summary"].clone());
        fixture.close(store).await;
    }
    assert!(dumps.iter().all(|dump| *dump == dumps[0] && dump.len() == 1), "{dumps:?}");
}

async fn a_withdrawn_event_stays_and_is_reported_to_an_engine_that_forgot<F: Fixture>(fixture: &impl Fn() -> F) {
    let copy = |id: &str, version: u64, withdrawn: bool| {
        let mut row = event(id, 0);
        (row.version, row.withdrawn) = (version, withdrawn);
        row
    };
    let events = |events: Vec<_>| Rows { events, ..Rows::default() };
    let first = events(vec![copy("a", 0, false), copy("b", 0, false), copy("c", 3, false), copy("d", 0, false)]);
    let second = events(vec![copy("a", 1, true), copy("b", 0, true), copy("c", 2, true)]);
    let asked =
        [copy("a", 0, false), copy("b", 0, false), copy("c", 0, false), copy("d", 0, false), copy("x", 0, false)];
    for order in [[&first, &second], [&second, &first]] {
        let fixture = fixture();
        let mut store = fixture.open().await;
        assert!(store.newer_events(&asked).await.unwrap().is_empty());
        for (tick, rows) in (1..).zip(order) {
            store.commit(&commit_of(tick, rows.clone())).await.unwrap();
            fixture.close(store).await;
            store = fixture.open().await;
        }
        let newer = vec![copy("a", 1, true), copy("b", 0, true), copy("c", 3, false)];
        assert_eq!(store.newer_events(&asked).await.unwrap(), newer, "of equal versions the withdrawn one stands");
        let mut listed = store.amended_events(3).await.unwrap().unwrap();
        listed.sort();
        let named = |row: &Event| (row.colony_id.clone(), row.event_id.clone(), row.timestamp);
        let listed = listed.into_iter().map(|event| (event.colony_id, event.event_id, event.timestamp));
        assert!(listed.eq(newer.iter().map(named)), "all of them are listed");
        assert_eq!(store.amended_events(2).await.unwrap(), None, "more than may be listed");
        let kept = [newer, vec![copy("d", 0, false)]].concat();
        assert_eq!(
            store.reader().events_since(TimeMs(0), None, 10).await.unwrap(),
            kept,
            "withdrawn rows are read back"
        );
        fixture.close(store).await;
    }
}

async fn a_failed_commit_leaves_nothing<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    store.commit(&commit_of(1, Rows { events: vec![event("before", 0)], ..Rows::default() })).await.unwrap();
    let before = fixture.dump(&mut store).await;
    if !fixture.fail_next_commit(&mut store).await {
        fixture.close(store).await;
        return;
    }
    store.commit(&rich_commit()).await.unwrap_err();
    assert_eq!(fixture.dump(&mut store).await, before);
    assert!(store.reader().positions().await.unwrap().is_empty(), "positions come only with their rows");
    store.commit(&rich_commit()).await.unwrap();
    assert_eq!(store.reader().positions().await.unwrap().len(), 1, "the same commit goes through afterwards");
    let rich = rich_commit();
    let stored = store.reader().metrics_since(TimeMs(0), None, 100_000).await.unwrap();
    assert!(rich.rows.metrics.iter().all(|row| stored.contains(&row)), "with every row of it");
    fixture.close(store).await;
}

async fn a_restart_in_between_changes_nothing<F: Fixture>(fixture: &impl Fn() -> F) {
    let mut second = rich_commit();
    second.tick = 2;
    Arc::make_mut(&mut second.rows).metrics.push(bucket("svc-9", 90 * 60_000));
    second.findings = vec![finding("a", 0.8, &[("e00", "e01")])];
    let commits = [rich_commit(), second, rich_commit()];
    let plain = dump_after(&fixture(), &commits, false).await;
    assert_eq!(dump_after(&fixture(), &commits, true).await, plain);
}

async fn findings_are_replaced_and_removed<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let write = |tick: u64, findings: Vec<_>, removed: Vec<String>| Commit {
        findings,
        removed,
        ..commit_of(tick, Rows::default())
    };
    let events = ["e1", "e2", "e3"].map(|id| event(id, 0)).to_vec();
    store.commit(&commit_of(1, Rows { events, ..Rows::default() })).await.unwrap();
    let a = finding("a", 0.5, &[("e1", "e2"), ("e1", "e3")]);
    let b = finding("b", 0.9, &[("e1", "e3")]);
    let (id_a, id_b) = (a.correlation.key.correlation_id(), b.correlation.key.correlation_id());
    store.commit(&write(2, vec![a.clone(), b.clone()], vec![])).await.unwrap();
    assert_eq!(store.reader().totals().await.unwrap().rows["correlation_evidence"], 3);

    let mut shorter = finding("a", 0.95, &[("e1", "e2")]);
    shorter.correlation.state = PatternState::Withdrawn;
    store.commit(&write(3, vec![shorter.clone()], vec![])).await.unwrap();
    let stored = store.reader().correlations().await.unwrap();
    assert_eq!(stored.len(), 2, "one live row per pattern");
    assert!(stored.contains(&shorter.correlation));
    assert_eq!(
        store.reader().totals().await.unwrap().rows["correlation_evidence"],
        2,
        "evidence is replaced, not added to"
    );

    store.commit(&write(4, vec![], vec![id_a.clone(), "c-unknown".into()])).await.unwrap();
    assert_eq!(store.reader().correlations().await.unwrap(), vec![b.correlation.clone()]);
    assert_eq!(store.reader().totals().await.unwrap().rows["event_correlations"], 2);
    // found again in the commit that also removes it: it lives
    store.commit(&write(5, vec![a.clone()], vec![id_a, id_b])).await.unwrap();
    assert_eq!(store.reader().correlations().await.unwrap(), vec![a.correlation]);
    fixture.close(store).await;
}

async fn pages_hold_every_row_once_in_order<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    // several rows per instant, so that pages end inside an instant
    let events: Vec<_> = (0..97).map(|i| event(&format!("e{:02}", (i * 37) % 97), i / 10 * 1_000)).collect();
    let metrics: Vec<MetricPoint> = (0..97)
        .map(|i| {
            let mut point = bucket(&format!("svc-{}", (i * 37) % 97), i / 10 * 60_000);
            let seconds = (i % 3 > 0).then_some(60 * (i % 3) as u32);
            point.series = point.series.with(|series| series.interval_seconds = seconds);
            point
        })
        .collect();
    store
        .commit(&commit_of(1, Rows { events: events.clone(), metrics: metrics.clone().into(), ..Rows::default() }))
        .await
        .unwrap();
    let (mut read_events, mut read_metrics) = (Vec::new(), Vec::new());
    loop {
        let page = store.reader().events_since(START, read_events.last(), 7).await.unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        read_events.extend(page);
    }
    loop {
        let page = store.reader().metrics_since(START, read_metrics.last(), 7).await.unwrap();
        if page.is_empty() {
            break;
        }
        read_metrics.extend(page);
    }
    let mut events = events;
    events.sort_by(|a, b| (a.timestamp, &a.event_id).cmp(&(b.timestamp, &b.event_id)));
    assert_eq!(read_events, events);
    let mut metrics = metrics;
    metrics.sort_by_key(|a| (a.timestamp, a.series));
    assert_eq!(read_metrics, metrics);
    fixture.close(store).await;
}

async fn rows_of_a_span_are_counted<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    store.commit(&rich_commit()).await.unwrap();
    let span = |from: TimeMs, to: Option<TimeMs>, with_late: bool| Span { from, to, with_late };
    let counted = [
        (span(TimeMs(0), None, true), (51, 201)),
        (span(TimeMs(0), None, false), (50, 200)),
        // four series each minute, one event each minute; the end does not belong to it
        (span(START + 60_000, Some(START + 3 * 60_000), true), (2, 8)),
        (span(START - HOUR_MS, Some(START), true), (1, 1)),
        (span(START + HOUR_MS, None, true), (0, 0)),
    ];
    for (span, rows) in counted {
        assert_eq!(store.reader().count_in(span).await.unwrap(), rows, "{span:?}");
    }
    let services = ["api", "svc-0", "svc-1", "svc-2", "svc-3"];
    assert_eq!(store.reader().service_names().await.unwrap(), services, "of events and of metrics");
    fixture.close(store).await;
}

/// For a store that keeps findings only: after the same commits it holds the patterns and the evidence of `reference`.
pub async fn findings_as_the_reference(store: &mut dyn StoreWriter, reference: &mut dyn StoreWriter) {
    let id = |name: &str| finding(name, 0.0, &[]).correlation.key.correlation_id();
    let write = |tick: u64, findings: Vec<_>, removed: Vec<String>| Commit {
        findings,
        removed,
        ..commit_of(tick, Rows::default())
    };
    let commits = [
        rich_commit(),
        rich_commit(),
        write(2, vec![finding("a", 0.4, &[("e3", "e4"), ("e1", "e2")]), finding("c", 0.8, &[("e1", "e9")])], vec![]),
        write(3, vec![finding("d", 0.1, &[])], vec![id("b"), id("never seen")]),
        // found again in the commit that also removes it: it lives
        write(4, vec![finding("c", 0.9, &[("e1", "e8")])], vec![id("c"), id("a")]),
    ];
    for commit in commits {
        store.commit(&commit).await.unwrap();
        reference.commit(&commit).await.unwrap();
        let held = store.reader().correlations().await.unwrap();
        assert_eq!(held, reference.reader().correlations().await.unwrap(), "tick {}", commit.tick);
        for correlation in held {
            let id = correlation.key.correlation_id();
            assert_eq!(store.reader().evidence(&id).await.unwrap(), reference.reader().evidence(&id).await.unwrap());
        }
        assert!(store.reader().evidence("never seen").await.unwrap().is_empty());
        let (totals, expected) = (store.reader().totals().await.unwrap(), reference.reader().totals().await.unwrap());
        for table in ["correlations", "correlation_evidence", "event_correlations"] {
            assert_eq!(totals.rows[table], expected.rows[table], "{table} after tick {}", commit.tick);
        }
    }
}

async fn hostile_text_stays_data<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let long = "n".repeat(10 * 1024);
    let hostile = [
        "'; DROP TABLE correlations; --",
        "\"quoted\"",
        "a'b''c",
        "%s {} \\ \n\t",
        "?1 $1 :x",
        "日本語 🪸",
        long.as_str(),
    ];
    let mut rows = Rows::default();
    let mut commit = Commit::default();
    for (i, text) in hostile.iter().enumerate() {
        let mut row = event(text, i as i64);
        (row.event_type, row.service_id, row.description) = ((*text).into(), (*text).into(), (*text).into());
        row.metadata = BTreeMap::from([((*text).to_owned(), (*text).to_owned())]);
        rows.events.push(row);
        let mut point = bucket(text, i as i64);
        point.series = point.series.with(|series| {
            series.key.metric_name = (*text).into();
            (series.application_name, series.environment) = ((*text).into(), (*text).into());
        });
        rows.metrics.push(point);
        rows.nodes.push(model::topology::ServiceNode { service_id: (*text).into(), ..rows::node(0) });
        commit.findings.push(finding(text, 0.5, &[(text, text)]));
        commit.rejects.push(Reject { raw: (*text).into(), detail: (*text).into(), ..reject(text) });
        let positions = Positions(BTreeMap::from([((*text).to_owned(), (*text).to_owned())]));
        commit.positions.push(((*text).to_owned(), positions));
    }
    commit.rollups = RollupKey::touched(&rows.metrics).into_iter().collect();
    commit.rows = rows.clone().into();
    for _ in 0..2 {
        store.commit(&commit).await.unwrap();
    }
    assert_eq!(store.reader().events_since(TimeMs(0), None, 100).await.unwrap(), rows.events);
    assert_eq!(store.reader().metrics_since(TimeMs(0), None, 100).await.unwrap(), rows.metrics);
    assert_eq!(store.reader().correlations().await.unwrap().len(), hostile.len());
    let positions = store.reader().positions().await.unwrap();
    assert!(hostile.iter().all(|text| positions[*text].0[*text] == *text));
    let totals = store.reader().totals().await.unwrap();
    for table in ["rejects", "env_metric_summary", "service_nodes", "source_positions"] {
        assert_eq!(totals.rows[table], hostile.len() as u64, "{table}");
    }
    fixture.close(store).await;
}

async fn large_counts_survive<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    let counts = [5_000_000_000, u64::MAX];
    let metrics =
        (0..).zip(counts).map(|(i, count)| MetricPoint { count: Some(count), ..bucket("svc", i * 60_000) }).collect();
    let mut row = event("e", 0);
    row.version = u64::MAX;
    store.commit(&commit_of(1, Rows { metrics, events: vec![row], ..Rows::default() })).await.unwrap();
    let stored: Vec<_> =
        store.reader().metrics_since(TimeMs(0), None, 9).await.unwrap().iter().map(|point| point.count).collect();
    assert_eq!(stored, counts.map(Some).to_vec());
    assert_eq!(store.reader().events_since(TimeMs(0), None, 9).await.unwrap()[0].version, u64::MAX);
    let summary = fixture.dump(&mut store).await["env_metric_summary"].join("");
    assert!(summary.contains(&u64::MAX.to_string()), "samples are held to 64 bits: {summary}");
    fixture.close(store).await;
}

async fn sightings_keep_the_first_and_the_latest<F: Fixture>(fixture: &F) {
    let mut store = fixture.open().await;
    for (tick, minute) in (1..).zip([5, 9, 2, 7]) {
        let rows = Rows { nodes: vec![rows::node(minute)], edges: vec![rows::edge(minute)], ..Rows::default() };
        store.commit(&commit_of(tick, rows)).await.unwrap();
    }
    let dump = fixture.dump(&mut store).await;
    for table in ["service_nodes", "service_edges"] {
        let rows = &dump[table];
        assert_eq!(rows.len(), 1, "{table}");
        assert!(rows[0].contains("v9") || rows[0].contains("1009"), "the latest sighting: {}", rows[0]);
        let first = (START + 2 * 60_000).to_string();
        assert!(
            rows[0].contains(&first[..16].replace('T', " ")) || rows[0].contains(&first[..16]),
            "the first: {}",
            rows[0]
        );
    }
    fixture.close(store).await;
}
