//! Late rows become part of the patterns by a backfill and by a replay, in any store.
#![allow(clippy::unwrap_used)]

mod killed;

use super::*;
use crate::config::{Format, parse};
use crate::run::{Controls, drive};
use async_trait::async_trait;
use mesh::Network;
use model::clock::SystemClock;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::Evidence;
use model::position::Positions;
use model::rows::Rows;
use model::series::SeriesRef;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use model::topology::ServiceEdge;
use sinks::{AmendedEvent, Commit};
use sources::{Batch, Source, SourceError};
use std::collections::VecDeque;
use tokio::sync::watch;

const START: TimeMs = TimeMs(1_772_409_600_000); // 2026-03-02T00:00:00Z

fn event(colony: &str, kind: &str, number: i64, at: TimeMs) -> Event {
    let event = fixtures::event(&format!("{colony}-production"), &format!("{kind}-{number}"), at);
    Event { event_type: kind.to_owned(), ..event }
}

fn bucket(colony: &str, hour: i64, value: f64) -> MetricPoint {
    let colony_id = format!("{colony}-production");
    let names = fixtures::series(&colony_id, "api", "latency_ms");
    let series = SeriesRef { interval_seconds: Some(3_600), ..names };
    MetricPoint { count: Some(10), ..fixtures::point(series, START + hour * HOUR_MS, value) }
}

/// A deploy every ten to fourteen hours, most of them followed by errors elsewhere; a metric on both sides.
fn days(days: std::ops::Range<i64>) -> Rows {
    let mut rows = Rows::default();
    for number in days.start * 2..days.end * 2 {
        let at = START + number * 12 * HOUR_MS + (number * 37 % 120) * MINUTE_MS;
        rows.events.push(event("shop", "deploy", number, at));
        if number % 7 > 0 {
            rows.events.push(event("pay", "error_spike", number, at + (40 + number % 5) * MINUTE_MS));
        }
    }
    for hour in days.start * 24..days.end * 24 {
        let value = ((hour * 7919) % 101) as f64;
        rows.metrics.extend([bucket("shop", hour, value), bucket("pay", hour, value * 2.0 + 1.0)]);
    }
    rows
}

/// A source that delivers these batches.
struct Scripted {
    batches: VecDeque<Rows>,
    is_finite: bool,
}

#[async_trait]
impl Source for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }
    fn is_finite(&self) -> bool {
        self.is_finite
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        Ok(self.batches.pop_front().map(|rows| Batch { rows, ..Batch::default() }))
    }
}

fn config(folder: &Path, name: &str) -> ReefConfig {
    let text = format!(
        "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n[storage]\npath = \"{name}.duckdb\"\n\
         [engine]\nworkers = 1\ntick_rows_max = 200\n"
    );
    parse(&text, Format::Toml, &folder.join("reef.toml")).unwrap()
}

/// A run by this machine's clock.
fn options() -> (RunOptions, Controls) {
    RunOptions::new(SystemClock::shared(), Network::plain())
}

async fn record(config: &ReefConfig, batches: Vec<Rows>, is_finite: bool) {
    let store = store::open(config).await.unwrap();
    let source = Scripted { batches: batches.into(), is_finite };
    let (options, _controls) = options();
    let (_, store) = drive(config, store, vec![Box::new(source)], options).await.unwrap();
    store.close().await.unwrap();
}

async fn replayed(config: &ReefConfig, request: &Request) -> Outcome {
    let (options, _controls) = options();
    replay(config, request, options).await.unwrap()
}

/// Patterns, their evidence, and how many rows are late.
async fn state(config: &ReefConfig) -> (Vec<Correlation>, Vec<Evidence>, u64) {
    let store = store::open(config).await.unwrap();
    let reader = store.reader();
    let correlations = reader.correlations().await.unwrap();
    let mut evidence = Vec::new();
    for correlation in &correlations {
        evidence.extend(reader.evidence(&correlation.key.correlation_id()).await.unwrap());
    }
    let late = reader.totals().await.unwrap().late;
    store.close().await.unwrap();
    (correlations, evidence, late)
}

async fn rows_in(config: &ReefConfig) -> u64 {
    let store = store::open(config).await.unwrap();
    let all = Span { from: TimeMs(0), to: None, with_late: true };
    let (events, metrics) = store.reader().count_in(all).await.unwrap();
    store.close().await.unwrap();
    events + metrics
}

fn request(task: Task) -> Request {
    Request {
        task,
        range: TimeRange { from: START, to: START + 100 * DAY_MS },
        words: (START.to_string(), (START + 100 * DAY_MS).to_string()),
        recording: Recording::Stored,
        into: None,
        what_if: None,
    }
}

/// Four days that arrived long after the others.
fn with_late_days() -> Vec<Rows> {
    vec![days(0..8), days(12..24), days(8..12)]
}

