//! Files to DuckDB inside one process: rows per second, and what the program allocates for a row.
//! `cargo bench --workspace --bench rows -- [rows]`
//!
//! Every allocation of the Rust side is counted, from the file's bytes to the appender; DuckDB's own memory is not. The
//! counting allocator is slower than the program's, so speed is compared between two builds of this bench alone.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

mod stopwatch;

use mesh::Network;
use model::clock::SystemClock;
use pipelines::config::{Format, parse};
use pipelines::run::{RunOptions, run};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::path::Path;
use stopwatch::{machine, stopwatch};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROWS_DEFAULT: u64 = 1_000_000;
/// Rows with correlation on: every pair of series is searched for its lag.
const CORRELATED_ROWS_MAX: u64 = 200_000;

fn main() {
    // `cargo test --all-targets` starts benches too
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rows = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(ROWS_DEFAULT);
    println!("{}: {rows} metric rows of 400 series", machine());
    let folder = tempfile::tempdir().unwrap();
    for (name, rows) in [("rows", rows), ("few", rows.min(CORRELATED_ROWS_MAX))] {
        write_files(folder.path(), name, rows);
    }
    for format in ["ndjson", "csv", "parquet"] {
        measure(folder.path(), &format!("rows.{format}"), rows, false);
    }
    measure(folder.path(), "few.parquet", rows.min(CORRELATED_ROWS_MAX), true);
}

/// Rows as a fleet gives them: colonies, services, one bucket a minute, several statistics each.
fn write_files(folder: &Path, name: &str, rows: u64) {
    let db = duckdb::Connection::open_in_memory().unwrap();
    let at = |format: &str| folder.join(format!("{name}.{format}")).display().to_string();
    db.execute_batch(&format!(
        "CREATE TABLE made AS SELECT
           'shop-' || (row % 400 % 8) || '-production' AS colony_id, 'shop-' || (row % 400 % 8) AS application_name,
           'production' AS environment, 'service-' || (row % 400 // 8) AS service_id, 'latency_ms' AS metric_name,
           strftime(make_timestamp((1672531200 + row // 400 * 60) * 1000000), '%Y-%m-%dT%H:%M:%S.000Z') AS timestamp,
           mean AS p50, mean * 2 AS p95, mean * 3 AS p99, mean, mean * 4 AS max, row % 1000 AS count,
           60 AS interval_seconds
         FROM (SELECT range AS row, 10 + hash(range) % 100000 / 997 AS mean FROM range({rows})) ORDER BY row;
         COPY made TO '{}' (FORMAT json); COPY made TO '{}' (FORMAT csv, HEADER); COPY made TO '{}' (FORMAT parquet);",
        at("ndjson"),
        at("csv"),
        at("parquet"),
    ))
    .unwrap();
}

fn measure(folder: &Path, file: &str, rows: u64, correlate: bool) {
    let name = format!("{}-{correlate}", file.replace('.', "-"));
    let text = format!(
        "reef_id = \"bench-a1b2c3\"\n[[sources]]\nkind = \"files\"\nmetrics = [\"{file}\"]\n\
         [storage]\npath = \"{name}.duckdb\"\n[correlation]\nenabled = {correlate}\n"
    );
    let config = parse(&text, Format::Toml, &folder.join("reef.toml")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (region, watch) = (Region::new(ALLOCATOR), stopwatch(&[]));
    let summary = runtime.block_on(async {
        let (options, _controls) = RunOptions::new(SystemClock::shared(), Network::plain());
        run(&config, options).await.unwrap()
    });
    let (took, allocated) = (watch(), region.change());
    assert_eq!(summary.progress.metrics, rows);
    println!(
        "{file:14} correlation {} {:9.0} rows/s  {:6.2} s cpu  {:7.0} bytes and {:5.2} allocations a row",
        if correlate { "on " } else { "off" },
        rows as f64 / took.wall_s,
        took.cpu_s,
        (allocated.bytes_allocated as f64 + allocated.bytes_reallocated.max(0) as f64) / rows as f64,
        allocated.allocations as f64 / rows as f64,
    );
}
