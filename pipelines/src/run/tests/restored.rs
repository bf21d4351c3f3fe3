//! A restart rebuilds from stored rows what a run that was never stopped knows, also of before the look-back.

use super::*;
use model::derived::Value;
use model::pattern::Correlation;
use model::time::DAY_MS;
use operators::deployments::TIMELINE;
use sinks::schema::DERIVED;
use std::ops::Range;

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