#[tokio::test]
async fn rows_beyond_the_lateness_are_kept_and_a_backfill_or_replay_makes_them_count() {
    let folder = tempfile::tempdir().unwrap();
    let in_order = config(folder.path(), "in-order");
    record(&in_order, vec![days(0..24)], true).await;
    let expected = state(&in_order).await;
    assert!(expected.0.len() >= 2 && !expected.1.is_empty(), "events and metrics are related: {:?}", expected.0.len());

    for task in [Task::Backfill, Task::Replay] {
        let live = config(folder.path(), task.as_str());
        record(&live, with_late_days(), false).await;
        let (patterns, _, late) = state(&live).await;
        assert_eq!(late as usize, days(8..12).len(), "kept, marked and counted");
        assert_ne!(patterns, expected.0, "they are missing so far");
        let outcome = replayed(&live, &request(task)).await;
        assert_eq!((outcome.repaired, outcome.ended), (late, Ended::InputFinished));
        assert_eq!(state(&live).await, expected);
        // and again, from the start
        let again = replayed(&live, &request(task)).await;
        assert_eq!((again.repaired, again.is_resumed), (0, false));
        assert_eq!(state(&live).await, expected);
    }
}

#[tokio::test]
async fn late_rows_count_in_another_store_and_in_a_what_if_and_stay_late_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let in_order = config(folder.path(), "in-order");
    record(&in_order, vec![days(0..24)], true).await;
    let expected = state(&in_order).await;
    let live = config(folder.path(), "live");
    record(&live, with_late_days(), false).await;
    let before = state(&live).await;

    let into = folder.path().join("into.duckdb");
    let beside = Request { into: Some(into.clone()), ..request(Task::Replay) };
    let outcome = replayed(&live, &beside).await;
    assert_eq!((outcome.before.as_ref(), &outcome.after), (Some(&before.0), &expected.0));
    assert_eq!(state(&targets::config_of(&live, &into)).await, expected);

    let mut changed = live.clone();
    changed.correlation.min_occurrences = 1_000;
    let what_if = Request { what_if: Some(changed), ..request(Task::Replay) };
    let outcome = replayed(&live, &what_if).await;
    assert_eq!(outcome.before.as_ref(), Some(&expected.0), "the reef's settings over all rows of the range");
    assert!(outcome.after.len() < expected.0.len(), "no event pattern has a thousand occurrences");
    assert_eq!(state(&live).await, before, "the live store is unchanged");
}

/// Deploys at odd times, each followed by errors of `pay`, beside the alerts of a third colony. The topology of shop shows a
/// call from `from` to `pay`.
fn with_calls_from(from: &str) -> Rows {
    let mut rows = Rows::default();
    for number in 0..12 {
        let at = START + number * 43 * HOUR_MS + (number * number * 7_919 % 1_380) * MINUTE_MS;
        rows.events.push(event("shop", "deploy", number, at));
        let error = event("pay", "error_spike", number, at + (40 + number % 5) * MINUTE_MS);
        rows.events.push(Event { service_id: "pay".to_owned(), ..error });
    }
    rows.events.extend((0..30).map(|number| {
        let at = START + (number * 19 % 23) * DAY_MS + (number * 311 % 1_440) * MINUTE_MS;
        Event { service_id: "post".to_owned(), ..event("mail", "alert", number, at) }
    }));
    rows.edges.push(ServiceEdge {
        colony_id: "shop-production".to_owned(),
        from_service: from.to_owned(),
        to_service: "pay".to_owned(),
        protocol: "http".to_owned(),
        request_count: 7,
        seen_at: START + DAY_MS,
    });
    rows
}

#[tokio::test]
async fn calls_between_services_weigh_the_same_after_a_restart_a_backfill_and_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let q_value = |patterns: &[Correlation]| {
        let found = patterns.iter().find(|one| one.key.target.name == "error_spike" && one.key.source.name == "deploy");
        found.unwrap().q_value.0
    };
    let unlinked = config(folder.path(), "unlinked");
    record(&unlinked, vec![with_calls_from("web")], true).await;
    let without = q_value(&state(&unlinked).await.0);
    assert!(without < 0.5, "{without}");

    let live = config(folder.path(), "live");
    record(&live, vec![with_calls_from("api")], true).await;
    let expected = state(&live).await;
    // of six pairs two weigh ten times as much
    let times = q_value(&expected.0) / without;
    assert!((times - 24.0 / 10.0 / 6.0).abs() < 1e-9, "{times}");

    record(&live, Vec::new(), true).await;
    assert_eq!(state(&live).await, expected, "a restart without new rows");
    replayed(&live, &request(Task::Backfill)).await;
    assert_eq!(state(&live).await, expected, "a backfill");
    let into = folder.path().join("into.duckdb");
    let outcome = replayed(&live, &Request { into: Some(into), ..request(Task::Replay) }).await;
    assert_eq!(outcome.after, expected.0, "a replay into a store that has no topology");
    let mut changed = live.clone();
    changed.correlation.min_occurrences = 4;
    let outcome = replayed(&live, &Request { what_if: Some(changed), ..request(Task::Replay) }).await;
    assert_eq!(outcome.before.as_ref(), Some(&expected.0), "the first pass of a what-if");
}

