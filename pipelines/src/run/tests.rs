//! Tests of the loop with sources and stores that fail: every failure ends the run, none hangs, none loses a row.
#![allow(clippy::unwrap_used)]

use crate::config::{Format, ReefConfig, parse};
use crate::error::RunError;
use crate::evaluated::EVALUATED_NAME;
use crate::progress::{Ended, RunSummary};
use crate::run::{Controls, RunOptions, drive};
use async_trait::async_trait;
use mesh::Network;
use model::chunks::Metrics;
use model::clock::SystemClock;
use model::event::Event;
use model::metric::MetricPoint;
use model::position::Positions;
use model::real::Real;
use model::rows::Rows;
use model::series::{SeriesId, SeriesRef};
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use sinks::error::FaultClass;
use sinks::memory::MemoryStore;
use sinks::{AmendedEvent, Commit, SinkError, StoreReader, StoreWriter};
use sources::{Batch, Source, SourceError};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, watch};

mod acknowledged;
mod asked;
mod counted;
mod refused;
mod restored;
mod revised;
mod shown;
mod steady;
mod unconfirmed;

/// A store in memory whose commits may go wrong.
struct Faulty {
    inner: MemoryStore,
    is_away: bool,
    /// Stopped by the first commit.
    stop: Option<watch::Sender<bool>>,
    /// Each commit waits for a permit.
    permits: Option<Arc<Semaphore>>,
    /// So many offers fail before one is taken.
    fails_first: usize,
    /// The tick that is refused for good.
    refuses: Option<u64>,
    /// Ticks that were offered, in order.
    offered: Arc<Mutex<Vec<u64>>>,
    /// Number of queries for amended events.
    asked: Arc<AtomicU64>,
}

impl Faulty {
    fn over(inner: &MemoryStore) -> Faulty {
        let inner = inner.clone();
        Faulty {
            inner,
            is_away: false,
            stop: None,
            permits: None,
            fails_first: 0,
            refuses: None,
            offered: Arc::default(),
            asked: Arc::default(),
        }
    }

    fn error(class: FaultClass) -> SinkError {
        let (doing, store, hint) = ("cannot commit".to_owned(), "a store".to_owned(), "wait".to_owned());
        SinkError { class, doing, store, hint, cause: None }
    }
}

#[async_trait]
impl StoreWriter for Faulty {
    fn reader(&self) -> Arc<dyn StoreReader> {
        self.inner.reader()
    }

    async fn commit(&mut self, commit: &Commit) -> Result<sinks::Outcome, SinkError> {
        if let Some(stop) = &self.stop {
            stop.send_replace(true);
        }
        self.offered.lock().unwrap().push(commit.tick);
        if let Some(permits) = &self.permits {
            permits.acquire().await.unwrap().forget();
        }
        if self.fails_first > 0 {
            self.fails_first -= 1;
            return Err(Faulty::error(FaultClass::Retry));
        }
        if self.is_away {
            return Err(Faulty::error(FaultClass::Retry));
        }
        if self.refuses == Some(commit.tick) {
            return Err(Faulty::error(FaultClass::Stop));
        }
        self.inner.commit(commit).await
    }
    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.newer_events(events).await
    }
    async fn amended_events(&mut self, limit: usize) -> Result<Option<Vec<AmendedEvent>>, SinkError> {
        self.inner.amended_events(limit).await
    }
    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// One event a batch, as fast as they are taken; its position is their number. It panics at `panics_at`.
struct Counting {
    delivered: i64,
    in_all: i64,
    panics_at: Option<i64>,
    description_bytes: usize,
}

#[async_trait]
impl Source for Counting {
    fn name(&self) -> &str {
        "counting"
    }
    fn is_finite(&self) -> bool {
        true
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        assert!(self.panics_at != Some(self.delivered), "a bug in the source");
        if self.delivered == self.in_all {
            return Ok(None);
        }
        self.delivered += 1;
        let description = "d".repeat(self.description_bytes);
        let rows = Rows { events: vec![Event { description, ..event(self.delivered) }], ..Rows::default() };
        let positions = Positions([("all".to_owned(), self.delivered.to_string())].into());
        Ok(Some(Batch { rows, positions, ..Batch::default() }))
    }
}

fn event(number: i64) -> Event {
    fixtures::event("shop-production", &format!("e{number}"), TimeMs(1_700_000_000_000 + number * MINUTE_MS))
}

fn config() -> ReefConfig {
    let text = "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n\
                [engine]\nworkers = 1\ntick_rows_max = 1\n";
    parse(text, Format::Toml, Path::new("reef.toml")).unwrap()
}

/// These rows, a batch at a time.
struct Batches(std::collections::VecDeque<Rows>);

