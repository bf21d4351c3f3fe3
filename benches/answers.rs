//! Answers of `compare` and `status` over a large DuckDB store, beside DuckDB's own count of its rows:
//! `cargo bench --workspace --bench answers -- [rows]`, by default two million buckets.
//!
//! The unit is `SELECT count(*) FROM federated_metrics` on a connection of its own: what a machine needs to look at each
//! row once. An answer that needs many times as much looks at rows that it should not.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

mod stopwatch;

use model::time::{DAY_MS, TimeMs};
use reef::answers::compare::CompareQuestion;
use reef::answers::status::StatusQuestion;
use reef::answers::{Question, Scope};
use sinks::compliance::commit_of;
use sinks::compliance::rows::finding;
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use sinks::{Commit, StoreWriter};
use std::path::Path;
use stopwatch::{machine, stopwatch};

const ROWS_DEFAULT: u64 = 2_000_000;
const SERIES: u64 = 1_000;
const PATTERNS: usize = 1_000;
const START: TimeMs = TimeMs(1_767_225_600_000); // 2026-01-01T00:00:00Z
/// Calls of each kind.
const CALLS: usize = 200;

/// Writes patterns, and by SQL buckets of two environments with their sums by the hour.
async fn write(path: &Path, minutes: u64) {
    let mut store = Box::new(DuckDbStore::open(DuckDbConfig::at(path)).await.unwrap());
    let findings = (0..PATTERNS).map(|n| finding(&format!("type-{n}"), 0.9, &[("source", "target")])).collect();
    store.commit(&Commit { findings, ..commit_of(1, Default::default()) }).await.unwrap();
    store.close().await.unwrap();
    let begin = START.0 * 1_000;
    let sql = format!(
        "INSERT INTO metric_series
         SELECT i, 'shop-' || environment, 'shop', environment, 'service-' || (i // 20), 'metric-' || (i // 2 % 10), 60
         FROM (SELECT i, if(i % 2 = 0, 'production', 'staging') AS environment FROM range({SERIES}) t(i));
         INSERT INTO metric_buckets BY NAME
         SELECT (i % {SERIES})::UINTEGER AS series_id, make_timestamp({begin} + (i // {SERIES}) * 60000000) AS timestamp,
                (hash(i) % 100000) / 997.0 AS p50, p50 * 2 AS p95, p50 * 3 AS p99, p50 AS mean, p50 * 4 AS max_value,
                60 AS sample_count, false AS late, make_timestamp({begin}) AS stored_at
         FROM range({}) t(i);
         INSERT INTO env_metric_summary BY NAME
         SELECT application_name, environment, metric_name, date_trunc('hour', timestamp) AS hour, avg(p95) AS mean_p95,
                max(max_value) AS max_value, sum(sample_count)::UBIGINT AS total_samples, count(*) AS points
         FROM federated_metrics GROUP BY ALL;
         CHECKPOINT",
        SERIES * minutes,
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
    let minutes = rows / SERIES;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    write(&path, minutes).await;
    println!("{}: {} buckets of {SERIES} series, {PATTERNS} patterns", machine(), minutes * SERIES);

    let connection = duckdb::Connection::open(&path).unwrap();
    let count =
        || -> u64 { connection.query_row("SELECT count(*) FROM federated_metrics", [], |row| row.get(0)).unwrap() };
    assert_eq!(count(), minutes * SERIES);
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
    drop(reader);
    Box::new(store).close().await.unwrap();
}
