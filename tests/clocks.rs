//! Wrong clocks, through whole runs: of a row, of a colony, and of the machine.

use crate::determinism::{START, rows};
use crate::support::tables::tables;
use async_trait::async_trait;
use mesh::Network;
use model::clock::ManualClock;
use model::event::Event;
use model::rows::Rows;
use model::time::{DAY_MS, HOUR_MS, TimeMs};
use pipelines::config::{Format, ReefConfig, parse};
use pipelines::progress::RunSummary;
use pipelines::run::{Controls, RunOptions, drive};
use sources::{Batch, Source, SourceError};
use std::path::Path;
use std::sync::Arc;

/// Where the seeded rows have ended.
const END: TimeMs = TimeMs(START.0 + 40 * DAY_MS);

struct Finite(std::vec::IntoIter<Rows>);

#[async_trait]
impl Source for Finite {
    fn name(&self) -> &str {
        "finite"
    }

    fn is_finite(&self) -> bool {
        true
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        Ok(self.0.next().map(|rows| Batch { rows, ..Batch::default() }))
    }
}

fn config(folder: &Path, workers: usize) -> ReefConfig {
    let text = format!(
        "reef_id = \"clocks-a1b2c3\"\n[[sources]]\nkind = \"files\"\nevents = [\"events.ndjson\"]\n\
         [correlation]\nhorizon = \"12d\"\nmax_lag = \"1h\"\nmetric_window = \"12h\"\n\
         [storage]\npath = \"reef.duckdb\"\nretention = {{ events = \"60d\", aggregated_metrics = \"60d\" }}\n\
         [engine]\nworkers = {workers}\n"
    );
    parse(&text, Format::Toml, &folder.join("reef.toml")).unwrap()
}

fn options(clock: &Arc<ManualClock>) -> (RunOptions, Controls) {
    RunOptions::new(clock.clone(), Network::plain())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Reads the batches in one run.
fn take_in(config: &ReefConfig, clock: &Arc<ManualClock>, batches: Vec<Rows>) -> RunSummary {
    runtime().block_on(async {
        let store = pipelines::open::store::open(config).await.unwrap();
        let (options, _stop) = options(clock);
        let source: Box<dyn Source> = Box::new(Finite(batches.into_iter()));
        let (summary, store) = drive(config, store, vec![source], options).await.unwrap();
        store.close().await.unwrap();
        summary
    })
}

/// Reads the files of the configuration.
fn read_files(config: &ReefConfig, clock: &Arc<ManualClock>) -> RunSummary {
    runtime().block_on(async {
        let (options, _stop) = options(clock);
        pipelines::run(config, options).await.unwrap()
    })
}

fn patterns(folder: &Path) -> (String, String) {
    let tables = tables(&folder.join("reef.duckdb"));
    (tables["correlations"].clone(), tables["correlation_evidence"].clone())
}

#[test]
fn rows_of_a_wrong_year_leave_all_patterns_standing() {
    let (events, metrics) = rows(1);
    let good = Rows { events: events.clone(), metrics: metrics.clone().into(), ..Rows::default() };
    let wrong_event = |colony: &str| Event {
        colony_id: colony.to_owned(),
        event_id: format!("typo-{colony}"),
        timestamp: END + 300 * DAY_MS,
        ..events[0].clone()
    };
    let mut wrong_metric = metrics[0];
    wrong_metric.timestamp = END + 300 * DAY_MS;
    let colony = events[0].colony_id.clone();
    let wrong = Rows { events: vec![wrong_event(&colony)], metrics: vec![wrong_metric].into(), ..Rows::default() };
    let clock = ManualClock::at(END + 400 * DAY_MS);
    let outcome = |workers: usize, batches: Vec<Vec<Rows>>| {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), workers);
        let summaries: Vec<RunSummary> = batches.into_iter().map(|batches| take_in(&config, &clock, batches)).collect();
        (patterns(folder.path()), summaries.into_iter().next_back().unwrap())
    };
    let (expected, _) = outcome(1, vec![vec![good.clone()]]);
    assert!(expected.0.contains("confirmed"), "{}", expected.0);
    for workers in [1, 3] {
        let (at_once, summary) = outcome(workers, vec![vec![wrong.clone(), good.clone()]]);
        assert!(at_once == expected, "at once, {workers} workers");
        let outside = summary.outside.events.unwrap();
        assert_eq!((outside.newer, outside.now < END), (1, true));
        let (restarted, _) = outcome(workers, vec![vec![good.clone()], vec![wrong.clone()], vec![good.clone()]]);
        assert!(restarted == expected, "across restarts, {workers} workers");
    }
}

#[test]
fn rows_refused_under_a_clock_that_is_behind_are_stored_once_it_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 1);
    let line = |number: i64| {
        let at = END + number * HOUR_MS;
        format!(
            "{{\"event_id\":\"e{number}\",\"colony_id\":\"shop-production\",\"timestamp\":\"{at}\",\"event_type\":\"deploy\",\
             \"service_id\":\"web\"}}\n"
        )
    };
    let lines: String = (0..40).map(line).collect();
    std::fs::write(folder.path().join("events.ndjson"), lines).unwrap();
    let clock = ManualClock::at(END - 10 * DAY_MS);
    let behind = read_files(&config, &clock);
    let held = behind.held.unwrap();
    assert_eq!((held.rows, held.met, held.first, behind.progress.events), (40, 40, END, 0));
    assert_eq!((held.clock, held.read_again_from), (END - 10 * DAY_MS, END - DAY_MS));
    let still = read_files(&config, &clock);
    assert_eq!((still.held.unwrap().rows, still.progress.rejects), (40, 0), "reported again, read once");

    clock.set(END + 41 * HOUR_MS);
    let right = read_files(&config, &clock);
    assert_eq!((right.progress.events, right.progress.rejects, right.held), (40, 0, None));
    let stored = tables(&folder.path().join("reef.duckdb"));
    assert_eq!(stored["federated_events"].lines().count(), 40);
    assert_eq!(read_files(&config, &clock).progress.events, 0, "and not again");
}

#[test]
fn a_clock_that_is_years_ahead_deletes_nothing_and_what_is_deleted_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 1);
    let (events, _) = rows(1);
    let clock = ManualClock::at(END);
    let count = events.len() as u64;
    take_in(&config, &clock, vec![Rows { events: events.clone(), ..Rows::default() }]);
    clock.set(END + 10 * 365 * DAY_MS);
    let ahead = take_in(&config, &clock, Vec::new());
    assert_eq!(ahead.deleted.values().sum::<u64>(), 0, "{:?}", ahead.deleted);

    // the fleet itself has continued for years
    let later = |event: &Event| Event {
        event_id: format!("later-{}", event.event_id),
        timestamp: event.timestamp + 9 * 365 * DAY_MS,
        ..event.clone()
    };
    let gone_on =
        take_in(&config, &clock, vec![Rows { events: events.iter().map(later).collect(), ..Rows::default() }]);
    assert_eq!(gone_on.deleted.get("federated_events"), Some(&count), "{:?}", gone_on.deleted);
}
