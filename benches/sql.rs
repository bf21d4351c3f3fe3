//! Statements through the SQL engine beside DuckDB's own answers to them, and commits beside statements, as ratios:
//! `cargo bench --workspace --bench sql -- [rows] [duckdb|clickhouse]`, by default 500,000 buckets and 200,000 events.
//!
//! The two take turns, call by call. DuckDB's own answer is that of a connection to a copy of the file; `query_arrow`
//! has all rows in memory before it gives the first batch. Ours is `SqlEngine::answer` in this process, without RPC:
//! its scans stream, and it has everything else: the plan, limits, what the answer is complete to, and batches that go
//! through two channels. The time of a commit is that of the store; its rows are made before.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

#[path = "../tests/support/clickhouse.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod clickhouse;
mod stopwatch;

use clickhouse::Server;
use model::event::Event;
use model::metric::MetricPoint;
use model::real::Real;
use model::rows::Rows;
use model::series::{SeriesId, SeriesRef};
use model::time::{MINUTE_MS, TimeMs};
use reef::answers::Scope;
use reef::sql::{SqlEngine, SqlQuestion};
use sinks::clickhouse::{ClickHouseConfig, ClickHouseStore};
use sinks::compliance::commit_of;
use sinks::compliance::rows::event;
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use sinks::{Commit, StoreReader, StoreWriter};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use stopwatch::{machine, stopwatch};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS_DEFAULT: u64 = 500_000;
/// Ten metrics of 20 services in two environments.
const SERIES: u64 = 400;
/// Events for each bucket of all series.
const EVENTS: u64 = 160;
const BUCKET_MS: i64 = 5 * MINUTE_MS;
const START: TimeMs = TimeMs(1_767_225_600_000); // 2026-01-01T00:00:00Z
/// Buckets of a commit while the store is filled.
const FILLED_AT_ONCE: u64 = 50;
/// Calls of each statement, after some that do not count.
const CALLS: usize = 100;
const CALLS_BEFORE: usize = 5;
/// Clients that ask without a pause while commits are measured.
const CLIENTS: usize = 4;
/// Commits of a round alone, and as many beside clients; rounds, so that both see the same store and machine.
const COMMITS: u64 = 20;
const ROUNDS: usize = 5;
/// Most rows of an answer.
const ROWS_MAX: usize = 100_000;
const OVERHEAD_WANTED: f64 = 1.5;
const SLOWDOWN_WANTED: f64 = 1.1;

/// Statements with their names, and what of them is done above the store.
static STATEMENTS: [(&str, &str, Option<&str>); 6] = [
    (
        "count by type",
        "SELECT event_type, count(*) AS n FROM federated_events WHERE timestamp >= '2026-01-02T00:00:00Z'
         GROUP BY event_type",
        None,
    ),
    (
        "a range of one series",
        "SELECT timestamp, p95 FROM federated_metrics
         WHERE colony_id = 'shop-production' AND service_id = 'service-3' AND metric_name = 'metric-4'
           AND timestamp >= '2026-01-02T00:00:00Z' AND timestamp < '2026-01-03T00:00:00Z'",
        None,
    ),
    (
        "the latest 20 events",
        "SELECT event_id, timestamp, event_type FROM federated_events ORDER BY timestamp DESC, event_id LIMIT 20",
        Some("sorted above the store"),
    ),
    (
        "lowest and highest by service",
        "SELECT service_id, min(p95) AS low, max(p95) AS high FROM federated_metrics WHERE metric_name = 'metric-4'
         GROUP BY service_id",
        None,
    ),
    (
        "three columns, two conditions",
        "SELECT timestamp, service_id, p95 FROM federated_metrics WHERE metric_name = 'metric-4' AND p95 > 190",
        None,
    ),
    (
        "hourly means of each series in a week",
        "SELECT colony_id, service_id, metric_name, date_trunc('hour', timestamp) AS hour, avg(p95) AS usual
         FROM federated_metrics WHERE timestamp < '2026-01-08T00:00:00Z'
         GROUP BY colony_id, service_id, metric_name, date_trunc('hour', timestamp)",
        Some("grouped above the store"),
    ),
];

/// Times of some calls, in order.
struct Times(Vec<f64>);

impl Times {
    fn of(mut took_ms: Vec<f64>) -> Times {
        took_ms.sort_by(f64::total_cmp);
        Times(took_ms)
    }

    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// The 95th percentile.
    fn slow(&self) -> f64 {
        self.0[self.0.len() * 95 / 100]
    }
}

