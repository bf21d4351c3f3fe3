//! Reading beside a run: on both stores a reader queries while the run commits, and neither waits for the other.

use crate::clickhouse::InDatabase;
use crate::stores::clickhouse_storage;
use crate::support::clickhouse::Server;
use crate::support::{Reef, files_source};
use mesh::Network;
use model::clock::SystemClock;
use pipelines::config::{Format, ReefConfig, parse};
use pipelines::progress::Ended;
use pipelines::run::{RunningReef, run_announced};
use sinks::{SinkError, Span, StoreReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EVENTS: u64 = 30_000;
const TICK_ROWS: u64 = 500;

fn events(folder: &Path) -> PathBuf {
    let line = |n: u64| {
        let (service, word) = (n % 7, if n.is_multiple_of(2) { "deploy" } else { "error_spike" });
        let at = 1_772_445_600_000 + n * 30_000;
        format!(
            "{{\"event_id\":\"e{n:06}\",\"colony_id\":\"shop-production\",\"timestamp\":{at},\"event_type\":\"{word}\",\
             \"service_id\":\"svc-{service}\"}}\n"
        )
    };
    let path = folder.join("events.ndjson");
    std::fs::write(&path, (0..EVENTS).map(line).collect::<String>()).unwrap();
    path
}

/// What a reader saw of a run.
struct Seen {
    answers: u64,
    /// Different states of the store.
    states: u64,
    /// Why it ended: the store was closed.
    end: String,
}

/// Queries until the reef ends.
async fn query(reef: RunningReef) -> Seen {
    let mut seen = Seen { answers: 0, states: 0, end: "the run was over".to_owned() };
    let Some(reader) = reef.reader().await else { return seen };
    let mut before = 0;
    loop {
        if let Err(error) = query_once(reader.as_ref(), &mut before, &mut seen).await {
            seen.end = model::error::one_line(&error);
            return seen;
        }
    }
}

/// Counts events, and checks that they can be read.
async fn query_once(reader: &dyn StoreReader, before: &mut u64, seen: &mut Seen) -> Result<(), SinkError> {
    let events = reader.totals().await?.rows["federated_events"];
    assert!(events >= *before, "rows stay: {before}, then {events}");
    seen.answers += 1;
    seen.states += u64::from(events > *before);
    *before = events;
    let page = reader.events_in(Span::on_time_since(model::time::TimeMs(0)), None, 100).await?;
    assert!(page.len() as u64 >= events.min(100), "what was counted can be read");
    reader.correlations().await?;
    Ok(())
}

/// A run with readers beside it.
async fn read_beside(config: &ReefConfig) {
    let (reef, options, announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
    let readers: Vec<_> = (0..3).map(|_| tokio::spawn(query(reef.clone()))).collect();
    let summary = run_announced(config, options, announcer).await.unwrap();
    assert_eq!((summary.ended, summary.progress.events), (Ended::InputFinished, EVENTS));
    assert!(reef.reader().await.is_none(), "the run is over");
    for reader in readers {
        let Seen { answers, states, end } = reader.await.unwrap();
        assert!(answers > 0 && states > 0, "{answers} answers of {states} states during the run, then: {end}");
    }
    let reader: Arc<dyn StoreReader> = pipelines::open::store::open_for_reading(config).await.unwrap();
    assert_eq!(reader.totals().await.unwrap().rows["federated_events"], EVENTS);
}

fn run(storage: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let body = format!("{}[engine]\ntick_rows_max = {TICK_ROWS}\n", files_source(&[&events(folder.path())], &[]));
    let reef = match storage {
        Some(storage) => Reef::with_storage(&body, storage),
        None => Reef::new(&body),
    };
    let text =
        std::fs::read_to_string(reef.config()).unwrap().replace("\"reef.duckdb\"", &format!("{:?}", reef.store()));
    let config = parse(&text, Format::Toml, reef.config()).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(read_beside(&config));
}

#[test]
fn readers_query_duckdb_while_a_run_commits() {
    run(None);
}

#[test]
fn readers_query_clickhouse_while_a_run_commits() {
    let Some(server) = Server::any() else { return };
    let database = InDatabase::new(&server);
    run(Some(&clickhouse_storage(&server, database.name())));
}