#[async_trait]
impl Source for Batches {
    fn name(&self) -> &str {
        "batches"
    }
    fn is_finite(&self) -> bool {
        true
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        let Some(rows) = self.0.pop_front() else { return Ok(None) };
        let positions = Positions([("left".to_owned(), self.0.len().to_string())].into());
        Ok(Some(Batch { rows, positions, ..Batch::default() }))
    }
}

/// A run over these batches into a store; impacts are stored as well. with a line of its configuration.
pub(super) async fn drive_as(store: &MemoryStore, batches: Vec<Rows>, line: &str) {
    let text = format!(
        "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n[engine]\nworkers = 1\n\
         [correlation]\n{line}\n"
    );
    let config = parse(&text, Format::Toml, Path::new("reef.toml")).unwrap();
    drive(&config, Box::new(store.clone()), vec![Box::new(Batches(batches.into()))], options().0).await.unwrap();
}

/// A run over these batches into a store; impacts are stored as well.
pub(super) async fn drive_with(store: &MemoryStore, batches: Vec<Rows>) {
    drive_as(store, batches, "deployment_impact = true").await;
}

/// A run by this machine's clock.
fn options() -> (RunOptions, Controls) {
    RunOptions::new(SystemClock::shared(), Network::plain())
}

async fn outcome(store: Faulty, source: Counting, shutdown: watch::Receiver<bool>) -> Result<RunSummary, RunError> {
    outcome_with(&config(), store, source, shutdown).await
}

async fn outcome_with(
    config: &ReefConfig,
    store: Faulty,
    source: Counting,
    shutdown: watch::Receiver<bool>,
) -> Result<RunSummary, RunError> {
    let options = RunOptions { shutdown, ..options().0 };
    let driven = drive(config, Box::new(store), vec![Box::new(source)], options).await;
    driven.map(|(summary, _)| summary)
}

#[tokio::test]
async fn a_source_that_panics_ends_the_run_with_its_message_and_keeps_what_came_before() {
    let (_stop, shutdown) = watch::channel(false);
    let inner = MemoryStore::new();
    let store = Faulty::over(&inner);
    let source = Counting { delivered: 0, in_all: 9, panics_at: Some(4), description_bytes: 0 };
    let error = outcome(store, source, shutdown).await.unwrap_err();
    assert!(matches!(&error, RunError::SourcePanicked { panic } if panic.contains("a bug in the source")), "{error:?}");
    let tables = inner.tables();
    assert_eq!(tables.positions["counting"].0["all"], tables.events.len().to_string());
}

#[tokio::test]
async fn a_run_that_could_test_no_pair_says_why() {
    let (_stop, shutdown) = watch::channel(false);
    let source = Counting { delivered: 0, in_all: 5, panics_at: None, description_bytes: 0 };
    let summary = outcome(Faulty::over(&MemoryStore::new()), source, shutdown).await.unwrap();
    // five events within minutes are one episode
    let why = "no pair of event types could be tested: of 1 event type none has 3 occurrences within 30d";
    assert_eq!((summary.event_pairs_tested, summary.unconfirmed), (0, vec![why.to_owned()]));
}

#[tokio::test]
async fn a_run_that_is_asked_to_stop_leaves_queued_input_to_the_next_one() {
    let (stop, shutdown) = watch::channel(false);
    let inner = MemoryStore::new();
    let store = Faulty { stop: Some(stop), ..Faulty::over(&inner) };
    let source = Counting { delivered: 0, in_all: 100_000, panics_at: None, description_bytes: 0 };
    let summary = outcome(store, source, shutdown).await.unwrap();
    assert_eq!(summary.ended, Ended::Stopped);
    let tables = inner.tables();
    assert!((1..=3).contains(&tables.events.len()), "{} rows were taken after the stop", tables.events.len());
    assert_eq!(tables.positions["counting"].0["all"], tables.events.len().to_string(), "no row without its position");
    // the next run resumes there and ends with every row once
    let delivered = tables.events.len() as i64;
    let (_stop, shutdown) = watch::channel(false);
    let store = Faulty::over(&inner);
    let source = Counting { delivered, in_all: delivered + 20, panics_at: None, description_bytes: 0 };
    outcome(store, source, shutdown).await.unwrap();
    assert_eq!(inner.tables().events.len() as i64, delivered + 20);
}

#[tokio::test]
async fn a_store_that_stays_away_does_not_hold_a_run_that_is_asked_to_stop() {
    let (stop, shutdown) = watch::channel(false);
    // the pauses of a continuing run are longer than any test would wait
    let store = Faulty { is_away: true, stop: Some(stop), ..Faulty::over(&MemoryStore::new()) };
    let source = Counting { delivered: 0, in_all: 5, panics_at: None, description_bytes: 0 };
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), outcome(store, source, shutdown)).await;
    let error = ended.expect("it ends by itself").unwrap_err();
    assert!(matches!(&error, RunError::Store(cause) if cause.class == FaultClass::Retry), "{error:?}");
}

