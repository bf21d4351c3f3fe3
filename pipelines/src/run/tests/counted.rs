//! What a run counts agrees with the rows of its store, and progress and summary say the same.

use super::*;
use crate::instruments::Instruments;
use crate::open::store;
use crate::run::run;
use model::exposition::Exposition;
use model::instruments::Registry;
use std::fmt::Write;

fn exposed(registry: &Registry) -> Exposition {
    let text = registry.text();
    Exposition::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Files of three colonies with events, metrics, and records that are refused for several reasons.
fn reef_of_files(folder: &Path) -> ReefConfig {
    let (mut events, mut metrics) = (String::new(), String::from("colony_id,application_name,environment,service_id,"));
    metrics += "metric_name,timestamp,p50,p95,p99,mean,max,count,interval_seconds\n";
    for number in 0..300_i64 {
        let (colony, at) = (number % 3, 1_772_445_600_000 + number * 60_000);
        writeln!(
            events,
            r#"{{"event_id":"e{number}","colony_id":"shop-{colony}","timestamp":{at},"event_type":"deploy","service_id":"api"}}"#
        )
        .unwrap();
        let time = TimeMs(at);
        writeln!(metrics, "shop-{colony},shop,prod,api,latency_ms,{time},1,2,3,1.5,4,10,60").unwrap();
    }
    // three that are no records, one without an id, one of another age
    events += "{\nnothing\n[1]\n{\"colony_id\":\"shop-1\",\"timestamp\":1772445600000,\"event_type\":\"x\",\"service_id\":\"a\"}\n";
    events += r#"{"event_id":"old","colony_id":"shop-1","timestamp":"1971-01-01T00:00:00Z","event_type":"x","service_id":"a"}"#;
    metrics += "shop-1,shop,prod,api,latency_ms,2026-03-02T10:00:00Z,9,2,3,1.5,4,10,60\n";
    std::fs::write(folder.join("e.ndjson"), events + "\n").unwrap();
    std::fs::write(folder.join("m.csv"), metrics).unwrap();
    let text = "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\nmetrics = [\"m.csv\"]\n\
                [storage]\npath = \"reef.duckdb\"\n[engine]\nworkers = 1\ntick_rows_max = 100\n";
    let mut config = parse(text, Format::Toml, &folder.join("reef.toml")).unwrap();
    config.storage.kind = crate::config::StorageKind::DuckDb { path: folder.join("reef.duckdb") };
    config.base_dir = folder.to_owned();
    config
}

#[tokio::test]
async fn what_a_run_over_files_counts_agrees_with_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let config = reef_of_files(folder.path());
    let (options, _controls) = options();
    let registry = options.registry.clone();
    let summary = run(&config, options).await.unwrap();
    let totals = store::open_for_reading(&config).await.unwrap().totals().await.unwrap();
    let read = exposed(&registry);
    let stored = |table: &str| totals.rows[table] as f64;
    assert_eq!((stored("federated_events"), stored("federated_metrics")), (300.0, 300.0));
    for (kind, table) in [("events", "federated_events"), ("metrics", "federated_metrics")] {
        assert_eq!(read.sum("reef_rows_total", &[("kind", kind), ("source", "files")]), stored(table));
        assert_eq!(read.sum("reef_committed_rows_total", &[("kind", kind)]), stored(table));
        assert_eq!(read.sum("reef_store_rows", &[("table", table)]), stored(table));
        for colony in ["shop-0", "shop-1", "shop-2"] {
            assert_eq!(read.sum("reef_rows_total", &[("kind", kind), ("colony", colony)]), 100.0);
        }
    }
    assert!(totals.rejects.len() >= 3, "{:?}", totals.rejects);
    for (reason, rows) in &totals.rejects {
        assert_eq!(read.sum("reef_rejects_total", &[("reason", reason)]), *rows as f64, "{reason}");
    }
    assert_eq!(read.sum("reef_rejects_total", &[]), stored("rejects"));
    // the summary says the same
    let progress = &summary.progress;
    assert_eq!((progress.events, progress.metrics, progress.rejects), (300, 300, totals.rows["rejects"]));
    assert_eq!(summary.rejects_by_reason, totals.rejects);
    assert_eq!(read.sum("reef_ticks_total", &[]), progress.ticks as f64);
    assert_eq!(read.sum("reef_commit_duration_seconds_count", &[]), progress.ticks as f64);
    let newest = progress.event_time.unwrap();
    assert_eq!(read.sum("reef_event_timestamp_seconds", &[]), newest.0 as f64 / 1_000.0);
    assert_eq!(read.sum("reef_source_event_timestamp_seconds", &[("source", "files")]), newest.0 as f64 / 1_000.0);
    assert!(read.sum("reef_evaluation_duration_seconds_count", &[]) >= 1.0);
    assert_eq!(read.sum("reef_evaluated_timestamp_seconds", &[("kind", "events")]), newest.0 as f64 / 1_000.0);
    assert_eq!((read.samples("reef_queue_bytes").len(), read.sum("reef_queue_bytes", &[])), (3, 0.0));
    assert!(read.sum("reef_store_bytes", &[]) > 0.0);
    let used = read.sum("reef_memory_used_bytes", &[]);
    assert!(used > 0.0 && read.sum("reef_memory_limit_bytes", &[]) > 0.0);
    assert_eq!(read.sum("reef_input_bytes", &[]), progress.bytes.unwrap().1 as f64);
    assert_eq!(read.sum("reef_phase", &[]), 2.0, "it has drained");
    let page = include_str!("../../../../docs/counted.md");
    for family in read.families() {
        assert!(family.starts_with("reef_") && page.contains(&format!("`{family}")), "docs/counted.md lacks {family}");
    }
}

