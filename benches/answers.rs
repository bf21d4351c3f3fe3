//! Answers over a large DuckDB store, beside DuckDB's own count of its rows:
//! `cargo bench --workspace --bench answers -- [rows]`, by default 50 services over seven days, two million buckets.
//!
//! Measured are `compare` and `status` in a process that has the store open; commits of a run alone and beside 1,000 of both,
//! 20 in a second, and beside as many as one caller can have; the first byte that the program writes about a reef that is
//! stopped, and about one that runs; and after `coral reef start` the first answer, and when the engine's windows are
//! rebuilt from the store.
//!
//! The unit is `SELECT count(*) FROM federated_metrics` on a connection of its own: what a machine needs to look at each
//! row once. An answer that needs many times as much looks at rows that it should not.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

mod stopwatch;

use async_trait::async_trait;
use mesh::Network;
use model::clock::SystemClock;
use model::event::Event;
use model::metric::MetricPoint;
use model::position::Positions;
use model::real::Real;
use model::rows::Rows;
use model::series::{SeriesId, SeriesRef};
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use pipelines::config::{Format, parse};
use pipelines::open::store;
use pipelines::run::{RunOptions, drive};
use reef::answers::compare::CompareQuestion;
use reef::answers::status::StatusQuestion;
use reef::answers::{Question, Scope};
use sinks::compliance::commit_of;
use sinks::compliance::rows::finding;
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use sinks::{Commit, StoreReader, StoreWriter};
use sources::{Batch, Source, SourceError};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stopwatch::{machine, stopwatch};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// Seven days.
const ROWS_DEFAULT: u64 = 2_016 * SERIES;
/// Ten metrics of 50 services in two environments.
const SERIES: u64 = 1_000;
const SERVICES: u64 = 50;
const BUCKET_MS: i64 = 5 * MINUTE_MS;
const EVENTS_PER_DAY: u64 = 100;
const PATTERNS: usize = 1_000;
const START: TimeMs = TimeMs(1_767_225_600_000); // 2026-01-01T00:00:00Z
/// Calls of each kind.
const CALLS: usize = 1_000;
/// The same of a program.
const PROGRAM_CALLS: usize = 20;
/// The longest that 99 of 100 answers may take.
const ANSWER_MS_MAX: f64 = 100.0;
/// The longest until a program writes something.
const FIRST_BYTE_MS_MAX: f64 = 100.0;
/// Commits of a block; blocks without and with reads take turns.
const COMMITS: usize = 20;
/// Between two commits at least: a reef that reads without a pause commits about as often.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// Reads beside which commits are measured, and between two of them: 20 a second.
const READS: u64 = 1_000;
const READ_EVERY: Duration = Duration::from_millis(50);
/// The part of a position that says how many buckets of a series were delivered.
const BUCKETS: &str = "buckets";
/// How much longer a commit may take beside them.
const SLOWER_MAX: f64 = 1.10;
/// Between two looks whether a reef answers.
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn environment(i: u64) -> &'static str {
    if i.is_multiple_of(2) { "production" } else { "staging" }
}

/// Events at no fixed time of day.
fn events(days: u64) -> Vec<Event> {
    let event = |n: u64| {
        let minute = n.wrapping_mul(2_654_435_761) % (days.max(1) * 1_440);
        let colony_id = format!("shop-{}", environment(n));
        let at = START + minute as i64 * MINUTE_MS;
        Event {
            event_type: "restart".to_owned(),
            service_id: format!("service-{}", n / 2 % SERVICES),
            ..fixtures::event(&colony_id, &format!("e{n}"), at)
        }
    };
    (0..days * EVENTS_PER_DAY).map(event).collect()
}

