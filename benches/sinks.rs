//! Speed of commits compared with each engine's own bulk load of the same rows, in one run:
//! `cargo bench --workspace --bench sinks -- [rows] [rows per commit] [duckdb|clickhouse]`.
//!
//! The commit path has everything a tick has: look-ups for upserts, hourly summaries, positions. The bulk load reads the
//! same rows from a Parquet file into a table without any of that.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

#[path = "../tests/support/clickhouse.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod clickhouse;
mod stopwatch;

use clickhouse::Server;
use model::metric::MetricPoint;
use model::position::Positions;
use model::real::Real;
use model::rows::{RollupKey, Rows};
use model::series::{SeriesId, SeriesRef};
use model::time::TimeMs;
use sinks::clickhouse::{ClickHouseConfig, ClickHouseStore};
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use sinks::{Commit, Span, StoreWriter};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use stopwatch::{Took, machine, stopwatch};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERIES: usize = 300;
const COLUMNS: &str = "colony_id, application_name, environment, service_id, metric_name, timestamp, p50, p95, p99, mean, \
                       max_value, sample_count, interval_seconds, late";

fn point(series: usize, minute: usize) -> MetricPoint {
    let colony = series % 6;
    let wave = |modulus: usize| Some(Real((series * 31 + minute * 17) as f64 % modulus as f64 * 1.1));
    let names = SeriesRef {
        colony_id: &format!("shop-{colony}-production"),
        application_name: &format!("shop-{colony}"),
        environment: "production",
        service_id: &format!("service-{}", series % 50),
        metric_name: &format!("metric_{}", series / 50),
        interval_seconds: Some(60),
    };
    MetricPoint {
        series: SeriesId::of(names),
        timestamp: TimeMs(1_767_225_600_000 + minute as i64 * 60_000),
        version: 0,
        count: Some(60),
        mean: wave(997),
        p50: wave(991),
        p95: wave(1_983),
        p99: wave(2_977),
        max: Some(Real(4_000.0)),
    }
}

/// Rows minute by minute, as live colonies send them.
fn commits(rows: usize, rows_per_commit: usize) -> Vec<Commit> {
    let commit = |tick: usize| {
        let numbers = tick * rows_per_commit..(tick + 1) * rows_per_commit;
        let metrics: Vec<MetricPoint> = numbers.map(|row| point(row % SERIES, row / SERIES)).collect();
        let keys: BTreeSet<RollupKey> = metrics.iter().map(RollupKey::of).collect();
        let position = Positions(BTreeMap::from([("rows".to_owned(), tick.to_string())]));
        Commit {
            tick: tick as u64,
            rows: Rows { metrics: metrics.into(), ..Rows::default() }.into(),
            rollups: keys.into_iter().collect(),
            positions: vec![("bench".to_owned(), position)],
            ..Commit::default()
        }
    };
    (0..rows / rows_per_commit).map(commit).collect()
}

async fn committed(store: &mut dyn StoreWriter, commits: &[Commit], server: &[u32]) -> Took {
    let watch = stopwatch(server);
    for commit in commits {
        store.commit(commit).await.unwrap();
    }
    watch()
}

/// Between two rounds of queries of a reader: a dashboard that is looked at.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The same commits while a reader queries every second: how often it was answered.
async fn committed_beside_a_reader(store: &mut dyn StoreWriter, commits: &[Commit], server: &[u32]) -> (Took, u64) {
    let reader = store.reader();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let reading = tokio::spawn(async move {
        let (mut rounds, mut pause) = (0, tokio::time::interval(READ_EVERY));
        loop {
            tokio::select! {
                _ = pause.tick() => {}
                _ = &mut stopped => return rounds,
            }
            reader.correlations().await.unwrap();
            reader.metrics_in(Span::on_time_since(TimeMs(0)), None, 100).await.unwrap();
            reader.watermarks().await.unwrap();
            rounds += 1;
        }
    });
    let took = committed(store, commits, server).await;
    let _ = stop.send(());
    (took, reading.await.unwrap())
}

fn report_reader(rows: usize, alone: &Took, beside: &Took, rounds: u64) {
    println!(
        "  beside a reader ({rounds} rounds): {:.0} rows/s, {:.2} of the rate alone; processor time {:.2} s and {:.2} s",
        rows as f64 / beside.wall_s,
        alone.wall_s / beside.wall_s,
        beside.cpu_s,
        alone.cpu_s
    );
}