/// Calls of one statement by one of the two.
#[derive(Default)]
struct Calls {
    rows: usize,
    took_ms: Vec<f64>,
    cpu_s: f64,
}

impl Calls {
    fn time(&mut self, call: impl FnOnce() -> usize) {
        let watch = stopwatch(&[]);
        self.rows = call();
        let took = watch();
        self.took_ms.push(took.wall_s * 1e3);
        self.cpu_s += took.cpu_s;
    }
}

/// Numbers that look random and are the same each time, below `end`.
fn mixed(a: u64, b: u64, end: u64) -> u64 {
    let x = (a.wrapping_mul(1_000_003) ^ b).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) % end
}

fn environment(number: u64) -> &'static str {
    if number.is_multiple_of(2) { "production" } else { "staging" }
}

/// A bucket of a series.
fn point(bucket: u64, number: u64) -> MetricPoint {
    let series = SeriesId::of(SeriesRef {
        colony_id: &format!("shop-{}", environment(number)),
        application_name: "shop",
        environment: environment(number),
        service_id: &format!("service-{}", number / 20),
        metric_name: &format!("metric-{}", number / 2 % 10),
        interval_seconds: Some(300),
    });
    let p95 = Some(Real(mixed(bucket, number, 100_000) as f64 / 500.0));
    let timestamp = START + bucket as i64 * BUCKET_MS;
    MetricPoint { series, timestamp, p50: p95, p95, count: Some(60), ..MetricPoint::default() }
}

/// An event of the time of a bucket.
fn happened(bucket: u64, number: u64) -> Event {
    let kinds = ["deploy", "crash", "restart", "scale", "error_spike"];
    Event {
        colony_id: format!("shop-{}", environment(number)),
        environment: environment(number).to_owned(),
        timestamp: START + bucket as i64 * BUCKET_MS + number as i64 * BUCKET_MS / EVENTS as i64,
        event_type: kinds[mixed(bucket, number, 5) as usize].to_owned(),
        service_id: format!("service-{}", number % 20),
        ..event(&format!("e{bucket}-{number}"), 0)
    }
}

/// Some buckets of all series with their events.
fn made(buckets: std::ops::Range<u64>) -> Commit {
    let metrics: Vec<MetricPoint> =
        buckets.clone().flat_map(|bucket| (0..SERIES).map(move |number| point(bucket, number))).collect();
    let events = buckets.clone().flat_map(|bucket| (0..EVENTS).map(move |number| happened(bucket, number))).collect();
    commit_of(buckets.end, Rows { metrics: metrics.into(), events, ..Rows::default() })
}

async fn fill(store: &mut dyn StoreWriter, buckets: u64) {
    for begin in (0..buckets).step_by(FILLED_AT_ONCE as usize) {
        store.commit(&made(begin..(begin + FILLED_AT_ONCE).min(buckets))).await.unwrap();
    }
}

async fn answered(engine: &SqlEngine, reader: &Arc<dyn StoreReader>, sql: &str) -> usize {
    let question = SqlQuestion { sql: sql.to_owned(), limit: Some(ROWS_MAX), timeout_ms: None };
    let answer = engine.answer(&question, reader, &Scope::default()).await;
    answer.unwrap_or_else(|error| panic!("{sql}: {error}")).table.len()
}

/// Answers of the engine beside those of DuckDB to a copy of the file.
fn compare(reader: &Arc<dyn StoreReader>, copy: &Path) {
    let (engine, runtime) = (SqlEngine::default(), tokio::runtime::Handle::current());
    let connection = duckdb::Connection::open(copy).unwrap();
    for (name, sql, above) in &STATEMENTS {
        let by_duckdb = || -> usize {
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_arrow([]).unwrap().map(|batch| batch.num_rows()).sum()
        };
        let here = || runtime.block_on(answered(&engine, reader, sql));
        for _ in 0..CALLS_BEFORE {
            by_duckdb();
            here();
        }
        let (mut own, mut ours) = (Calls::default(), Calls::default());
        for _ in 0..CALLS {
            own.time(by_duckdb);
            ours.time(here);
        }
        assert_eq!(ours.rows, own.rows, "{name}");
        let wanted = above.map_or_else(|| format!("wanted {OVERHEAD_WANTED}"), str::to_owned);
        let cpu_ms = [&own, &ours].map(|calls| calls.cpu_s * 1e3 / CALLS as f64);
        let (rows, own, ours) = (own.rows, Times::of(own.took_ms), Times::of(ours.took_ms));
        println!(
            "{name}, {rows} rows: DuckDB {:.2} ms, here {:.2} ms, ratio {:.2} ({wanted}); 95th percentiles {:.2} ms \
             and {:.2} ms; processor time {:.2} ms and {:.2} ms",
            own.median(),
            ours.median(),
            ours.median() / own.median(),
            own.slow(),
            ours.slow(),
            cpu_ms[0],
            cpu_ms[1]
        );
    }
}