/// Writes events and patterns, and by SQL buckets of two environments with their sums by the hour.
async fn write(path: &Path, buckets: u64) {
    let mut store = Box::new(DuckDbStore::open(DuckDbConfig::at(path)).await.unwrap());
    let findings = (0..PATTERNS).map(|n| finding(&format!("type-{n}"), 0.9, &[("source", "target")])).collect();
    let events = events(buckets * BUCKET_MS as u64 / DAY_MS as u64);
    // without a position a run would take the rows for those of a commit that was cut off, and rebuild nothing
    let positions = vec![("bench".to_owned(), Positions(BTreeMap::from([("rows".to_owned(), "all".to_owned())])))];
    let rows = Rows { events, ..Rows::default() };
    store.commit(&Commit { findings, positions, ..commit_of(1, rows) }).await.unwrap();
    store.close().await.unwrap();
    let begin = START.0 * 1_000;
    let sql = format!(
        "INSERT INTO metric_series
         SELECT i, 'shop-' || environment, 'shop', environment, 'service-' || (i // 20), 'metric-' || (i // 2 % 10), 300
         FROM (SELECT i, if(i % 2 = 0, 'production', 'staging') AS environment FROM range({SERIES}) t(i));
         INSERT INTO metric_buckets BY NAME
         SELECT (i % {SERIES})::UINTEGER AS series_id, make_timestamp({begin} + (i // {SERIES}) * 300000000) AS timestamp,
                (hash(i) % 100000) / 997.0 AS p50, p50 * 2 AS p95, p50 * 3 AS p99, p50 AS mean, p50 * 4 AS max_value,
                60 AS sample_count, false AS late, make_timestamp({begin}) AS stored_at
         FROM range({}) t(i);
         INSERT INTO env_metric_summary BY NAME
         SELECT application_name, environment, metric_name, date_trunc('hour', timestamp) AS hour, avg(p95) AS mean_p95,
                max(max_value) AS max_value, sum(sample_count)::UBIGINT AS total_samples, count(*) AS points
         FROM federated_metrics GROUP BY ALL;
         CHECKPOINT",
        SERIES * buckets,
    );
    duckdb::Connection::open(path).unwrap().execute_batch(&sql).unwrap();
}

/// Median, 99th percentile and longest of some calls, in milliseconds.
fn quantiles(mut took_ms: Vec<f64>) -> [f64; 3] {
    took_ms.sort_by(f64::total_cmp);
    let at = |share: usize| took_ms[(took_ms.len() * share / 100).min(took_ms.len() - 1)];
    [at(50), at(99), at(100)]
}

fn is_met(value: f64, max: f64) -> &'static str {
    if value < max { "yes" } else { "no" }
}

/// The median of DuckDB's count of at least so many rows, in milliseconds.
fn count_ms(path: &Path, rows_min: u64) -> f64 {
    let connection = duckdb::Connection::open(path).unwrap();
    let mut took = Vec::new();
    for _ in 0..CALLS / 5 {
        let watch = stopwatch(&[]);
        let count: u64 = connection.query_row("SELECT count(*) FROM federated_metrics", [], |row| row.get(0)).unwrap();
        took.push(watch().wall_s * 1e3);
        assert!(count >= rows_min, "{count} rows");
    }
    let [median, p99, longest] = quantiles(took);
    println!("count(*): median {median:.1} ms, p99 {p99:.1} ms, longest {longest:.1} ms");
    median
}

/// Two environments over a day.
fn compare() -> CompareQuestion {
    CompareQuestion {
        environment_a: "production".to_owned(),
        environment_b: "staging".to_owned(),
        window_ms: Some(DAY_MS),
        ..CompareQuestion::default()
    }
}

/// Asks `compare`, then `status`.
async fn answers(reader: &dyn StoreReader, unit_ms: f64) {
    for (name, question) in
        [("compare", Question::Compare(compare())), ("status", Question::Status(StatusQuestion::default()))]
    {
        let (mut took, all) = (Vec::new(), stopwatch(&[]));
        for _ in 0..CALLS {
            let watch = stopwatch(&[]);
            let answer = question.answer(reader, &Scope::default()).await.unwrap();
            took.push(watch().wall_s * 1e3);
            assert_eq!(answer.completeness().colonies.len(), 2);
        }
        let [median, p99, longest] = quantiles(took);
        let (of_median, of_p99) = (median / unit_ms, p99 / unit_ms);
        let cpu_ms = all().cpu_s * 1e3 / CALLS as f64;
        println!(
            "{name}: median {median:.1} ms ({of_median:.1} counts), p99 {p99:.1} ms ({of_p99:.1} counts), longest \
             {longest:.1} ms; processor time {cpu_ms:.1} ms a call; p99 below {ANSWER_MS_MAX:.0} ms: {}",
            is_met(p99, ANSWER_MS_MAX)
        );
    }
}

/// The next bucket of each series.
fn bucket(number: u64) -> Rows {
    let point = |i: u64| {
        let environment = environment(i);
        let (colony_id, service_id) = (format!("shop-{environment}"), format!("service-{}", i / 20));
        let series = SeriesId::of(SeriesRef {
            colony_id: &colony_id,
            application_name: "shop",
            environment,
            service_id: &service_id,
            metric_name: &format!("metric-{}", i / 2 % 10),
            interval_seconds: Some(300),
        });
        let p95 = Some(Real((i % 97) as f64));
        MetricPoint {
            series,
            timestamp: START + number as i64 * BUCKET_MS,
            p95,
            count: Some(60),
            ..MetricPoint::default()
        }
    };
    Rows { metrics: (0..SERIES).map(point).collect::<Vec<MetricPoint>>().into(), ..Rows::default() }
}

/// A live source: the next bucket of each series when it is due and the last one is stored.
struct Live {
    next: u64,
    stored: u64,
    due: Interval,
    sent_at: Instant,
    took_ms: watch::Sender<Vec<f64>>,
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
        if self.next > self.stored {
            // dropped when something is stored, and called again
            return std::future::pending().await;
        }
        self.due.tick().await;
        let rows = bucket(self.next);
        self.next += 1;
        let positions = Positions(BTreeMap::from([(BUCKETS.to_owned(), self.next.to_string())]));
        self.sent_at = Instant::now();
        Ok(Some(Batch { rows, positions, ..Batch::default() }))
    }

    fn committed(&mut self, positions: &Positions) {
        let stored = positions.0.get(BUCKETS).and_then(|buckets| buckets.parse().ok()).unwrap_or(0);
        if stored > self.stored {
            self.stored = stored;
            let took_ms = self.sent_at.elapsed().as_secs_f64() * 1e3;
            self.took_ms.send_modify(|all| all.push(took_ms));
        }
    }
}

/// The median of the next commits, in milliseconds; the one in progress belongs to what was before.
async fn block_ms(took_ms: &mut watch::Receiver<Vec<f64>>) -> f64 {
    let from = took_ms.borrow().len() + 1;
    let to = from + COMMITS;
    let block = took_ms.wait_for(|all| all.len() >= to).await.unwrap()[from..to].to_vec();
    quantiles(block)[0]
}

/// Reads in turn what the overview shows and two environments, until it is to stop. How often it has read.
async fn read(reader: Arc<dyn StoreReader>, every: Option<Duration>, is_reading: Arc<AtomicBool>) -> u64 {
    let questions = [Question::Compare(compare()), Question::Status(StatusQuestion::default())];
    let mut due = tokio::time::interval(every.unwrap_or(Duration::from_millis(1)));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reads = 0;
    for question in questions.iter().cycle() {
        if !is_reading.load(Ordering::Relaxed) {
            break;
        }
        if every.is_some() {
            due.tick().await;
        }
        question.answer(reader.as_ref(), &Scope::default()).await.unwrap();
        reads += 1;
    }
    reads
}

/// Blocks of commits of a run alone and beside a task that reads, until it has read as often as is wanted.
async fn beside_reads(took_ms: &mut watch::Receiver<Vec<f64>>, reader: &Arc<dyn StoreReader>, every: Option<Duration>) {
    let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut reads, mut reading_s) = (0, 0.0);
    while reads < READS {
        let alone_ms = block_ms(took_ms).await;
        let is_reading = Arc::new(AtomicBool::new(true));
        let clock = stopwatch(&[]);
        let reading = tokio::spawn(read(Arc::clone(reader), every, Arc::clone(&is_reading)));
        let beside_ms = block_ms(took_ms).await;
        is_reading.store(false, Ordering::Relaxed);
        reads += reading.await.unwrap();
        reading_s += clock().wall_s;
        ratios.push(beside_ms / alone_ms);
        alone.push(alone_ms);
        beside.push(beside_ms);
    }
    let (blocks, [ratio, ..]) = (ratios.len(), quantiles(ratios));
    println!(
        "commits of {SERIES} buckets by a run: median {:.1} ms alone, {:.1} ms beside {reads} reads, {:.0} a second ({}); \
         ratio {ratio:.3}, median of {blocks} pairs of blocks; below {SLOWER_MAX:.2}: {}",
        quantiles(alone)[0],
        quantiles(beside)[0],
        reads as f64 / reading_s,
        every.map_or("without a pause".to_owned(), |every| format!("one in {} ms", every.as_millis())),
        is_met(ratio, SLOWER_MAX)
    );
}

