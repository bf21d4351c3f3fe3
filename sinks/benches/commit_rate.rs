//! Commit rate of metric rows: `cargo bench -p coral-sinks --bench commit_rate -- [rows] [rows per commit]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a library")]

use coral_sinks::duckdb::{DuckDbConfig, DuckDbStore};
use coral_sinks::{Commit, Span, StoreWriter, pages};
use model::metric::MetricPoint;
use model::real::Real;
use model::rows::{RollupKey, Rows};
use model::series::{SeriesId, SeriesRef};
use model::time::TimeMs;
use std::collections::BTreeSet;
use std::time::Instant;

fn point(series: usize, minute: usize) -> MetricPoint {
    let colony = series % 6;
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
        mean: Some(Real((series * minute % 997) as f64)),
        p50: Some(Real((series * minute % 991) as f64)),
        p95: Some(Real((series * minute % 983) as f64 * 1.1)),
        p99: Some(Real((series * minute % 977) as f64 * 1.2)),
        max: Some(Real(2_000.0)),
    }
}

/// One measurement.
struct Case {
    name: &'static str,
    file: &'static str,
    /// Rows come series by series, as exports hold them; otherwise minute by minute, as live colonies send them.
    by_series: bool,
    rollups: bool,
}

const CASES: [Case; 4] = [
    Case { name: "minute by minute", file: "a", by_series: false, rollups: true },
    Case { name: "minute by minute, without rollups", file: "b", by_series: false, rollups: false },
    Case { name: "series by series", file: "c", by_series: true, rollups: true },
    Case { name: "minute by minute, the same rows again", file: "a", by_series: false, rollups: true },
];
const SERIES: usize = 300;

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let (rows, rows_per_commit) = (numbers.next().unwrap_or(1_000_000), numbers.next().unwrap_or(50_000));
    let folder = tempfile::tempdir().unwrap();
    for case in CASES {
        let path = folder.path().join(case.file);
        let mut store = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
        let mut seconds = 0.0;
        for tick in 0..rows / rows_per_commit {
            let commit = commit(&case, rows, tick * rows_per_commit..(tick + 1) * rows_per_commit);
            let begun = Instant::now();
            store.commit(&commit).await.unwrap();
            seconds += begun.elapsed().as_secs_f64();
        }
        println!("{}: {rows} rows in {seconds:.2} s, {:.0} rows/s", case.name, rows as f64 / seconds);
        if case.by_series {
            read_back(&store).await;
        }
        let begun = Instant::now();
        Box::new(store).close().await.unwrap();
        let bytes = std::fs::metadata(&path).unwrap().len();
        println!("  closed in {:.2} s, {:.1} MB", begun.elapsed().as_secs_f64(), bytes as f64 / 1e6);
    }
}

fn commit(case: &Case, rows: usize, numbers: std::ops::Range<usize>) -> Commit {
    let minutes = rows / SERIES + 1;
    let place = |row: usize| if case.by_series { (row / minutes, row % minutes) } else { (row % SERIES, row / SERIES) };
    let metrics: Vec<MetricPoint> = numbers.map(place).map(|(series, minute)| point(series, minute)).collect();
    let keys: BTreeSet<RollupKey> = metrics.iter().filter(|_| case.rollups).map(RollupKey::of).collect();
    Commit {
        rows: Rows { metrics: metrics.into(), ..Rows::default() }.into(),
        rollups: keys.into_iter().collect(),
        ..Commit::default()
    }
}

async fn read_back(store: &DuckDbStore) {
    let begun = Instant::now();
    let reader = store.reader();
    let mut pages = pages::<MetricPoint>(&reader, Span::on_time_since(TimeMs(0)), 50_000);
    let mut rows = 0;
    while let Some(page) = pages.next().await.unwrap() {
        rows += page.len();
    }
    println!("  read back {rows} rows in {:.2} s", begun.elapsed().as_secs_f64());
}
