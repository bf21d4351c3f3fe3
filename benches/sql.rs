//! Statements through the SQL engine beside DuckDB's own answers to them, and commits beside statements, as ratios:
//! `cargo bench --workspace --bench sql -- [rows] [duckdb|clickhouse]`, by default 500,000 buckets and 200,000 events.
//!
//! DuckDB's own answer is that of a connection to the same file, read as record batches. Ours has everything else: the
//! plan, limits, what the answer is complete to, and batches that go through two channels.
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
use sinks::{StoreReader, StoreWriter};
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

/// Statements with their names, and whether all of them is left to the store.
static STATEMENTS: [(&str, &str, bool); 5] = [
    (
        "count by type",
        "SELECT event_type, count(*) AS n FROM federated_events WHERE timestamp >= '2026-01-02T00:00:00Z'
         GROUP BY event_type",
        true,
    ),
    (
        "a range of one series",
        "SELECT timestamp, p95 FROM federated_metrics
         WHERE colony_id = 'shop-production' AND service_id = 'service-3' AND metric_name = 'metric-4'
           AND timestamp >= '2026-01-02T00:00:00Z' AND timestamp < '2026-01-03T00:00:00Z'",
        true,
    ),
    (
        "the latest 20 events",
        "SELECT event_id, timestamp, event_type FROM federated_events ORDER BY timestamp DESC, event_id LIMIT 20",
        false,
    ),
    (
        "lowest and highest by service",
        "SELECT service_id, min(p95) AS low, max(p95) AS high FROM federated_metrics WHERE metric_name = 'metric-4'
         GROUP BY service_id",
        true,
    ),
    (
        "three columns, two conditions",
        "SELECT timestamp, service_id, p95 FROM federated_metrics WHERE metric_name = 'metric-4' AND p95 > 190",
        true,
    ),
];

/// Calls of one statement.
struct Calls {
    rows: usize,
    median_ms: f64,
    cpu_ms: f64,
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

/// Commits some buckets of all series with their events.
async fn commit(store: &mut dyn StoreWriter, buckets: std::ops::Range<u64>) {
    let metrics: Vec<MetricPoint> =
        buckets.clone().flat_map(|bucket| (0..SERIES).map(move |number| point(bucket, number))).collect();
    let events = buckets.clone().flat_map(|bucket| (0..EVENTS).map(move |number| happened(bucket, number))).collect();
    let rows = Rows { metrics: metrics.into(), events, ..Rows::default() };
    store.commit(&commit_of(buckets.end, rows)).await.unwrap();
}

async fn fill(store: &mut dyn StoreWriter, buckets: u64) {
    for begin in (0..buckets).step_by(FILLED_AT_ONCE as usize) {
        commit(store, begin..(begin + FILLED_AT_ONCE).min(buckets)).await;
    }
}

fn median(took_ms: &mut [f64]) -> f64 {
    took_ms.sort_by(f64::total_cmp);
    took_ms[took_ms.len() / 2]
}

/// Calls of a statement, one after the other; `call` gives the number of rows.
fn calls(mut call: impl FnMut() -> usize) -> Calls {
    for _ in 0..CALLS_BEFORE {
        call();
    }
    let (mut took_ms, mut rows, all) = (Vec::with_capacity(CALLS), 0, stopwatch(&[]));
    for _ in 0..CALLS {
        let watch = stopwatch(&[]);
        rows = call();
        took_ms.push(watch().wall_s * 1e3);
    }
    Calls { rows, median_ms: median(&mut took_ms), cpu_ms: all().cpu_s * 1e3 / CALLS as f64 }
}

/// DuckDB's own answers, in the order of the statements.
fn by_itself(path: &Path) -> Vec<Calls> {
    let connection = duckdb::Connection::open(path).unwrap();
    let answer = |sql: &str| -> usize {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_arrow([]).unwrap().map(|batch| batch.num_rows()).sum()
    };
    STATEMENTS.iter().map(|(_, sql, _)| calls(|| answer(sql))).collect()
}

async fn answered(engine: &SqlEngine, reader: &Arc<dyn StoreReader>, sql: &str) -> usize {
    let question = SqlQuestion { sql: sql.to_owned(), limit: Some(ROWS_MAX), timeout_ms: None };
    let answer = engine.answer(&question, reader, &Scope::default()).await;
    answer.unwrap_or_else(|error| panic!("{sql}: {error}")).table.len()
}

/// Answers of the engine beside those of DuckDB.
fn compare(reader: &Arc<dyn StoreReader>, own: &[Calls]) {
    let (engine, runtime) = (SqlEngine::default(), tokio::runtime::Handle::current());
    for ((name, sql, is_left), own) in STATEMENTS.iter().zip(own) {
        let ours = tokio::task::block_in_place(|| calls(|| runtime.block_on(answered(&engine, reader, sql))));
        assert_eq!(ours.rows, own.rows, "{name}");
        let wanted = match is_left {
            true => format!("wanted {OVERHEAD_WANTED}"),
            false => "sorted above the store".to_owned(),
        };
        println!(
            "{name}, {} rows: DuckDB {:.2} ms, here {:.2} ms, ratio {:.2} ({wanted}); processor time {:.2} ms and {:.2} \
             ms",
            own.rows,
            own.median_ms,
            ours.median_ms,
            ours.median_ms / own.median_ms,
            own.cpu_ms,
            ours.cpu_ms
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
        let watch = stopwatch(&[]);
        commit(store, *next..*next + 1).await;
        took_ms.push(watch().wall_s * 1e3);
        *next += 1;
    }
}

/// Commits alone and beside clients that ask without a pause, in turn.
async fn beside_statements(name: &str, store: &mut dyn StoreWriter, buckets: u64) {
    let (engine, reader) = (SqlEngine::default(), store.reader());
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
    let (alone, beside) = (median(&mut alone), median(&mut beside));
    println!(
        "{name}: commits of {SERIES} buckets and {EVENTS} events, median {alone:.1} ms alone and {beside:.1} ms beside \
         {CLIENTS} clients ({count} statements), ratio {:.2} (wanted below {SLOWDOWN_WANTED})",
        beside / alone
    );
}

async fn on_duckdb(buckets: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let mut store = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
    fill(&mut store, buckets).await;
    Box::new(store).close().await.unwrap();
    let own = by_itself(&path);
    let mut store = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
    compare(&store.reader(), &own);
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
