//! Reading beside a run: on both stores several readers see every commit of a run that goes on meanwhile.

use crate::clickhouse::InDatabase;
use crate::stores::clickhouse_storage;
use crate::support::Reef;
use crate::support::clickhouse::Server;
use async_trait::async_trait;
use fixtures::event;
use mesh::Network;
use model::clock::SystemClock;
use model::event::Event;
use model::position::Positions;
use model::rows::Rows;
use model::time::TimeMs;
use pipelines::config::{Format, ReefConfig, parse};
use pipelines::progress::Ended;
use pipelines::run::{RunningReef, drive};
use sinks::{SinkError, Span, StoreReader};
use sources::{Batch, Source, SourceError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const READERS: usize = 3;
const BATCHES: u64 = 12;
/// Events of a batch, and of a tick: each batch is a commit.
const BATCH_EVENTS: u64 = 500;
/// A run and readers that take longer wait for one another.
const LIMIT: Duration = Duration::from_secs(120);

fn row(number: u64) -> Event {
    let word = if number.is_multiple_of(2) { "deploy" } else { "error_spike" };
    Event {
        event_type: word.to_owned(),
        service_id: format!("svc-{}", number % 7),
        ..event("shop-production", &format!("e{number:06}"), TimeMs(1_772_445_600_000 + number as i64 * 30_000))
    }
}

/// Delivers a batch once every reader has seen the one before as stored, and ends once they have seen the last.
struct Paced {
    delivered: u64,
    seen: watch::Receiver<[u64; READERS]>,
}

#[async_trait]
impl Source for Paced {
    fn name(&self) -> &str {
        "paced"
    }

    fn is_finite(&self) -> bool {
        true
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        let delivered = self.delivered;
        // readers that are gone see nothing more: then the run ends, and the test looks at why they left
        let waited = self.seen.wait_for(|seen| seen.iter().all(|seen| *seen >= delivered)).await;
        if waited.is_err() || delivered == BATCHES * BATCH_EVENTS {
            return Ok(None);
        }
        self.delivered += BATCH_EVENTS;
        let events = (delivered..self.delivered).map(row).collect();
        let positions = Positions([("all".to_owned(), self.delivered.to_string())].into());
        Ok(Some(Batch { rows: Rows { events, ..Rows::default() }, positions, ..Batch::default() }))
    }
}

/// Queries until the store is closed; the counts that it has seen, and why it ended.
async fn query(reef: RunningReef, place: usize, seen: Arc<watch::Sender<[u64; READERS]>>) -> (Vec<u64>, String) {
    let reader = reef.reader().await.expect("the run has not ended");
    let mut counts = vec![0];
    loop {
        match query_once(reader.as_ref()).await {
            Ok(events) => {
                if counts.last() != Some(&events) {
                    counts.push(events);
                }
                seen.send_modify(|all| all[place] = events);
            }
            Err(error) => return (counts, model::error::one_line(&error)),
        }
    }
}

/// Counts events, and checks that they can be read.
async fn query_once(reader: &dyn StoreReader) -> Result<u64, SinkError> {
    let events = reader.totals().await?.rows["federated_events"];
    let page = reader.events_in(Span::on_time_since(TimeMs(0)), None, 100).await?;
    assert!(page.len() as u64 >= events.min(100), "what was counted can be read");
    reader.correlations().await?;
    Ok(events)
}

/// A run with readers beside it.
async fn read_beside(config: &ReefConfig) {
    let (reef, options, mut announcer) = RunningReef::new(SystemClock::shared(), Network::plain());
    let store = pipelines::open::store::open(config).await.unwrap();
    announcer.open(store.reader()).await.unwrap();
    let (sender, seen) = watch::channel([0; READERS]);
    let sender = Arc::new(sender);
    let readers: Vec<_> =
        (0..READERS).map(|place| tokio::spawn(query(reef.clone(), place, Arc::clone(&sender)))).collect();
    drop(sender);
    let (summary, store) = drive(config, store, vec![Box::new(Paced { delivered: 0, seen })], options).await.unwrap();
    let all = BATCHES * BATCH_EVENTS;
    assert_eq!((summary.ended, summary.progress.events), (Ended::InputFinished, all));
    store.close().await.unwrap();
    drop(announcer);
    assert!(reef.reader().await.is_none(), "the run is over");
    let expected: Vec<u64> = (0..=BATCHES).map(|batch| batch * BATCH_EVENTS).collect();
    for reader in readers {
        let (counts, end) = reader.await.unwrap();
        assert_eq!(counts, expected, "each commit is seen whole and in order, then: {end}");
    }
    let reader: Arc<dyn StoreReader> = pipelines::open::store::open_for_reading(config).await.unwrap();
    assert_eq!(reader.totals().await.unwrap().rows["federated_events"], all);
}

fn run(storage: Option<&str>) {
    let body = format!(
        "[[sources]]\nkind = \"files\"\nevents = [\"unused.ndjson\"]\n[engine]\ntick_rows_max = {BATCH_EVENTS}\n"
    );
    let reef = match storage {
        Some(storage) => Reef::with_storage(&body, storage),
        None => Reef::new(&body),
    };
    let text =
        std::fs::read_to_string(reef.config()).unwrap().replace("\"reef.duckdb\"", &format!("{:?}", reef.store()));
    let config = parse(&text, Format::Toml, reef.config()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ended = runtime.block_on(async { tokio::time::timeout(LIMIT, read_beside(&config)).await });
    assert!(ended.is_ok(), "the run and its readers wait for one another");
}

#[test]
fn readers_see_every_commit_of_a_run_on_duckdb() {
    run(None);
}

#[test]
fn readers_see_every_commit_of_a_run_on_clickhouse() {
    let Some(server) = Server::any() else { return };
    let database = InDatabase::new(&server);
    run(Some(&clickhouse_storage(&server, database.name())));
}