fn report(name: &str, rows: usize, ours: Took, bulk: &str, theirs: Took, wanted: f64) {
    let rate = |took: Took| rows as f64 / took.wall_s;
    println!(
        "{name}: commits {:.0} rows/s, {bulk} {:.0} rows/s, ratio {:.2} (wanted {wanted}); processor time {:.2} s and {:.2} s, ratio {:.2}",
        rate(ours),
        rate(theirs),
        theirs.wall_s / ours.wall_s,
        ours.cpu_s,
        theirs.cpu_s,
        theirs.cpu_s / ours.cpu_s
    );
}

async fn on_duckdb(rows: usize, commits: &[Commit]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let mut store = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
    let ours = committed(&mut store, commits, &[]).await;
    Box::new(store).close().await.unwrap();
    let mut second = DuckDbStore::open(DuckDbConfig::at(folder.path().join("second.duckdb"))).await.unwrap();
    let (beside, rounds) = committed_beside_a_reader(&mut second, commits, &[]).await;
    Box::new(second).close().await.unwrap();
    report_reader(rows, &ours, &beside, rounds);
    let db = duckdb::Connection::open(&path).unwrap();
    let parquet = folder.path().join("rows.parquet");
    db.execute_batch(&format!(
        "COPY (SELECT {COLUMNS} FROM federated_metrics) TO '{}' (FORMAT parquet);
         CREATE TABLE plain AS SELECT {COLUMNS} FROM federated_metrics LIMIT 0; CHECKPOINT",
        parquet.display()
    ))
    .unwrap();
    let watch = stopwatch(&[]);
    db.execute_batch(&format!("COPY plain FROM '{}' (FORMAT parquet)", parquet.display())).unwrap();
    report("DuckDB", rows, ours, "COPY … FROM Parquet", watch(), 0.3);
}

async fn on_clickhouse(rows: usize, commits: &[Commit]) {
    let Some(server) = Server::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let parquet = folder.path().join("rows.parquet");
    let (ours, bulk) = (server.database(), server.database());
    let at = |database: &str| ClickHouseConfig::at("127.0.0.1", server.port(), database);
    let mut store = ClickHouseStore::open(at(&ours)).await.unwrap();
    let took = committed(&mut store, commits, &[server.pid()]).await;
    let mut second = ClickHouseStore::open(at(&server.database())).await.unwrap();
    let (beside, rounds) = committed_beside_a_reader(&mut second, commits, &[server.pid()]).await;
    report_reader(rows, &took, &beside, rounds);
    drop(ClickHouseStore::open(at(&bulk)).await.unwrap());
    server.query(
        &ours,
        &format!("SELECT {COLUMNS} FROM federated_metrics INTO OUTFILE '{}' FORMAT Parquet", parquet.display()),
    );
    let insert =
        format!("INSERT INTO federated_metrics ({COLUMNS}) FROM INFILE '{}' FORMAT Parquet", parquet.display());
    let watch = stopwatch(&[server.pid()]);
    server.query(&bulk, &insert);
    report("ClickHouse", rows, took, "INSERT … FROM INFILE Parquet", watch(), 0.5);
    server.query(&ours, "OPTIMIZE TABLE federated_metrics FINAL");
    let sql = "SELECT round(sum(bytes_on_disk) / sum(rows), 1) FROM system.parts
               WHERE active AND database = currentDatabase() AND table = 'federated_metrics'";
    println!("  {} bytes per metric row on disk, merged", server.query(&ours, sql).trim());
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let (rows, rows_per_commit) = (numbers.next().unwrap_or(1_000_000), numbers.next().unwrap_or(250_000));
    println!("{}: {rows} metric rows of {SERIES} series, {rows_per_commit} per commit", machine());
    let commits = commits(rows, rows_per_commit);
    let wants =
        |store: &str| std::env::args().all(|it| it == store || !["duckdb", "clickhouse"].contains(&it.as_str()));
    if wants("duckdb") {
        on_duckdb(rows, &commits).await;
    }
    if wants("clickhouse") {
        on_clickhouse(rows, &commits).await;
    }
}
