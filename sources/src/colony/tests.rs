//! Both colony sources against a real server: the contract, outages, identity, growing buckets, late imports.

#![allow(clippy::unwrap_used)]

mod ask;

use super::test_server::TestColony;
use super::*;
use crate::compliance::{self, Harness, Scenario, Seen, next};
use crate::{Arrival, Source, SourceContext};
use async_trait::async_trait;
use mesh::Network;
use model::clock::{Clock, SystemClock};
use model::event::Event;
use model::metric::MetricPoint;
use model::position::Positions;
use model::reject::RejectReason;
use model::series::SeriesRef;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use model::topology::ColonyStatus;
use std::sync::atomic::Ordering;
use std::time::Duration;

const COLONY: &str = "my-shop-production-a3f2e1";

fn event(number: usize, timestamp: TimeMs) -> Event {
    Event { application_name: "shop".to_owned(), ..fixtures::event(COLONY, &format!("e{number}"), timestamp) }
}

fn metric(timestamp: TimeMs, interval_seconds: u32, count: u64) -> MetricPoint {
    let metric_name = format!("latency_{interval_seconds}");
    let names = fixtures::series(COLONY, "api", &metric_name);
    let names = SeriesRef { application_name: "shop", interval_seconds: Some(interval_seconds), ..names };
    MetricPoint { count: Some(count), ..fixtures::point(names, timestamp, 1.0) }
}

fn context() -> SourceContext {
    SourceContext::new(SystemClock::shared(), Network::plain())
}