/// A slow store: rows are read in the meantime, and ticks are written one after the other.
#[tokio::test]
async fn while_a_tick_is_written_the_next_is_taken_in_and_no_further_one() {
    let (inner, permits) = (MemoryStore::new(), Arc::new(Semaphore::new(0)));
    let store = Faulty { permits: Some(Arc::clone(&permits)), ..Faulty::over(&inner) };
    let (offered, tables) = (Arc::clone(&store.offered), inner.clone());
    let (options, mut controls) = options();
    let watched = &mut controls.progress;
    let source = Counting { delivered: 0, in_all: 9, panics_at: None, description_bytes: 0 };
    let config = config();
    let run = drive(&config, Box::new(store), vec![Box::new(source)], options);
    let watching = async {
        // the second row is read while the first tick is written; the third waits, and nothing is stored
        watched.wait_for(|progress| progress.events == 2).await.unwrap();
        assert_eq!((offered.lock().unwrap().clone(), tables.tables().events.len()), (vec![0], 0));
        assert_eq!(watched.borrow().ticks, 0, "no tick is reported before it is stored");
        permits.add_permits(1);
        watched.wait_for(|progress| progress.events == 3 && progress.ticks == 1).await.unwrap();
        assert_eq!((offered.lock().unwrap().clone(), tables.tables().events.len()), (vec![0, 1], 1));
        permits.add_permits(1_000);
    };
    let (outcome, ()) = tokio::join!(run, watching);
    let summary = outcome.unwrap().0;
    assert_eq!((summary.ended, summary.progress.events, inner.tables().events.len()), (Ended::InputFinished, 9, 9));
    assert_eq!(summary.progress.ticks, offered.lock().unwrap().len() as u64);
    assert!(offered.lock().unwrap().is_sorted());
    assert_eq!(inner.tables().positions["counting"].0["all"], "9");
}

#[tokio::test]
async fn after_a_tick_that_is_refused_no_later_one_is_offered() {
    let inner = MemoryStore::new();
    let store = Faulty { refuses: Some(2), ..Faulty::over(&inner) };
    let offered = Arc::clone(&store.offered);
    let (options, controls) = options();
    let source = Counting { delivered: 0, in_all: 9, panics_at: None, description_bytes: 0 };
    // every tick has a row: there is no engine whose answer could be all that one holds
    let mut config = config();
    config.correlation.enabled = false;
    let run = drive(&config, Box::new(store), vec![Box::new(source)], options).await;
    let error = run.map(|(summary, _)| summary).unwrap_err();
    assert!(matches!(&error, RunError::Store(cause) if cause.class == FaultClass::Stop), "{error:?}");
    assert_eq!(controls.progress.borrow().ticks, 2, "a refused one is not reported as stored");
    assert_eq!(*offered.lock().unwrap(), [0, 1, 2]);
    assert_eq!((inner.tables().events.len(), inner.tables().positions["counting"].0["all"].as_str()), (2, "2"));
}

#[tokio::test]
async fn a_tick_is_cut_when_its_rows_take_too_much_memory() {
    let mut ticks = Vec::new();
    for memory_limit_bytes in [Some(1 << 30), None] {
        let mut config = config();
        config.engine.tick_rows_max = 1_000_000;
        config.engine.tick_interval_ms = 600_000;
        config.engine.memory_limit_bytes = memory_limit_bytes;
        let (_stop, shutdown) = watch::channel(false);
        let source = Counting { delivered: 0, in_all: 2_000, panics_at: None, description_bytes: 64 * 1024 };
        let summary = outcome_with(&config, Faulty::over(&MemoryStore::new()), source, shutdown).await.unwrap();
        assert_eq!(summary.progress.events, 2_000);
        ticks.push(summary.progress.ticks);
    }
    assert!(ticks[0] > 3 && ticks[1] <= 2, "125 MiB in ticks of at most 32 MiB, and of at most 192: {ticks:?}");
}

/// A query waits for the commit in progress: ticks with events would lose the overlap of writing and reading.
#[tokio::test]
async fn ticks_of_events_ask_the_store_only_once_an_event_was_amended() {
    for is_amended in [false, true] {
        let inner = MemoryStore::new();
        if is_amended {
            let amended = Event { version: 1, ..event(1) };
            let rows = Rows { events: vec![amended], ..Rows::default() };
            let mut store = inner.clone();
            store.commit(&Commit { rows: rows.into(), ..Commit::default() }).await.unwrap();
        }
        let store = Faulty::over(&inner);
        let asked = Arc::clone(&store.asked);
        let (_stop, shutdown) = watch::channel(false);
        let mut config = config();
        config.correlation.enabled = true;
        config.engine.tick_rows_max = 1;
        let source = Counting { delivered: 0, in_all: 9, panics_at: None, description_bytes: 0 };
        let summary = outcome_with(&config, store, source, shutdown).await.unwrap();
        assert_eq!(summary.progress.events, 9);
        assert_eq!(asked.load(Ordering::Relaxed), u64::from(is_amended), "once, for the copy of that event");
        assert!(!is_amended || inner.tables().events.values().any(|held| held.row.version == 1));
    }
}

