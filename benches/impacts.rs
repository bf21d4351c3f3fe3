//! Commits of a live run that stores the impacts of deployments, beside one that does not:
//! `cargo bench --workspace --bench impacts -- [rounds] [days]`, by default 5 rounds over 30 days.
//!
//! Both get the same rows of a generated fleet with planted deployments: an hour of event time in each commit, the next hour
//! once the last one is stored. A round is a run of each kind, one directly after the other, and rounds take turns in which
//! kind comes first: a machine that becomes slower slows both. What counts is the ratio within a round. A commit lasts from
//! the delivery of its rows until the source hears that they are stored.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

mod stopwatch;

use async_trait::async_trait;
use mesh::Network;
use model::clock::SystemClock;
use model::metric::MetricPoint;
use model::position::Positions;
use model::rows::Rows;
use model::time::{HOUR_MS, TimeMs};
use pipelines::config::{Format, ReefConfig, parse};
use pipelines::open::store;
use pipelines::run::{RunOptions, drive};
use sources::generator::{Fleet, FleetConfig};
use sources::{Batch, Source, SourceError};
use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use stopwatch::{Took, machine, stopwatch};
use tokio::sync::Notify;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS_DEFAULT: u32 = 5;
const DAYS_DEFAULT: u32 = 30;
/// Deployments with a known outcome: one a day in each colony.
const DEPLOYMENTS_PER_DAY: u32 = 1;
/// What stored impacts may add to the time of all commits.
const RATIO_MAX: f64 = 1.10;
/// The part of a position that says how many hours were delivered.
const HOURS: &str = "hours";

/// The rows of a fleet, hour by hour.
fn hours(days: u32) -> Vec<Rows> {
    let deployments = days * DEPLOYMENTS_PER_DAY;
    let config = FleetConfig { days, interval_seconds: 60, deployments, ..FleetConfig::default() };
    let fleet = Fleet::generate(&config).unwrap();
    let count = usize::try_from(days).unwrap() * 24;
    let place = |time: TimeMs| usize::try_from((time - config.start) / HOUR_MS).unwrap().min(count - 1);
    let mut hours = vec![Rows::default(); count];
    for event in &fleet.events {
        hours[place(event.timestamp)].events.push(event.clone());
    }
    let mut metrics = fleet.metrics().peekable();
    while let Some(first) = metrics.peek() {
        let hour = place(first.timestamp);
        let of_hour = std::iter::from_fn(|| metrics.next_if(|point| place(point.timestamp) == hour));
        hours[hour].metrics = of_hour.collect::<Vec<MetricPoint>>().into();
    }
    hours
}

/// A live source: the next hour once the last one is stored; after the last one it waits without an end.
struct Live {
    hours: Arc<Vec<Rows>>,
    sent: usize,
    stored: usize,
    sent_at: Instant,
    took_ms: Arc<Mutex<Vec<f64>>>,
    all_stored: Arc<Notify>,
}

#[async_trait]
impl Source for Live {
    fn name(&self) -> &str {
        "live"
    }

    fn is_finite(&self) -> bool {
        false
    }

    fn is_acknowledged(&self) -> bool {
        true
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        if self.sent > self.stored || self.sent == self.hours.len() {
            // dropped when something is stored, and called again
            return std::future::pending().await;
        }
        let rows = self.hours[self.sent].clone();
        self.sent += 1;
        let positions = Positions(BTreeMap::from([(HOURS.to_owned(), self.sent.to_string())]));
        self.sent_at = Instant::now();
        Ok(Some(Batch { rows, positions, ..Batch::default() }))
    }

    fn committed(&mut self, positions: &Positions) {
        let stored = positions.0.get(HOURS).and_then(|hours| hours.parse().ok()).unwrap_or(0);
        if stored > self.stored {
            self.stored = stored;
            self.took_ms.lock().unwrap().push(self.sent_at.elapsed().as_secs_f64() * 1e3);
            if stored == self.hours.len() {
                self.all_stored.notify_one();
            }
        }
    }
}

/// A tick is full with the rows of an hour, so that none waits for its interval.
fn settings(folder: &Path, is_judging: bool, tick_rows_max: usize) -> ReefConfig {
    let text = format!(
        "reef_id = \"bench\"\n[[sources]]\nkind = \"files\"\nevents = [\"none.ndjson\"]\n[storage]\npath = \"reef.duckdb\"\n\
         [correlation]\ndeployment_impact = {is_judging}\n[engine]\ntick_rows_max = {tick_rows_max}\n"
    );
    parse(&text, Format::Toml, &folder.join("reef.toml")).unwrap()
}

