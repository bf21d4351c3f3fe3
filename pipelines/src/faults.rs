//! Tests of the loop with sources and stores that fail: every failure ends the run, none hangs, none loses a row.
#![allow(clippy::unwrap_used)]

use crate::config::{Format, ReefConfig, parse};
use crate::progress::{Ended, Progress, RunSummary};
use crate::run::{RunError, RunOptions, drive};
use async_trait::async_trait;
use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence};
use model::position::Positions;
use model::rows::Rows;
use model::time::{MINUTE_MS, TimeMs};
use sinks::error::FaultClass;
use sinks::memory::MemoryStore;
use sinks::{Commit, Held, SinkError, Span, Store, Totals};
use sources::{Batch, Source, SourceError};
use std::collections::BTreeMap;
use std::path::Path;
use tokio::sync::watch;

/// A store in memory whose commits may go wrong.
struct Faulty {
    inner: MemoryStore,
    is_away: bool,
    /// Asked to stop by the first commit.
    stop: Option<watch::Sender<bool>>,
}

#[async_trait]
impl Store for Faulty {
    async fn commit(&mut self, commit: &Commit) -> Result<(), SinkError> {
        if let Some(stop) = &self.stop {
            stop.send_replace(true);
        }
        if self.is_away {
            return Err(SinkError {
                class: FaultClass::Retry,
                doing: "cannot commit".to_owned(),
                store: "a store".to_owned(),
                hint: "wait".to_owned(),
                cause: None,
            });
        }
        self.inner.commit(commit).await
    }
    async fn positions(&mut self) -> Result<BTreeMap<String, Positions>, SinkError> {
        self.inner.positions().await
    }
    async fn watermarks(&mut self) -> Result<(BTreeMap<String, TimeMs>, BTreeMap<String, TimeMs>), SinkError> {
        self.inner.watermarks().await
    }
    async fn events_in(&mut self, span: Span, after: Option<&Event>, n: usize) -> Result<Vec<Held<Event>>, SinkError> {
        self.inner.events_in(span, after, n).await
    }
    async fn metrics_in(
        &mut self,
        span: Span,
        after: Option<&MetricPoint>,
        n: usize,
    ) -> Result<Vec<Held<MetricPoint>>, SinkError> {
        self.inner.metrics_in(span, after, n).await
    }
    async fn newer_events(&mut self, events: &[Event]) -> Result<Vec<Event>, SinkError> {
        self.inner.newer_events(events).await
    }
    async fn correlations(&mut self) -> Result<Vec<Correlation>, SinkError> {
        self.inner.correlations().await
    }
    async fn evidence(&mut self, correlation_id: &str) -> Result<Vec<Evidence>, SinkError> {
        self.inner.evidence(correlation_id).await
    }
    async fn totals(&mut self) -> Result<Totals, SinkError> {
        self.inner.totals().await
    }
    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// One event a batch, as fast as they are taken; its position is their number. It fails by a bug at `panics_at`.
struct Counting {
    delivered: i64,
    in_all: i64,
    panics_at: Option<i64>,
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
        let rows = Rows { events: vec![event(self.delivered)], ..Rows::default() };
        let positions = Positions([("all".to_owned(), self.delivered.to_string())].into());
        Ok(Some(Batch { rows, positions, ..Batch::default() }))
    }
}

fn event(number: i64) -> Event {
    Event {
        colony_id: "shop-production".to_owned(),
        event_id: format!("e{number}"),
        version: 0,
        withdrawn: false,
        application_name: "shop".to_owned(),
        environment: "production".to_owned(),
        timestamp: TimeMs(1_700_000_000_000 + number * MINUTE_MS),
        event_type: "deploy".to_owned(),
        service_id: "api".to_owned(),
        severity: Severity::Info,
        description: String::new(),
        metadata: BTreeMap::new(),
    }
}

fn config() -> ReefConfig {
    let text = "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n\
                [engine]\nworkers = 1\ntick_rows_max = 1\n";
    parse(text, Format::Toml, Path::new("reef.toml")).unwrap()
}

async fn outcome(store: Faulty, source: Counting, shutdown: watch::Receiver<bool>) -> Result<RunSummary, RunError> {
    let (progress, _watched) = watch::channel(Progress::default());
    let options = RunOptions { progress, shutdown };
    let driven = drive(&config(), Box::new(store), vec![Box::new(source)], options).await;
    driven.map(|(summary, _)| summary)
}

#[tokio::test]
async fn a_source_that_panics_ends_the_run_with_its_message_and_keeps_what_came_before() {
    let (_stop, shutdown) = watch::channel(false);
    let inner = MemoryStore::new();
    let store = Faulty { inner: inner.clone(), is_away: false, stop: None };
    let source = Counting { delivered: 0, in_all: 9, panics_at: Some(4) };
    let error = outcome(store, source, shutdown).await.unwrap_err();
    assert!(matches!(&error, RunError::SourcePanicked { panic } if panic.contains("a bug in the source")), "{error:?}");
    let tables = inner.tables();
    assert_eq!(tables.positions["counting"].0["all"], tables.events.len().to_string());
}

#[tokio::test]
async fn a_run_that_is_asked_to_stop_leaves_queued_input_to_the_next_one() {
    let (stop, shutdown) = watch::channel(false);
    let inner = MemoryStore::new();
    let store = Faulty { inner: inner.clone(), is_away: false, stop: Some(stop) };
    let source = Counting { delivered: 0, in_all: 100_000, panics_at: None };
    let summary = outcome(store, source, shutdown).await.unwrap();
    assert_eq!(summary.ended, Ended::Stopped);
    let tables = inner.tables();
    assert!((1..=3).contains(&tables.events.len()), "{} rows were taken after the stop", tables.events.len());
    assert_eq!(tables.positions["counting"].0["all"], tables.events.len().to_string(), "no row without its position");
    // the next run goes on there and ends with every row once
    let delivered = tables.events.len() as i64;
    let (_stop, shutdown) = watch::channel(false);
    let store = Faulty { inner: inner.clone(), is_away: false, stop: None };
    let source = Counting { delivered, in_all: delivered + 20, panics_at: None };
    outcome(store, source, shutdown).await.unwrap();
    assert_eq!(inner.tables().events.len() as i64, delivered + 20);
}

#[tokio::test]
async fn a_store_that_stays_away_does_not_hold_a_run_that_is_asked_to_stop() {
    let (stop, shutdown) = watch::channel(false);
    // the pauses of a run that goes on take longer than any test would wait
    let store = Faulty { inner: MemoryStore::new(), is_away: true, stop: Some(stop) };
    let source = Counting { delivered: 0, in_all: 5, panics_at: None };
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), outcome(store, source, shutdown)).await;
    let error = ended.expect("it ends by itself").unwrap_err();
    assert!(matches!(&error, RunError::Store(cause) if cause.class == FaultClass::Retry), "{error:?}");
}