/// Asks statements in turn until it is told to end; how many were answered.
async fn ask(engine: SqlEngine, reader: Arc<dyn StoreReader>, is_asking: Arc<AtomicBool>, first: usize) -> u64 {
    let mut count = 0;
    for (_, sql, _) in STATEMENTS.iter().cycle().skip(first) {
        if !is_asking.load(Ordering::Relaxed) {
            break;
        }
        answered(&engine, &reader, sql).await;
        count += 1;
    }
    count
}

/// Commits of one bucket of all series each.
async fn committed(store: &mut dyn StoreWriter, next: &mut u64, took_ms: &mut Vec<f64>) {
    for _ in 0..COMMITS {
        let commit = made(*next..*next + 1);
        let watch = stopwatch(&[]);
        store.commit(&commit).await.unwrap();
        took_ms.push(watch().wall_s * 1e3);
        *next += 1;
    }
}

/// Commits alone and beside clients that ask without a pause, in turn.
async fn beside_statements(name: &str, store: &mut dyn StoreWriter, buckets: u64) {
    // as in a run
    let (engine, reader) = (SqlEngine::default().giving_way(), store.reader());
    let (mut alone, mut beside, mut next, mut count) = (Vec::new(), Vec::new(), buckets, 0);
    for _ in 0..ROUNDS {
        committed(store, &mut next, &mut alone).await;
        let is_asking = Arc::new(AtomicBool::new(true));
        let client = |first| tokio::spawn(ask(engine.clone(), Arc::clone(&reader), Arc::clone(&is_asking), first));
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        committed(store, &mut next, &mut beside).await;
        is_asking.store(false, Ordering::Relaxed);
        for client in clients {
            count += client.await.unwrap();
        }
    }
    let (alone, beside) = (Times::of(alone), Times::of(beside));
    println!(
        "{name}: commits of {SERIES} buckets and {EVENTS} events, median {:.1} ms alone and {:.1} ms beside {CLIENTS} \
         clients ({count} statements), ratio {:.2} (wanted below {SLOWDOWN_WANTED}); 95th percentiles {:.1} ms and \
         {:.1} ms",
        alone.median(),
        beside.median(),
        beside.median() / alone.median(),
        alone.slow(),
        beside.slow()
    );
}

async fn on_duckdb(buckets: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let mut store = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
    fill(&mut store, buckets).await;
    Box::new(store).close().await.unwrap();
    let copy = folder.path().join("copy.duckdb");
    std::fs::copy(&path, &copy).unwrap();
    let mut store = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
    tokio::task::block_in_place(|| compare(&store.reader(), &copy));
    beside_statements("DuckDB", &mut store, buckets).await;
    Box::new(store).close().await.unwrap();
}

async fn on_clickhouse(buckets: u64) {
    let Some(server) = Server::start() else { return };
    let config = ClickHouseConfig::at(server.host(), server.port(), server.database());
    let mut store = ClickHouseStore::open(config).await.unwrap();
    fill(&mut store, buckets).await;
    beside_statements("ClickHouse", &mut store, buckets).await;
    Box::new(store).close().await.unwrap();
}

#[tokio::main]
async fn main() {
    // `cargo test --all-targets` starts benches too
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rows: u64 = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(ROWS_DEFAULT);
    let buckets = rows / SERIES;
    println!("{}: {} buckets of {SERIES} series, {} events", machine(), buckets * SERIES, buckets * EVENTS);
    let wants =
        |store: &str| std::env::args().all(|it| it == store || !["duckdb", "clickhouse"].contains(&it.as_str()));
    if wants("duckdb") {
        on_duckdb(buckets).await;
    }
    if wants("clickhouse") {
        on_clickhouse(buckets).await;
    }
}
