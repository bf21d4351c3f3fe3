//! Answers of `compare` and `status` over a large DuckDB store, beside DuckDB's own count of its rows; commits beside
//! questions; and the first answer after `coral reef start` on that store:
//! `cargo bench --workspace --bench answers -- [rows]`, by default 50 services over seven days, two million buckets.
//!
//! The unit is `SELECT count(*) FROM federated_metrics` on a connection of its own: what a machine needs to look at each
//! row once. An answer that needs many times as much looks at rows that it should not.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

mod stopwatch;

use model::metric::MetricPoint;
use model::real::Real;
use model::rows::Rows;
use model::series::{SeriesId, SeriesRef};
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use reef::answers::compare::CompareQuestion;
use reef::answers::status::StatusQuestion;
use reef::answers::{Question, Scope};
use sinks::compliance::commit_of;
use sinks::compliance::rows::finding;
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use sinks::{Commit, StoreReader, StoreWriter};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use stopwatch::{machine, stopwatch};

/// Seven days.
const ROWS_DEFAULT: u64 = 2_016 * SERIES;
/// Ten metrics of 50 services in two environments.
const SERIES: u64 = 1_000;
const BUCKET_MS: i64 = 5 * MINUTE_MS;
const PATTERNS: usize = 1_000;
const START: TimeMs = TimeMs(1_767_225_600_000); // 2026-01-01T00:00:00Z
/// Calls of each kind.
const CALLS: usize = 200;
/// Commits with and without questions beside them.
const COMMITS: u64 = 50;

/// Writes patterns, and by SQL buckets of two environments with their sums by the hour.
async fn write(path: &Path, buckets: u64) {
    let mut store = Box::new(DuckDbStore::open(DuckDbConfig::at(path)).await.unwrap());
    let findings = (0..PATTERNS).map(|n| finding(&format!("type-{n}"), 0.9, &[("source", "target")])).collect();
    store.commit(&Commit { findings, ..commit_of(1, Default::default()) }).await.unwrap();
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
    println!("{}: {} buckets of {SERIES} series, {PATTERNS} patterns", machine(), buckets * SERIES);

    let connection = duckdb::Connection::open(&path).unwrap();
    let count =
        || -> u64 { connection.query_row("SELECT count(*) FROM federated_metrics", [], |row| row.get(0)).unwrap() };
    assert_eq!(count(), buckets * SERIES);
    let mut took = Vec::new();
    for _ in 0..CALLS {
        let watch = stopwatch(&[]);
        count();
        took.push(watch().wall_s * 1e3);
    }
    let unit = quantiles(took);
    println!("count(*): median {:.1} ms, p99 {:.1} ms, longest {:.1} ms", unit[0], unit[1], unit[2]);
    drop(connection);

    let store = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
    let reader = store.reader();
    let compare = CompareQuestion {
        environment_a: "production".to_owned(),
        environment_b: "staging".to_owned(),
        window_ms: Some(DAY_MS),
        ..CompareQuestion::default()
    };
    for (name, question) in
        [("compare", Question::Compare(compare)), ("status", Question::Status(StatusQuestion::default()))]
    {
        let (mut took, all) = (Vec::new(), stopwatch(&[]));
        for _ in 0..CALLS {
            let watch = stopwatch(&[]);
            let answer = question.answer(reader.as_ref(), &Scope::default()).await.unwrap();
            took.push(watch().wall_s * 1e3);
            assert_eq!(answer.completeness().colonies.len(), 2);
        }
        let [median, p99, longest] = quantiles(took);
        let (of_median, of_p99) = (median / unit[0], p99 / unit[1]);
        let cpu_ms = all().cpu_s * 1e3 / CALLS as f64;
        println!(
            "{name}: median {median:.1} ms ({of_median:.1} counts), p99 {p99:.1} ms ({of_p99:.1} counts), longest \
             {longest:.1} ms; processor time {cpu_ms:.1} ms a call"
        );
    }
    beside_questions(store, reader, buckets).await;
    let first_s = first_answer_s(folder.path());
    println!("first answer after `coral reef start`: {first_s:.2} s ({:.1} counts)", first_s * 1e3 / unit[0]);
}

/// The next bucket of each series.
fn bucket(number: u64) -> Rows {
    let point = |i: u64| {
        let environment = if i.is_multiple_of(2) { "production" } else { "staging" };
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

/// Median, 99th percentile and longest of commits from a bucket on, in milliseconds.
async fn commits(store: &mut DuckDbStore, from: u64) -> [f64; 3] {
    let mut took = Vec::new();
    for number in from..from + COMMITS {
        let commit = commit_of(number, bucket(number));
        let watch = stopwatch(&[]);
        store.commit(&commit).await.unwrap();
        took.push(watch().wall_s * 1e3);
    }
    quantiles(took)
}

/// Commits alone, and beside a task that asks for the status without a pause.
async fn beside_questions(mut store: DuckDbStore, reader: Arc<dyn StoreReader>, buckets: u64) {
    let alone = commits(&mut store, buckets).await;
    let is_asking = Arc::new(AtomicBool::new(true));
    let asking = tokio::spawn({
        let is_asking = Arc::clone(&is_asking);
        async move {
            let mut asked = 0_u64;
            while is_asking.load(Ordering::Relaxed) {
                let question = Question::Status(StatusQuestion::default());
                question.answer(reader.as_ref(), &Scope::default()).await.unwrap();
                asked += 1;
            }
            asked
        }
    });
    let beside = commits(&mut store, buckets + COMMITS).await;
    is_asking.store(false, Ordering::Relaxed);
    let asked = asking.await.unwrap();
    println!(
        "commits of {SERIES} buckets: median {:.1} ms alone, {:.1} ms beside {asked} questions ({:+.0}%)",
        alone[0],
        beside[0],
        (beside[0] / alone[0] - 1.0) * 100.0
    );
    Box::new(store).close().await.unwrap();
}

/// Seconds from `coral reef start` on the store of `folder` until the run answers.
fn first_answer_s(folder: &Path) -> f64 {
    std::fs::create_dir(folder.join("reefs")).unwrap();
    // no process listens there
    let reef = "reef_id: bench\nstorage: {path: ../reef.duckdb}\napi: {enabled: true, listen: '127.0.0.1:0'}\n\
                colonies: [{colony_id: shop-production, endpoint: 'http://127.0.0.1:1'}]\n";
    std::fs::write(folder.join("reefs/bench.yaml"), reef).unwrap();
    let coral = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coral"));
        command
            .current_dir(folder)
            .env("CORAL_HOME", folder)
            .env_remove("CORAL_REEF")
            .arg("reef")
            .args(line.split(' '));
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    let watch = stopwatch(&[]);
    let mut run = coral("start").stdout(Stdio::null()).spawn().unwrap();
    let is_answered = || {
        let output = coral("status --json").output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        // before its store is open, a run knows only the colony of its configuration
        status["state"] == "running" && status["colonies"].as_array().is_some_and(|colonies| colonies.len() == 2)
    };
    while !is_answered() {
        assert!(run.try_wait().unwrap().is_none(), "the reef has ended");
    }
    let wall_s = watch().wall_s;
    run.kill().unwrap();
    run.wait().unwrap();
    wall_s
}