/// A store whose run is asked to stop while it writes a certain commit of rows.
struct StoppedAt {
    inner: Box<dyn StoreWriter>,
    /// Commits of rows until then. An evaluation without new rows is committed too, and is not counted: whether there is
    /// one depends on how fast the engine is.
    commits_left: u64,
    stop: watch::Sender<bool>,
}

#[async_trait]
impl StoreWriter for StoppedAt {
    fn reader(&self) -> Arc<dyn StoreReader> {
        self.inner.reader()
    }
    async fn commit(&mut self, commit: &Commit) -> Result<sinks::Outcome, SinkError> {
        if !commit.rows.is_empty() && self.commits_left > 0 {
            self.commits_left -= 1;
            // before this commit ends: the run reads no further batch
            self.stop.send_replace(self.commits_left == 0);
        }
        self.inner.commit(commit).await
    }
    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        self.inner.newer_events(events).await
    }
    async fn amended_events(&mut self, limit: usize) -> Result<Option<Vec<AmendedEvent>>, SinkError> {
        self.inner.amended_events(limit).await
    }
    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        self.inner.close().await
    }
}

#[tokio::test]
async fn a_replay_stopped_after_one_to_five_commits_resumes_to_the_same_state() {
    let folder = tempfile::tempdir().unwrap();
    let live = config(folder.path(), "live");
    let mut rows = days(0..24);
    // more batches than the first five calls read
    for (colony, modulus) in [("mail", 103), ("chat", 107)] {
        rows.metrics.extend((0..16 * 1_440).map(|minute| {
            let point = bucket(colony, 0, ((minute * 7_919) % modulus) as f64);
            let series = point.series.with(|series| series.interval_seconds = Some(60));
            MetricPoint { series, timestamp: START + minute * MINUTE_MS, ..point }
        }));
    }
    let count = rows.len() as u64;
    record(&live, vec![rows], true).await;
    let expected = state(&live).await;
    let path = folder.path().join("into.duckdb");
    let beside = targets::config_of(&live, &path);
    let request = Request { into: Some(path.clone()), ..request(Task::Replay) };
    const STOPS: u64 = 5;
    let mut rows_before = 0;
    // the first call is stopped at its first commit of rows, the next at its second
    for commits in 1..=STOPS {
        let (options, Controls { stop, .. }) = options();
        let inner = targets::open(&live, &path, &options.clock).await.unwrap();
        let target = Box::new(StoppedAt { inner, commits_left: commits, stop });
        let reader = live_to_read(&live, Recording::Stored).await.unwrap();
        let outcome = into(&beside, &request, (reader, target), options).await.unwrap();
        assert_eq!((outcome.ended, outcome.is_resumed), (Ended::Stopped, commits > 1));
        let (rows, all) = outcome.summary.and_then(|summary| summary.progress.rows).unwrap();
        assert!(rows_before < rows && rows < all, "stop {commits}: {rows} of {all} rows, {rows_before} before");
        assert_eq!(rows_in(&beside).await, rows, "stop {commits}: what was read is stored");
        rows_before = rows;
    }
    // a minute later the same words mean another range
    let TimeRange { from, to } = request.range;
    let later = Request { range: TimeRange { from: from + MINUTE_MS, to: to + MINUTE_MS }, ..request.clone() };
    let plan = planned(&live, &later).await.unwrap();
    assert_eq!((plan.range, plan.is_resumed), (request.range, true), "a dry run shows the one that would be resumed");
    assert_eq!(plan.rows.map(|rows| rows.events + rows.metrics), Some(count));
    let outcome = replayed(&live, &request).await;
    assert_eq!((outcome.ended, outcome.is_resumed), (Ended::InputFinished, true));
    let (rows, all) = outcome.summary.and_then(|summary| summary.progress.rows).unwrap();
    assert_eq!(rows, all);
    assert_eq!(state(&beside).await, expected);
    let plan = planned(&live, &later).await.unwrap();
    assert_eq!((plan.range, plan.is_resumed), (later.range, false), "it has ended");
}

#[tokio::test]
async fn a_dry_run_into_the_store_of_a_run_is_refused_as_the_replay_is() {
    let folder = tempfile::tempdir().unwrap();
    let (live, other) = (config(folder.path(), "live"), config(folder.path(), "other"));
    record(&live, vec![days(0..2)], true).await;
    let path = folder.path().join("other.duckdb");
    let beside = Request { into: Some(path.clone()), ..request(Task::Replay) };
    let plan = planned(&live, &beside).await.unwrap();
    assert!(!plan.is_resumed && !path.exists(), "{plan:?}");
    let mut store = store::open(&other).await.unwrap();
    let positions = vec![("files:events".to_owned(), Positions([("e.ndjson".to_owned(), "7".to_owned())].into()))];
    store.commit(&Commit { positions, ..Commit::default() }).await.unwrap();
    store.close().await.unwrap();
    let (options, _controls) = options();
    let errors = [planned(&live, &beside).await.unwrap_err(), replay(&live, &beside, options).await.unwrap_err()];
    for error in errors {
        let is_refused = matches!(&error, ReplayError::IntoReef { source_name, .. } if source_name == "files:events");
        assert!(is_refused, "{error:?}");
    }
}