/// A run over the store, which commits buckets, and reads beside it.
async fn run_beside_reads(folder: &Path, buckets: u64) {
    let text = format!(
        "reef_id = \"bench\"\n[[sources]]\nkind = \"files\"\nevents = [\"none.ndjson\"]\n[storage]\npath = \"reef.duckdb\"\n\
         [storage.retention]\naggregated_metrics = \"100y\"\nevents = \"100y\"\n[engine]\ntick_rows_max = {SERIES}\n"
    );
    let config = parse(&text, Format::Toml, &folder.join("bench.toml")).unwrap();
    let store = store::open(&config).await.unwrap();
    let reader = store.reader();
    let (sender, mut took_ms) = watch::channel(Vec::new());
    let mut due = tokio::time::interval(COMMIT_EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let live = Live { next: buckets, stored: buckets, due, sent_at: Instant::now(), took_ms: sender };
    let sources: Vec<Box<dyn Source>> = vec![Box::new(live)];
    let (options, controls) = RunOptions::new(SystemClock::shared(), Network::plain());
    let mut run = pin!(drive(&config, store, sources, options));
    let measured = async {
        beside_reads(&mut took_ms, &reader, Some(READ_EVERY)).await;
        // what a caller without a pause costs, which no limit is stated for
        beside_reads(&mut took_ms, &reader, None).await;
    };
    tokio::select! {
        ended = &mut run => panic!("the run has ended early: {:?}", ended.err()),
        () = measured => {}
    }
    controls.stop.send_replace(true);
    let (_, store) = run.await.unwrap();
    drop(reader);
    store.close().await.unwrap();
}

/// `coral reef LINE` about the reef of a folder.
fn coral(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coral"));
    command.current_dir(folder).env("CORAL_HOME", folder).env_remove("CORAL_REEF").arg("reef").args(line.split(' '));
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// How long the program takes until its first byte, for some commands.
fn first_bytes(folder: &Path, state: &str, unit_ms: f64) {
    for line in ["list", "status", "compare production staging"] {
        let mut took = Vec::new();
        for _ in 0..PROGRAM_CALLS {
            let watch = stopwatch(&[]);
            let mut child = coral(folder, line).stdout(Stdio::piped()).spawn().unwrap();
            let mut stdout = child.stdout.take().unwrap();
            stdout.read_exact(&mut [0]).unwrap();
            took.push(watch().wall_s * 1e3);
            std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
            assert!(child.wait().unwrap().success());
        }
        let [median, _, longest] = quantiles(took);
        println!(
            "first byte of coral reef {line}, {state}: median {median:.0} ms ({:.1} counts), longest {longest:.0} ms; below \
             {FIRST_BYTE_MS_MAX:.0} ms: {}",
            median / unit_ms,
            is_met(longest, FIRST_BYTE_MS_MAX)
        );
    }
}

/// Asks the stopped reef; starts it, waits until it answers and until it has rebuilt its windows, and asks it again.
fn programs(folder: &Path, unit_ms: f64) {
    std::fs::create_dir(folder.join("reefs")).unwrap();
    // no process listens there
    let reef = "reef_id: bench\n\
                storage: {path: ../reef.duckdb, retention: {aggregated_metrics: 100y, events: 100y}}\n\
                api: {enabled: true, listen: '127.0.0.1:0'}\n\
                colonies: [{colony_id: shop-production, endpoint: 'http://127.0.0.1:1'}]\n";
    std::fs::write(folder.join("reefs/bench.yaml"), reef).unwrap();
    first_bytes(folder, "stopped", unit_ms);
    let watch = stopwatch(&[]);
    let mut run = coral(folder, "start").stdout(Stdio::null()).spawn().unwrap();
    let status = || -> serde_json::Value {
        let output = coral(folder, "status --json").output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    let mut first_s = None;
    // a run answers while it rebuilds its windows
    let running_s = loop {
        let status = status();
        // before its store is open, a run knows only the colony of its configuration; before it listens, the store is read
        let is_answered = status["colonies"].as_array().is_some_and(|colonies| colonies.len() == 2);
        if is_answered && ["restoring", "running"].iter().any(|state| status["state"] == *state) {
            let now_s = watch().wall_s;
            first_s = first_s.or(Some(now_s));
            if status["state"] == "running" {
                break now_s;
            }
        }
        assert!(run.try_wait().unwrap().is_none(), "the reef has ended");
        std::thread::park_timeout(LOOK_EVERY);
    };
    let first_s = first_s.unwrap_or(running_s);
    println!(
        "first answer after coral reef start: {first_s:.2} s ({:.1} counts); windows rebuilt after {running_s:.2} s",
        first_s * 1e3 / unit_ms
    );
    first_bytes(folder, "running", unit_ms);
    run.kill().unwrap();
    run.wait().unwrap();
}

#[tokio::main]
async fn main() {
    // `cargo test --all-targets` starts benches too
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rows = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(ROWS_DEFAULT);
    let buckets = rows / SERIES;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    write(&path, buckets).await;
    println!("machine: {}", machine());
    println!("command: cargo bench --workspace --bench answers -- {rows}");
    println!("store: {} buckets of {SERIES} series, {PATTERNS} patterns, DuckDB", buckets * SERIES);

    let unit_ms = count_ms(&path, buckets * SERIES);
    // as a run opens it
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = Some(u32::try_from(cores / 2).unwrap().max(1));
    let store = DuckDbStore::open(DuckDbConfig { threads, ..DuckDbConfig::at(&path) }).await.unwrap();
    let reader = store.reader();
    answers(reader.as_ref(), unit_ms).await;
    drop(reader);
    Box::new(store).close().await.unwrap();
    run_beside_reads(folder.path(), buckets).await;
    // the machine may have become slower or faster meanwhile
    count_ms(&path, buckets * SERIES);
    programs(folder.path(), unit_ms);
}
