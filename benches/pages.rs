//! Pages of a large DuckDB store, which a restart, a replay and `publish` read:
//! `cargo bench --workspace --bench pages -- [rows]`, by default two million buckets.
//!
//! The buckets are written by SQL in both orders that occur: as they arrive, and series by series, as whole files of a
//! series are read. Pages are read at the beginning, in the middle and near the end.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

mod stopwatch;

use model::metric::MetricPoint;
use model::series::{SeriesId, SeriesRef};
use model::time::{MINUTE_MS, TimeMs};
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use sinks::{Span, StoreWriter, pages};
use std::path::Path;
use stopwatch::{Took, machine, stopwatch};

const ROWS_DEFAULT: u64 = 2_000_000;
const SERIES: u64 = 1_000;
const START: TimeMs = TimeMs(1_767_225_600_000); // 2026-01-01T00:00:00Z
/// As a replay reads them.
const PAGE_ROWS: usize = 10_000;
/// Pages that are read at each place.
const PAGES: usize = 20;

/// The number of a row's series and its minute, by the row's number `i`.
const ORDERS: [(&str, &str, &str); 2] =
    [("by time", "i % SERIES", "i // SERIES"), ("series by series", "i // MINUTES", "i % MINUTES")];

/// Writes the buckets; returns the size of the file.
async fn write(path: &Path, minutes: u64, (series, minute): (&str, &str)) -> u64 {
    Box::new(DuckDbStore::open(DuckDbConfig::at(path)).await.unwrap()).close().await.unwrap();
    let sql = format!(
        "INSERT INTO metric_series
         SELECT i, 'shop-production', 'shop', 'production', 'service-' || (i // 10), 'metric-' || (i % 10), 60 FROM range({SERIES}) t(i);
         INSERT INTO metric_buckets BY NAME
         SELECT ({series})::UINTEGER AS series_id, make_timestamp({} + ({minute}) * 60000000) AS timestamp,
                (hash(i) % 100000) / 997.0 AS p50, p50 * 2 AS p95, p50 * 3 AS p99, p50 AS mean, p50 * 4 AS max_value,
                60 AS sample_count, false AS late, make_timestamp({}) AS stored_at
         FROM range({}) t(i);
         CHECKPOINT",
        START.0 * 1_000,
        START.0 * 1_000,
        SERIES * minutes,
    );
    let sql = sql.replace("SERIES", &SERIES.to_string()).replace("MINUTES", &minutes.to_string());
    duckdb::Connection::open(path).unwrap().execute_batch(&sql).unwrap();
    std::fs::metadata(path).unwrap().len()
}

/// A bucket before this minute.
fn before(minute: u64) -> MetricPoint {
    let names = SeriesRef {
        colony_id: "",
        application_name: "",
        environment: "",
        service_id: "",
        metric_name: "",
        interval_seconds: Some(60),
    };
    let timestamp = START + i64::try_from(minute).unwrap() * MINUTE_MS;
    MetricPoint { series: SeriesId::of(names), timestamp, ..MetricPoint::default() }
}

/// Reads some pages from a minute on: how long each took.
async fn read(path: &Path, minute: u64) -> Vec<Took> {
    let store = DuckDbStore::open(DuckDbConfig::at(path)).await.unwrap();
    let reader = store.reader();
    let span = Span { from: TimeMs(0), to: None, with_late: false };
    let mut pages = pages::<MetricPoint>(&reader, span, PAGE_ROWS).after(Some(before(minute)));
    let mut took = Vec::new();
    for _ in 0..PAGES {
        let watch = stopwatch(&[]);
        let page = pages.next().await.unwrap().unwrap();
        took.push(watch());
        assert!(!page.is_empty() && page.len() <= PAGE_ROWS);
    }
    drop(reader);
    Box::new(store).close().await.unwrap();
    took
}

#[tokio::main]
async fn main() {
    // `cargo test --all-targets` starts benches too
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rows = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(ROWS_DEFAULT);
    let minutes = rows / SERIES;
    println!("{}: {} buckets of {SERIES} series, pages of {PAGE_ROWS}", machine(), minutes * SERIES);
    for (name, series, minute) in ORDERS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reef.duckdb");
        let watch = stopwatch(&[]);
        let bytes = write(&path, minutes, (series, minute)).await;
        println!("{name}: {} MiB, written in {:.0} s", bytes >> 20, watch().wall_s);
        let last_pages = u64::try_from(PAGES * PAGE_ROWS).unwrap() / SERIES + 1;
        for (place, minute) in [("first", 0), ("middle", minutes / 2), ("last", minutes.saturating_sub(last_pages))] {
            let mut pages = read(&path, minute).await;
            pages.sort_by(|a, b| a.wall_s.total_cmp(&b.wall_s));
            let cpu_s: f64 = pages.iter().map(|page| page.cpu_s).sum::<f64>() / PAGES as f64;
            let (median, longest) = (pages[PAGES / 2].wall_s, pages[PAGES - 1].wall_s);
            println!(
                "  {place:6} pages: median {median:.3} s, longest {longest:.3} s, {cpu_s:.3} s of processor time each"
            );
        }
    }
}