fn config(colony: &TestColony) -> ColonySourceConfig {
    ColonySourceConfig {
        summary_interval: Duration::from_millis(20),
        recheck_interval: Duration::from_secs(3_600),
        batch_delay: Duration::from_millis(20),
        backoff: BackoffConfig { first: Duration::from_millis(2), max: Duration::from_millis(20) },
        ..ColonySourceConfig::new(COLONY, &colony.endpoint())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Summaries,
    Events,
}

/// A colony with old, imported rows and new ones, a broken row among them.
struct ColonyScenario {
    colony: TestColony,
    kind: Kind,
}

const EVENTS: usize = 900;
const METRICS: usize = 600;

impl ColonyScenario {
    async fn new(kind: Kind) -> ColonyScenario {
        let colony = TestColony::start(COLONY).await;
        let now = SystemClock.now().floor_to(MINUTE_MS);
        let time = |row: usize| match row % 3 {
            0 => now - 3_000 * DAY_MS + row as i64 * HOUR_MS,
            1 => now - 20 * DAY_MS + row as i64 * MINUTE_MS,
            _ => now - (row as i64 + 2) * MINUTE_MS,
        };
        let mut events: Vec<Event> = (0..EVENTS).map(|row| event(row, time(row))).collect();
        events.insert(EVENTS / 2, Event { event_type: String::new(), ..event(EVENTS, time(1)) });
        colony.add_events(&events);
        if kind == Kind::Summaries {
            let metrics: Vec<MetricPoint> = (0..METRICS).map(|row| metric(time(row), 60, 1)).collect();
            colony.add_metrics(&metrics);
        }
        let mut state = colony.state.lock().unwrap();
        state.answer_rows_max = 100;
        state.break_stream_after = 250;
        drop(state);
        ColonyScenario { colony, kind }
    }
}

#[async_trait]
impl Harness for ColonyScenario {
    async fn build(&self, positions: &Positions) -> Box<dyn Source> {
        let config = config(&self.colony);
        match self.kind {
            Kind::Summaries => Box::new(config.build_summaries(positions, &context()).unwrap()),
            Kind::Events => Box::new(config.build_events(positions, &context()).unwrap()),
        }
    }

    async fn fail(&self) {
        self.colony.kill().await;
    }

    async fn recover(&self) {
        self.colony.revive().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn summaries_keep_the_contract() {
    let scenario = ColonyScenario::new(Kind::Summaries).await;
    let expected = Scenario { rows: EVENTS + METRICS, rejects: 1, can_fail: true };
    compliance::check(&scenario, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streamed_events_keep_the_contract() {
    let scenario = ColonyScenario::new(Kind::Events).await;
    let expected = Scenario { rows: EVENTS, rejects: 1, can_fail: true };
    compliance::check(&scenario, &expected).await;
}

/// Reads until `enough` returns true; returns every delivered row, repeats included.
async fn read_until(source: &mut dyn Source, enough: impl Fn(&crate::Batch) -> bool) -> crate::Batch {
    let mut all = crate::Batch::default();
    while !enough(&all) {
        let batch = next(source).await.unwrap();
        all.rows.append(batch.rows);
        all.rejects.extend(batch.rejects);
        all.positions.advance(batch.positions);
    }
    all
}

#[tokio::test]
async fn streamed_events_come_once_in_order_through_many_cuts() {
    let colony = TestColony::start(COLONY).await;
    let start = SystemClock.now() - HOUR_MS;
    let events: Vec<Event> = (0..2_000).map(|row| event(row, start + row as i64)).collect();
    colony.add_events(&events);
    colony.state.lock().unwrap().break_stream_after = 100;
    let mut source = config(&colony).build_events(&Positions::default(), &context()).unwrap();
    let all = read_until(&mut source, |all| all.rows.events.len() >= 2_000).await;
    assert_eq!(all.rows.events, events, "no loss, no doubles, in order");
    assert!(colony.streams.load(Ordering::SeqCst) >= 20, "the stream was cut at least 19 times");
    assert_eq!(all.positions.0[COLONY], "session-1:2000");
}

#[tokio::test]
async fn what_a_colony_held_before_is_backlog_and_what_comes_then_is_live() {
    let colony = TestColony::start(COLONY).await;
    let start = SystemClock.now() - HOUR_MS;
    colony.add_events(&(0..150).map(|row| event(row, start + row as i64)).collect::<Vec<_>>());
    colony.state.lock().unwrap().break_stream_after = 100;
    let mut source = config(&colony).build_events(&Positions::default(), &context()).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 150 {
        let batch = next(&mut source).await.unwrap();
        seen.extend(batch.rows.events.iter().map(|_| batch.arrival));
    }
    assert_eq!(seen, vec![Arrival::Backlog; 150], "also after the stream was cut");
    colony.add_events(&[event(200, SystemClock.now())]);
    let live = read_until(&mut source, |all| !all.rows.events.is_empty()).await;
    assert_eq!(live.rows.events.len(), 1);
}

#[tokio::test]
async fn backlog_and_live_events_never_share_a_batch() {
    let colony = TestColony::start(COLONY).await;
    colony.add_events(&[event(0, SystemClock.now())]);
    let slow = ColonySourceConfig { batch_delay: Duration::from_secs(5), ..config(&colony) };
    let mut source = slow.build_events(&Positions::default(), &context()).unwrap();
    let adds = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        colony.add_events(&[event(1, SystemClock.now()), event(2, SystemClock.now())]);
    };
    // the state of the colony may come with the backlog or before it
    let reads = async {
        let mut seen = Vec::new();
        while seen.iter().map(|(_, events)| events).sum::<usize>() < 3 {
            let batch = next(&mut source).await.unwrap();
            seen.extend(Some((batch.arrival, batch.rows.events.len())).filter(|(_, events)| *events > 0));
        }
        seen
    };
    let (seen, ()) = tokio::join!(reads, adds);
    assert_eq!(seen, [(Arrival::Backlog, 1), (Arrival::Live, 2)]);
}

#[tokio::test]
async fn a_history_that_is_sent_again_is_recognised() {
    let colony = TestColony::start(COLONY).await;
    colony.add_events(&[event(0, SystemClock.now()), event(1, SystemClock.now())]);
    let position = Positions([(COLONY.to_owned(), "session-1:5".to_owned())].into());
    let mut source = config(&colony).build_events(&position, &context()).unwrap();
    let mut batch = next(&mut source).await.unwrap();
    while batch.rows.events.is_empty() {
        batch = next(&mut source).await.unwrap();
    }
    assert_eq!((batch.arrival, batch.rows.events.len()), (Arrival::Again, 2));
}

#[tokio::test]
async fn an_event_arrives_while_the_stream_is_open() {
    let colony = TestColony::start(COLONY).await;
    let mut source = config(&colony).build_events(&Positions::default(), &context()).unwrap();
    let first = next(&mut source).await.unwrap();
    assert_eq!(first.rows.colonies[0].health, "degraded", "the state of the colony comes first");
    let one = event(1, SystemClock.now());
    colony.add_events(std::slice::from_ref(&one));
    let batch = next(&mut source).await.unwrap();
    assert_eq!(batch.rows.events, [one]);
}

#[tokio::test]
async fn an_outage_shows_once_with_the_address_and_the_cause() {
    let colony = TestColony::start(COLONY).await;
    colony.kill().await;
    for kind in [Kind::Summaries, Kind::Events] {
        let scenario_config = config(&colony);
        let mut source: Box<dyn Source> = match kind {
            Kind::Summaries => Box::new(scenario_config.build_summaries(&Positions::default(), &context()).unwrap()),
            Kind::Events => Box::new(scenario_config.build_events(&Positions::default(), &context()).unwrap()),
        };
        let batch = next(source.as_mut()).await.unwrap();
        let [status] = &batch.rows.colonies[..] else { panic!("one status row: {batch:?}") };
        assert_eq!((status.health.as_str(), status.application_name.as_str()), ("unreachable", "my-shop"));
        assert!(status.last_error.contains(&colony.address.to_string()), "{}", status.last_error);
        assert!(status.last_error.to_lowercase().contains("refused"), "{}", status.last_error);
        // many attempts later: nothing more to say
        let silence = tokio::time::timeout(Duration::from_millis(100), source.next_batch()).await;
        assert!(silence.is_err(), "{kind:?}: {silence:?}");
        colony.revive().await;
        let batch = next(source.as_mut()).await.unwrap();
        assert_eq!(
            (batch.rows.colonies[0].health.as_str(), batch.rows.colonies[0].last_error.as_str()),
            ("degraded", "")
        );
        colony.kill().await;
    }
}

#[tokio::test]
async fn a_colony_that_revokes_this_reef_is_revoked_until_it_answers_again() {
    let colony = TestColony::start(COLONY).await;
    for kind in [Kind::Summaries, Kind::Events] {
        let mut source: Box<dyn Source> = match kind {
            Kind::Summaries => Box::new(config(&colony).build_summaries(&Positions::default(), &context()).unwrap()),
            Kind::Events => Box::new(config(&colony).build_events(&Positions::default(), &context()).unwrap()),
        };
        assert_eq!(status_after(source.as_mut(), "").await.health, "degraded");
        colony.revoke(true);
        assert_eq!(status_after(source.as_mut(), "PermissionDenied: revoked").await.health, "revoked");
        // a colony that does not run takes nothing back
        colony.kill().await;
        let status = status_after(source.as_mut(), "refused").await;
        assert_eq!((status.health.as_str(), status.is_lost()), ("revoked", true), "{kind:?}");
        colony.revoke(false);
        colony.revive().await;
        assert_eq!(status_after(source.as_mut(), "").await.health, "degraded", "{kind:?}");
    }
}

/// The next status of the colony whose error contains these words; empty words are no error.
async fn status_after(source: &mut dyn Source, words: &str) -> ColonyStatus {
    loop {
        let statuses = next(source).await.unwrap().rows.colonies;
        let is_it = |status: &ColonyStatus| match words {
            "" => status.last_error.is_empty(),
            words => status.last_error.contains(words),
        };
        if let Some(status) = statuses.into_iter().find(is_it) {
            return status;
        }
    }
}

#[tokio::test]
async fn another_colony_at_the_address_is_reported_and_retried_and_a_nameless_one_is_refused() {
    let colony = TestColony::start("other-colony-production").await;
    let mut sources: [Box<dyn Source>; 2] = [
        Box::new(config(&colony).build_summaries(&Positions::default(), &context()).unwrap()),
        Box::new(config(&colony).build_events(&Positions::default(), &context()).unwrap()),
    ];
    for source in &mut sources {
        let batch = next(source.as_mut()).await.unwrap();
        let status = &batch.rows.colonies[0];
        assert_eq!((status.colony_id.as_str(), status.health.as_str()), (COLONY, "unreachable"));
        let error = &status.last_error;
        assert!(error.contains("colony other-colony-production is at this endpoint; correct the endpoint"), "{error}");
        assert!(batch.rows.events.is_empty() && batch.rows.metrics.is_empty(), "no row of the other colony is read");
    }
    colony.state.lock().unwrap().colony_id = COLONY.to_owned();
    for source in &mut sources {
        let batch = next(source.as_mut()).await.unwrap();
        assert_eq!(batch.rows.colonies[0].last_error, "", "once corrected, it is read without a restart");
    }

    colony.state.lock().unwrap().colony_id.clear();
    let mut sources: [Box<dyn Source>; 2] = [
        Box::new(config(&colony).build_summaries(&Positions::default(), &context()).unwrap()),
        Box::new(config(&colony).build_events(&Positions::default(), &context()).unwrap()),
    ];
    for source in &mut sources {
        let batch = next(source.as_mut()).await.unwrap();
        assert_eq!(batch.rejects[0].reason, RejectReason::MissingField);
        assert_eq!(batch.rows.colonies[0].health, "unreachable");
    }
}

#[tokio::test]
async fn a_first_pull_finds_very_old_rows_in_few_questions() {
    let colony = TestColony::start(COLONY).await;
    let old = TimeMs::parse_rfc3339("2014-04-01T08:00:00Z").unwrap();
    let metrics: Vec<MetricPoint> = (0..1_000).map(|row| metric(old + row * 15 * MINUTE_MS, 900, 1)).collect();
    colony.add_metrics(&metrics);
    colony.state.lock().unwrap().answer_rows_max = 400;
    let mut source = config(&colony).build_summaries(&Positions::default(), &context()).unwrap();
    let all = read_until(&mut source, |all| !all.rows.colonies.is_empty()).await;
    assert_eq!(all.rows.metrics, metrics, "each once, in the order of time");
    assert_eq!((all.rows.nodes.len(), all.rows.edges.len()), (2, 1));
    let questions = colony.summaries.load(Ordering::SeqCst);
    assert!(questions < 60, "{questions} questions for 3 answers' worth of rows in 30 years");
}

#[tokio::test]
async fn open_buckets_are_sent_again_until_closed_and_nothing_else_is() {
    let colony = TestColony::start(COLONY).await;
    let now = SystemClock.now();
    let (closed, open) = (metric(now - 3 * HOUR_MS, 3_600, 9), metric(now - 5 * MINUTE_MS, 3_600, 1));
    colony.add_metrics(&[closed, open]);
    let mut source = config(&colony).build_summaries(&Positions::default(), &context()).unwrap();
    let all = read_until(&mut source, |all| all.rows.colonies.len() >= 3).await;
    assert_eq!(all.rows.metrics, [closed, open], "pulled three times, delivered once");
    let grown = MetricPoint { count: Some(2), ..open };
    colony.state.lock().unwrap().metrics[1].count = Some(2);
    let all = read_until(&mut source, |all| !all.rows.metrics.is_empty()).await;
    assert_eq!(all.rows.metrics, [grown]);
}

#[tokio::test]
async fn rows_imported_later_with_old_timestamps_are_found() {
    let colony = TestColony::start(COLONY).await;
    let mut config = config(&colony);
    config.recheck_interval = Duration::from_millis(50);
    let mut source = config.build_summaries(&Positions::default(), &context()).unwrap();
    read_until(&mut source, |all| !all.rows.colonies.is_empty()).await;
    let old = metric(SystemClock.now() - 400 * DAY_MS, 60, 1);
    colony.add_metrics(std::slice::from_ref(&old));
    let all = read_until(&mut source, |all| !all.rows.metrics.is_empty()).await;
    assert_eq!(all.rows.metrics, [old]);
}

#[tokio::test]
async fn a_gap_after_a_restart_is_filled_from_the_committed_position() {
    let colony = TestColony::start(COLONY).await;
    let first = event(1, SystemClock.now() - 3 * HOUR_MS);
    colony.add_events(std::slice::from_ref(&first));
    let mut source = config(&colony).build_summaries(&Positions::default(), &context()).unwrap();
    let before = read_until(&mut source, |all| !all.rows.colonies.is_empty()).await;
    drop(source);
    let second = event(2, SystemClock.now() - MINUTE_MS);
    colony.add_events(std::slice::from_ref(&second));
    let mut source = config(&colony).build_summaries(&before.positions, &context()).unwrap();
    let after = read_until(&mut source, |all| !all.rows.colonies.is_empty()).await;
    assert_eq!(after.rows.events, [second], "the old event is before the overlap and is not requested again");
}

#[test]
fn a_config_that_cannot_work_is_refused_without_a_connection() {
    let good = ColonySourceConfig::new(COLONY, "http://127.0.0.1:9000");
    assert!(good.validate().is_ok());
    for endpoint in ["127.0.0.1:9000", "https://example.com", "http://", "not an address"] {
        let error = ColonySourceConfig::new(COLONY, endpoint).validate().unwrap_err().to_string();
        assert!(error.contains("http://127.0.0.1:9000"), "{endpoint}: {error}");
    }
    assert!(ColonySourceConfig { summary_interval: Duration::ZERO, ..good.clone() }.validate().is_err());
    assert!(ColonySourceConfig { colony_id: String::new(), ..good }.validate().is_err());
}

#[test]
fn seen_rows_are_compared_by_content() {
    let mut seen = Seen::default();
    let mut batch = crate::Batch::default();
    batch.rows.events = vec![event(1, TimeMs(1)), event(1, TimeMs(1)), event(1, TimeMs(2))];
    seen.add(&batch);
    assert_eq!(seen.rows.len(), 2);
}
