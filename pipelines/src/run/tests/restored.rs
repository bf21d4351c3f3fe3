//! A restart rebuilds from stored rows what a run that was never stopped knows, also of before the look-back.

use super::*;
use crate::open::params;
use model::derived::{DerivedChange, Value};
use model::pattern::Correlation;
use model::time::DAY_MS;
use operators::deployments::TIMELINE;
use operators::predictions::{PATTERN_DAYS, PREDICTIONS, current_since};
use sinks::compliance::commit_of;
use sinks::prediction_revisions::{PREDICTION_REVISIONS, predictions_at};
use sinks::schema::DERIVED;
use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

/// These events, ten at a time.
struct Given(Vec<Event>);

#[async_trait]
impl Source for Given {
    fn name(&self) -> &str {
        "given"
    }
    fn is_finite(&self) -> bool {
        true
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        let events: Vec<Event> = self.0.drain(..self.0.len().min(10)).collect();
        let positions = Positions([("left".to_owned(), self.0.len().to_string())].into());
        let rows = Rows { events, ..Rows::default() };
        Ok((!rows.is_empty()).then_some(Batch { rows, positions, ..Batch::default() }))
    }
}

/// Two deployments a day, each reported when it starts and when it ends, and errors elsewhere after most of them.
fn deployments(numbers: Range<i64>) -> Vec<Event> {
    let start = TimeMs(1_700_000_000_000 / DAY_MS * DAY_MS);
    let of = |colony: &str, event_type: &str, number: i64, minute: i64| Event {
        event_type: event_type.to_owned(),
        metadata: [("version".to_owned(), format!("v{number}"))].into(),
        ..fixtures::event(colony, &format!("{event_type}-{number}"), start + minute * MINUTE_MS)
    };
    let reported = |number: i64| {
        let minute = number * 720 + number * 7_919 % 641;
        let mut events = vec![
            of("shop-production", "deployment.started", number, minute),
            of("shop-production", "deployment.finished", number, minute + 8),
        ];
        if number % 7 > 0 {
            events.push(of("pay-production", "error_spike", number, minute + 40 + number % 5));
        }
        events
    };
    numbers.flat_map(reported).collect()
}

async fn read(store: &MemoryStore, events: Vec<Event>) {
    let (options, _controls) = options();
    let mut config = config();
    config.engine.tick_rows_max = 50;
    drive(&config, Box::new(store.clone()), vec![Box::new(Given(events))], options).await.unwrap();
}

/// Patterns, and the timeline of deployments.
async fn known(store: &MemoryStore) -> (Vec<Correlation>, Vec<Vec<Value>>) {
    let reader = store.reader();
    let table = DERIVED.iter().find(|derived| derived.table.name == TIMELINE).unwrap();
    let timeline = reader.rows_of(table, None, 10_000).await.unwrap().rows();
    (reader.correlations().await.unwrap(), timeline)
}

#[tokio::test]
async fn a_restarted_run_knows_what_one_that_was_never_stopped_knows() {
    let in_one_run = MemoryStore::new();
    read(&in_one_run, deployments(0..200)).await;
    let expected = known(&in_one_run).await;
    assert_eq!(expected.1.len(), 200, "all of them, also those from before the look-back of patterns");
    assert!(!expected.0.is_empty());
    let restarted = MemoryStore::new();
    for part in [0..90, 90..91, 91..200, 200..200] {
        read(&restarted, deployments(part)).await;
    }
    assert_eq!(known(&restarted).await, expected);
    // the end of a deployment arrives after the restart
    let amended = MemoryStore::new();
    let (ends, others): (Vec<Event>, Vec<Event>) = deployments(0..200)
        .into_iter()
        .partition(|event| event.event_type == "deployment.finished" && event.event_id.ends_with('7'));
    read(&amended, others).await;
    assert_ne!(known(&amended).await.1, expected.1);
    read(&amended, ends).await;
    assert_eq!(known(&amended).await, expected);
}

/// The predictions and the days of patterns that are kept current, and those from before.
async fn foretold(store: &MemoryStore) -> (Vec<Vec<Value>>, Vec<Vec<Value>>) {
    let now = deployments(0..200).iter().map(|event| event.timestamp).max().unwrap();
    // a day later than needed: the newest event is not now where it is alone on its day
    let since = current_since(&params::from_config(&config()).events, now) + DAY_MS;
    let mut all = Vec::new();
    for name in [PREDICTIONS, PATTERN_DAYS] {
        let table = DERIVED.iter().find(|derived| derived.table.name == name).unwrap();
        all.extend(store.reader().rows_of(table, None, 10_000).await.unwrap().rows());
    }
    all.into_iter().partition(|row| {
        let time = row.iter().find_map(|value| if let Value::Time(time) = value { Some(*time) } else { None });
        time.unwrap() >= since
    })
}

/// A stored prediction that no evaluation knows.
fn unknown(id: &str, issued_at: TimeMs) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut row: Vec<Value> =
        [id, "c-1", "shop-production", "e", "pay-production", "web", "error_spike"].map(text).to_vec();
    row.extend([0, 1, 2, 3].map(|hour| Value::Time(issued_at + hour * 60 * MINUTE_MS)));
    row.extend([Value::Real(Real(0.5)), text("open"), Value::Null, Value::Null]);
    row.extend(["web", "deploy", "shop", "production", "pay", "production"].map(text));
    row.push(Value::Real(Real(0.1)));
    row
}