/// Within the look-back the engine has the newer copy itself.
#[tokio::test]
async fn newer_copies_are_looked_up_in_the_store_beyond_the_look_back_alone() {
    let now = TimeMs(1_731_456_000_000);
    let mut config = config();
    config.correlation.enabled = true;
    for (age_days, expected) in [(1, 0), (400, 1)] {
        let inner = MemoryStore::new();
        let amended = Event { version: 1, ..fixtures::event("shop-production", "e", now - age_days * DAY_MS) };
        // something to correlate, so that now is here
        let others = [("shop", 0), ("mail", 1), ("shop", 2)].map(|(name, minute)| {
            fixtures::event(&format!("{name}-production"), &format!("other-{minute}"), now + minute * MINUTE_MS)
        });
        let older = fixtures::event("shop-production", "e", now);
        for (events, expected) in [([vec![amended], others.to_vec()].concat(), 0), (vec![older], expected)] {
            let store = Faulty::over(&inner);
            let asked = Arc::clone(&store.asked);
            let source = Batches([Rows { events, ..Rows::default() }].into());
            drive(&config, Box::new(store), vec![Box::new(source)], options().0).await.unwrap();
            assert_eq!(asked.load(Ordering::Relaxed), expected, "{age_days} days old");
        }
        let tables = inner.tables();
        assert_eq!(tables.events.len(), 4);
        assert!(tables.events.values().any(|held| held.row.event_id == "e" && held.row.version == 1));
    }
}

/// A day of metrics whose evaluation takes far longer than a commit, then one event after the other until the store holds
/// the answer.
struct WhileEvaluated {
    store: MemoryStore,
    delivered: i64,
}

#[async_trait]
impl Source for WhileEvaluated {
    fn name(&self) -> &str {
        "while-evaluated"
    }
    fn is_finite(&self) -> bool {
        true
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        if self.store.tables().positions.contains_key(EVALUATED_NAME) {
            return Ok(None);
        }
        self.delivered += 1;
        let rows = match self.delivered {
            1 => Rows { metrics: a_day_of_metrics(), ..Rows::default() },
            number => Rows { events: vec![event(number)], ..Rows::default() },
        };
        let positions = Positions([("all".to_owned(), self.delivered.to_string())].into());
        Ok(Some(Batch { rows, positions, ..Batch::default() }))
    }
}

/// Two colonies with thirty series each, a row a minute.
fn a_day_of_metrics() -> Metrics {
    let of_series = |colony: &'static str, number: i64| {
        let names = SeriesRef {
            colony_id: colony,
            application_name: "shop",
            environment: colony,
            service_id: &format!("s{number}"),
            metric_name: "latency_ms",
            interval_seconds: Some(60),
        };
        let series = SeriesId::of(names);
        (0..24 * 60).map(move |minute: i64| {
            let value = (minute * (number + 7) * 7_919 % 1_009) as f64;
            let timestamp = TimeMs(1_700_000_000_000 / MINUTE_MS * MINUTE_MS + minute * MINUTE_MS);
            MetricPoint { series, timestamp, count: Some(1), mean: Some(Real(value)), ..MetricPoint::default() }
        })
    };
    ["staging", "production"].into_iter().flat_map(|colony| (0..30).flat_map(move |n| of_series(colony, n))).collect()
}

#[tokio::test]
async fn intake_and_commits_continue_while_an_evaluation_runs() {
    let inner = MemoryStore::new();
    let store = Faulty::over(&inner);
    let offered = Arc::clone(&store.offered);
    let source = WhileEvaluated { store: inner.clone(), delivered: 0 };
    let (options, _controls) = options();
    let (summary, _) = drive(&config(), Box::new(store), vec![Box::new(source)], options).await.unwrap();
    // the source ended when the first answer was stored: all but its first row came while the engine was at work
    let commits = offered.lock().unwrap().len();
    assert!(summary.progress.events >= 3 && commits > 4, "{} events, {commits} commits", summary.progress.events);
    let tables = inner.tables();
    assert_eq!(tables.events.len() as u64, summary.progress.events, "and every row is stored");
    let newest = tables.metrics.keys().len();
    assert_eq!(newest, 2 * 30 * 24 * 60);
    let evaluated = &tables.positions[EVALUATED_NAME].0;
    assert!(evaluated.contains_key("metrics") && evaluated.contains_key("events"), "{evaluated:?}");
}