/// What a run came to.
struct Ran {
    took: Took,
    commits_ms: Vec<f64>,
    /// Deployments, and those with a verdict.
    deployments: (u64, u64),
}

/// A run up to its last hour; what it judges while it stops is not measured.
async fn ran(hours: &Arc<Vec<Rows>>, is_judging: bool) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let tick_rows_max = hours.iter().map(|rows| rows.metrics.len()).min().unwrap();
    let config = settings(folder.path(), is_judging, tick_rows_max);
    let store = store::open(&config).await.unwrap();
    let (took_ms, all_stored) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
    let live = Live {
        hours: Arc::clone(hours),
        sent: 0,
        stored: 0,
        sent_at: Instant::now(),
        took_ms: Arc::clone(&took_ms),
        all_stored: Arc::clone(&all_stored),
    };
    let sources: Vec<Box<dyn Source>> = vec![Box::new(live)];
    let (options, controls) = RunOptions::new(SystemClock::shared(), Network::plain());
    let watch = stopwatch(&[]);
    let mut run = pin!(drive(&config, store, sources, options));
    tokio::select! {
        ended = &mut run => panic!("the run has ended early: {:?}", ended.err()),
        () = all_stored.notified() => {}
    }
    let took = watch();
    controls.stop.send_replace(true);
    let (_, store) = run.await.unwrap();
    store.close().await.unwrap();
    let connection = duckdb::Connection::open(folder.path().join("reef.duckdb")).unwrap();
    let sql = "SELECT count(*), count(verdict) FROM deployment_timeline";
    let deployments: (u64, u64) = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let commits_ms = took_ms.lock().unwrap().clone();
    assert_eq!(commits_ms.len(), hours.len());
    assert!(is_judging == (deployments.1 > 0), "{deployments:?}");
    Ran { took, commits_ms, deployments }
}

/// The value below which this share of all is.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn line(kind: &str, commits_ms: &[f64]) {
    println!(
        "commits   {kind:3}: median {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        quantile(commits_ms, 0.5),
        quantile(commits_ms, 0.99),
        quantile(commits_ms, 1.0)
    );
}

#[tokio::main]
async fn main() {
    // `cargo test --all-targets` starts benches too
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u32>().ok());
    let (rounds, days) = (numbers.next().unwrap_or(ROUNDS_DEFAULT), numbers.next().unwrap_or(DAYS_DEFAULT));
    let hours = Arc::new(hours(days));
    let count = |of: fn(&Rows) -> usize| hours.iter().map(of).sum::<usize>();
    println!("machine   {}", machine());
    println!("command   cargo bench --workspace --bench impacts -- {rounds} {days}");
    println!(
        "input     {} metric rows and {} events of {days} days in {} commits, DuckDB",
        count(|rows| rows.metrics.len()),
        count(|rows| rows.events.len()),
        hours.len()
    );
    let (mut by_clock, mut by_processor) = (Vec::new(), Vec::new());
    let (mut off_ms, mut on_ms) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let (off, on) = if round % 2 == 1 {
            let off = ran(&hours, false).await;
            (off, ran(&hours, true).await)
        } else {
            let on = ran(&hours, true).await;
            (ran(&hours, false).await, on)
        };
        by_clock.push(on.took.wall_s / off.took.wall_s);
        by_processor.push(on.took.cpu_s / off.took.cpu_s);
        println!(
            "round {round:3} off {:.2} s ({:.2} s cpu), on {:.2} s ({:.2} s cpu): {:.3} ({:.3} by processor time); {} of \
             {} deployments judged",
            off.took.wall_s,
            off.took.cpu_s,
            on.took.wall_s,
            on.took.cpu_s,
            on.took.wall_s / off.took.wall_s,
            on.took.cpu_s / off.took.cpu_s,
            on.deployments.1,
            on.deployments.0
        );
        off_ms.extend(off.commits_ms);
        on_ms.extend(on.commits_ms);
    }
    line("off", &off_ms);
    line("on", &on_ms);
    let median = quantile(&by_clock, 0.5);
    println!(
        "ratio     {median:.3} of the time of all commits, median of {rounds} rounds ({:.3} to {:.3}); {:.3} by processor \
         time; below {RATIO_MAX:.2}: {}",
        quantile(&by_clock, 0.0),
        quantile(&by_clock, 1.0),
        quantile(&by_processor, 0.5),
        if median < RATIO_MAX { "yes" } else { "no" }
    );
}