/// A live source: rows in order, and at the end some that are hours late.
struct WithLateOnes(i64);

#[async_trait]
impl Source for WithLateOnes {
    fn name(&self) -> &str {
        "colony-events:shop-production"
    }
    fn is_finite(&self) -> bool {
        false
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        self.0 += 1;
        let events = match self.0 {
            1..=20 => vec![event(self.0 * 60), event(self.0 * 60 + 1)],
            21 => (2..7).map(event).collect(),
            _ => return Ok(None),
        };
        let positions = Positions([("all".to_owned(), self.0.to_string())].into());
        Ok(Some(Batch { rows: Rows { events, ..Rows::default() }, positions, ..Batch::default() }))
    }
}

#[tokio::test]
async fn late_rows_and_commits_that_are_tried_again_are_counted() {
    let inner = MemoryStore::new();
    let (options, _controls) = options();
    let registry = options.registry.clone();
    let store = Faulty { fails_first: 2, ..Faulty::over(&inner) };
    let sources: Vec<Box<dyn Source>> = vec![Box::new(WithLateOnes(0))];
    let (summary, _) = drive(&config(), Box::new(store), sources, options).await.unwrap();
    let read = exposed(&registry);
    assert_eq!(read.sum("reef_late_rows_total", &[("kind", "events"), ("source", "colony-events")]), 5.0);
    assert_eq!((summary.progress.late, summary.progress.late_from), (5, Some(event(2).timestamp)));
    assert_eq!(read.sum("reef_late_rows_from_timestamp_seconds", &[]), event(2).timestamp.0 as f64 / 1_000.0);
    let committed = |kind| read.sum("reef_committed_rows_total", &[("kind", kind)]);
    assert_eq!((committed("events"), committed("late_events")), (40.0, 5.0));
    assert_eq!(read.sum("reef_rows_total", &[]), 45.0);
    assert_eq!(inner.tables().events.len(), 45);
    assert_eq!(read.sum("reef_commit_retries_total", &[]), 2.0);
    assert_eq!(read.sum("reef_ticks_total", &[]), summary.progress.ticks as f64);
}

#[tokio::test]
async fn rows_that_lose_against_stored_ones_are_counted() {
    let inner = MemoryStore::new();
    let greater = Event { description: "z".to_owned(), ..event(3) };
    let rows = Rows { events: vec![greater], ..Rows::default() };
    inner.clone().commit(&Commit { rows: rows.into(), ..Commit::default() }).await.unwrap();
    let (options, _controls) = options();
    let registry = options.registry.clone();
    let source = Counting { delivered: 0, in_all: 5, panics_at: None, description_bytes: 0 };
    let (summary, _) = drive(&config(), Box::new(inner), vec![Box::new(source)], options).await.unwrap();
    assert_eq!(summary.outcome.not_taken, 1);
    assert_eq!(exposed(&registry).sum("reef_rows_not_applied_total", &[("reason", "not_taken")]), 1.0);
}

#[tokio::test]
async fn a_panic_is_counted() {
    let (options, _controls) = options();
    let registry = options.registry.clone();
    let source = Counting { delivered: 0, in_all: 9, panics_at: Some(4), description_bytes: 0 };
    let ended = drive(&config(), Box::new(MemoryStore::new()), vec![Box::new(source)], options).await;
    assert!(matches!(ended.map(|(summary, _)| summary), Err(RunError::SourcePanicked { .. })));
    assert_eq!(exposed(&registry).sum("reef_panics_total", &[("component", "source")]), 1.0);
}

/// However many colonies there are, and whatever they are called.
#[test]
fn labels_of_a_run_are_bounded() {
    let registry = Registry::new();
    let instruments = Instruments::of(&registry, &SystemClock::shared());
    let colonies = 3 * model::instruments::LABELS_MAX;
    for number in 0..colonies {
        let event = Event { colony_id: format!("shop-{number}\"\n"), ..event(1) };
        let rows = Rows { events: vec![event], ..Rows::default() };
        let source = format!("colony-events:shop-{number}\"\n");
        instruments.read(&source, &rows, &[]);
        instruments.judged(&source, &rows, &Rows::default());
    }
    let read = exposed(&registry);
    assert_eq!(instruments.progress().events, colonies as u64);
    assert_eq!(read.sum("reef_rows_total", &[("source", "colony-events")]), colonies as f64);
    assert!(read.samples_max() <= model::instruments::LABELS_MAX + 1, "{}", read.samples_max());
}