#[tokio::test]
async fn a_restarted_run_predicts_what_one_that_was_never_stopped_predicts() {
    let in_one_run = MemoryStore::new();
    read(&in_one_run, deployments(0..200)).await;
    let (expected, _) = foretold(&in_one_run).await;
    assert!(expected.len() >= 10, "{}", expected.len());
    let restarted = MemoryStore::new();
    for part in [0..90, 90..91, 91..197] {
        read(&restarted, deployments(part)).await;
    }
    // what is stored and no longer true is removed; what was open for long has no outcome
    let now = deployments(0..197).iter().map(|event| event.timestamp).max().unwrap();
    let (recent, old) = (unknown("p-recent", now - 2 * DAY_MS), unknown("p-old", now - 60 * DAY_MS));
    let change =
        DerivedChange { table: PREDICTIONS.to_owned(), upserts: vec![recent, old.clone()], removed: Vec::new() };
    let mut store = restarted.clone();
    store.commit(&Commit { derived: vec![change], ..commit_of(1_000, Rows::default()) }).await.unwrap();
    for part in [197..200, 200..200] {
        read(&restarted, deployments(part)).await;
    }
    let (found, earlier) = foretold(&restarted).await;
    assert_eq!(found, expected);
    let stale = earlier.iter().find(|row| row[0] == old[0]).unwrap();
    assert_eq!(stale[12], Value::Text("void".to_owned()));
}

#[tokio::test]
async fn the_history_of_predictions_ends_with_what_is_stored_and_a_restart_adds_nothing() {
    let store = MemoryStore::new();
    for part in [0..150, 150..200] {
        read(&store, deployments(part)).await;
    }
    let rows = async |name: &str| {
        let table = DERIVED.iter().find(|derived| derived.table.name == name).unwrap();
        store.reader().rows_of(table, None, 10_000).await.unwrap().rows()
    };
    let (said, stored) = (rows(PREDICTION_REVISIONS).await, rows(PREDICTIONS).await);
    assert!(stored.len() >= 10 && said.len() >= stored.len(), "{} of {}", said.len(), stored.len());
    let known = async |at: TimeMs| predictions_at(store.reader().as_ref(), at).await.unwrap();
    assert_eq!(known(TimeMs(i64::MAX)).await, stored);
    assert!(known(TimeMs(0)).await.is_empty());
    read(&store, deployments(200..200)).await;
    assert_eq!(rows(PREDICTION_REVISIONS).await, said);
}

#[tokio::test]
async fn what_a_run_stored_and_could_not_say_the_next_one_says() {
    let mut store = MemoryStore::new();
    read(&store, deployments(0..190)).await;
    let rows = async |store: &MemoryStore, name: &str| {
        let table = DERIVED.iter().find(|derived| derived.table.name == name).unwrap();
        store.reader().rows_of(table, None, 10_000).await.unwrap().rows()
    };
    let known = async |store: &MemoryStore| predictions_at(store.reader().as_ref(), TimeMs(i64::MAX)).await.unwrap();
    // as a replay leaves it that is cut off before its end
    let removed = rows(&store, PREDICTION_REVISIONS).await.iter().map(|row| row[..2].to_vec()).collect();
    let change = DerivedChange { table: PREDICTION_REVISIONS.to_owned(), upserts: Vec::new(), removed };
    store.commit(&Commit { derived: vec![change], ..commit_of(1_000, Rows::default()) }).await.unwrap();
    assert!(known(&store).await.is_empty());
    read(&store, deployments(190..200)).await;
    let stored = rows(&store, PREDICTIONS).await;
    assert!(stored.len() >= 10, "{}", stored.len());
    assert_eq!(known(&store).await, stored);
}

/// One batch, and then nothing, without an end.
struct Alone(Option<Vec<Event>>);

#[async_trait]
impl Source for Alone {
    fn name(&self) -> &str {
        "alone"
    }
    fn is_finite(&self) -> bool {
        false
    }
    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        let Some(events) = self.0.take() else { return std::future::pending().await };
        let positions = Positions([("all".to_owned(), "1".to_owned())].into());
        Ok(Some(Batch { rows: Rows { events, ..Rows::default() }, positions, ..Batch::default() }))
    }
}

/// Of a pattern that is known only its source happens.
#[tokio::test]
async fn a_source_that_comes_alone_opens_a_prediction_while_the_run_goes_on() {
    let store = MemoryStore::new();
    read(&store, deployments(0..199)).await;
    let outcomes = async || {
        let table = DERIVED.iter().find(|derived| derived.table.name == PREDICTIONS).unwrap();
        let rows = store.reader().rows_of(table, None, 10_000).await.unwrap().rows();
        let of_source = rows.into_iter().filter(|row| matches!(&row[3], Value::Text(id) if id.ends_with("-199")));
        of_source.map(|row| row[12].clone()).collect::<Vec<Value>>()
    };
    assert_eq!(outcomes().await, []);
    let source = deployments(199..200).into_iter().filter(|event| event.event_type != "error_spike").collect();
    let (options, controls) = options();
    let config = config();
    let mut run = pin!(drive(&config, Box::new(store.clone()), vec![Box::new(Alone(Some(source)))], options));
    let opened = async {
        loop {
            let found = outcomes().await;
            if !found.is_empty() {
                break found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::select! {
        ended = &mut run => panic!("the run has ended: {:?}", ended.err()),
        found = tokio::time::timeout(Duration::from_secs(60), opened) => found.expect("a prediction"),
    };
    assert!(found.iter().all(|outcome| *outcome == Value::Text("open".to_owned())), "{found:?}");
    controls.stop.send_replace(true);
    run.await.unwrap();
}
