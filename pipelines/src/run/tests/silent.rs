//! Time passes where live colonies were read and had nothing to say, and results stay a function of what is stored.

use super::restored::{deployments, foretold, read};
use super::*;
use crate::clock::CLOCK_NAME;
use model::derived::Value;
use model::pattern::Correlation;
use model::time::HOUR_MS;
use operators::predictions::PREDICTIONS;
use sinks::schema::DERIVED;
use std::collections::VecDeque;

const SOURCE: &str = "shop-production";
const TARGET: &str = "pay-production";

/// These batches.
struct Delivered(VecDeque<Batch>);

#[async_trait]
impl Source for Delivered {
    fn name(&self) -> &str {
        "delivered"
    }
    fn is_finite(&self) -> bool {
        true
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        Ok(self.0.pop_front())
    }
}

/// A run over these batches of the two colonies.
async fn deliver(store: &MemoryStore, batches: Vec<Batch>) {
    deliver_of(store, &[SOURCE, TARGET], batches).await;
}

/// A run over these batches; only these colonies are configured.
async fn deliver_of(store: &MemoryStore, colonies: &[&str], batches: Vec<Batch>) {
    let colony = |id: &&str| format!("[[colonies]]\ncolony_id = \"{id}\"\nendpoint = \"http://127.0.0.1:9\"\n");
    let colonies: Vec<String> = colonies.iter().map(colony).collect();
    let text = format!("reef_id = \"r\"\n[engine]\nworkers = 1\n{}", colonies.concat());
    let config = parse(&text, Format::Toml, Path::new("reef.toml")).unwrap();
    let (options, _controls) = options();
    let source: Box<dyn Source> = Box::new(Delivered(batches.into()));
    drive(&config, Box::new(store.clone()), vec![source], options).await.unwrap();
}

/// The last deployment, which no error follows, and when it ended.
fn alone() -> (Batch, TimeMs) {
    let events: Vec<Event> =
        deployments(199..200).into_iter().filter(|event| event.event_type != "error_spike").collect();
    let at = events.iter().map(|event| event.timestamp).max().unwrap();
    (Batch { rows: Rows { events, ..Rows::default() }, ..Batch::default() }, at)
}

/// A colony was read up to so many hours after that.
fn silence(colony_id: &str, hours: i64) -> Batch {
    Batch { observed_to: Some((colony_id.to_owned(), alone().1 + hours * HOUR_MS)), ..Batch::default() }
}

async fn patterns(store: &MemoryStore) -> Vec<Correlation> {
    store.reader().correlations().await.unwrap()
}

/// What became of the predictions that the last deployment opened, and how many cases of patterns are open.
async fn outcomes(store: &MemoryStore) -> (Vec<Value>, u32) {
    let table = DERIVED.iter().find(|derived| derived.table.name == PREDICTIONS).unwrap();
    let rows = store.reader().rows_of(table, None, 10_000).await.unwrap().rows();
    let of_source = rows.into_iter().filter(|row| matches!(&row[3], Value::Text(id) if id.ends_with("-199")));
    let outcomes = of_source.map(|row| row[12].clone()).collect();
    (outcomes, patterns(store).await.iter().map(|pattern| pattern.open_count).sum())
}

#[tokio::test]
async fn a_target_that_does_not_come_is_missed_once_silent_colonies_were_read_beyond_its_time() {
    let cases: [(&[(&str, i64)], &str); 5] = [
        (&[], "open"),
        (&[(SOURCE, 20), (TARGET, 20)], "miss"),
        (&[(SOURCE, 20), (TARGET, 0)], "open"),
        (&[(SOURCE, 20)], "void"),
        // an import: nobody was there when it happened
        (&[(SOURCE, 9_000), (TARGET, 9_000)], "open"),
    ];
    for (reads, expected) in cases {
        let store = MemoryStore::new();
        read(&store, deployments(0..199)).await;
        let reads = reads.iter().map(|(colony_id, hours)| silence(colony_id, *hours));
        deliver(&store, std::iter::once(alone().0).chain(reads).collect()).await;
        let (found, open) = outcomes(&store).await;
        assert!(!found.is_empty(), "{expected}");
        assert!(found.iter().all(|outcome| *outcome == Value::Text(expected.to_owned())), "{expected}: {found:?}");
        assert_eq!(open > 0, expected == "open", "{open} cases are open: {expected}");
    }
}

#[tokio::test]
async fn a_colony_that_is_not_configured_any_more_changes_nothing_of_the_past() {
    let store = MemoryStore::new();
    read(&store, deployments(0..199)).await;
    deliver(&store, vec![alone().0, silence(SOURCE, 20), silence(TARGET, 20)]).await;
    let expected = (outcomes(&store).await, patterns(&store).await);
    assert!(expected.0.0.contains(&Value::Text("miss".to_owned())));
    for configured in [SOURCE, "other-production"] {
        deliver_of(&store, &[configured], Vec::new()).await;
        assert_eq!((outcomes(&store).await, patterns(&store).await), expected, "{configured}");
    }
}

/// Patterns, current predictions, and the clock.
async fn ended(store: &MemoryStore) -> (Vec<Correlation>, Vec<Vec<Value>>, Positions) {
    (patterns(store).await, foretold(store).await.0, store.tables().positions[CLOCK_NAME].clone())
}

#[tokio::test]
async fn order_and_restarts_change_nothing_of_what_silence_says() {
    let of = |reads: &[(&str, i64)]| -> Vec<Batch> {
        reads.iter().map(|(colony_id, hours)| silence(colony_id, *hours)).collect()
    };
    let interleaved = of(&[(SOURCE, 1), (TARGET, 2), (SOURCE, 9), (TARGET, 7), (SOURCE, 20), (TARGET, 19)]);
    let in_turn = of(&[(TARGET, 2), (TARGET, 7), (TARGET, 19), (SOURCE, 1), (SOURCE, 9), (SOURCE, 20)]);
    let base = async || {
        let store = MemoryStore::new();
        read(&store, deployments(0..199)).await;
        store
    };
    let in_one_run = base().await;
    deliver(&in_one_run, std::iter::once(alone().0).chain(interleaved.clone()).collect()).await;
    let expected = ended(&in_one_run).await;
    assert!(!expected.0.is_empty() && expected.1.len() >= 10);

    let restarted = base().await;
    for batch in std::iter::once(alone().0).chain(interleaved) {
        deliver(&restarted, vec![batch]).await;
    }
    deliver(&restarted, Vec::new()).await;
    assert_eq!(ended(&restarted).await, expected);

    let otherwise = base().await;
    deliver(&otherwise, in_turn.clone().into_iter().chain([alone().0]).collect()).await;
    assert_eq!(ended(&otherwise).await, expected);

    // the same rows and the same silence at once
    let whole = MemoryStore::new();
    let rows = Rows { events: deployments(0..199), ..Rows::default() };
    let all = [Batch { rows, ..Batch::default() }, alone().0].into_iter().chain(in_turn).collect();
    deliver(&whole, all).await;
    let (patterns, _, clock) = ended(&whole).await;
    assert_eq!((patterns, clock), (expected.0, expected.2));
}
