//! Replays of a topic that is still being written, and of events that were amended to another time.

use super::broker::shared;
use super::client::{self, Sent};
use super::{START_MS, event, source, unique};
use crate::support::{Reef, dump};
use mesh::Network;
use model::clock::SystemClock;
use model::time::{MINUTE_MS, TimeMs};
use pipelines::config::{Format, parse};
use pipelines::progress::Ended;
use pipelines::replay::{Outcome, Recording, Request, Task, TimeRange, replay};
use pipelines::run::RunOptions;
use std::path::PathBuf;

/// A replay of minutes of the topic. `on_rows` is called when the first rows have been read.
fn replayed(
    reef: &Reef,
    minutes: std::ops::Range<i64>,
    into: Option<PathBuf>,
    is_what_if: bool,
    on_rows: impl FnOnce(),
) -> Outcome {
    let text = std::fs::read_to_string(reef.config()).unwrap();
    let config = parse(&text, Format::Toml, reef.config()).unwrap();
    let at = |minute: i64| TimeMs(START_MS + minute * MINUTE_MS);
    let mut changed = config.clone();
    changed.correlation.min_occurrences = 7;
    let request = Request {
        task: Task::Replay,
        range: TimeRange { from: at(minutes.start), to: at(minutes.end) },
        words: (at(minutes.start).to_string(), at(minutes.end).to_string()),
        recording: Recording::Kafka,
        into,
        what_if: is_what_if.then_some(changed),
    };
    let (options, mut controls) = RunOptions::new(SystemClock::shared(), Network::plain());
    let watching = async {
        if controls.progress.wait_for(|progress| progress.events > 0).await.is_ok() {
            // on the only thread: the replay waits in the meantime
            on_rows();
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let work = async { tokio::join!(replay(&config, &request, options), watching).0.unwrap() };
    let outcome = runtime.block_on(work);
    assert_eq!(outcome.ended, Ended::InputFinished);
    outcome
}

#[test]
fn both_passes_of_a_what_if_read_the_same_records() {
    let Some(brokers) = shared() else { return };
    let topic = unique("what-if");
    client::create_topic(brokers, &topic, 2);
    client::send(brokers, &topic, &super::events(0..200));
    let reef = Reef::new(&source(brokers, &topic, "end = \"now\""));
    let outcome = replayed(&reef, 0..10_000, None, true, || {
        client::send(brokers, &topic, &super::events(200..300));
    });
    assert_eq!(outcome.summary.unwrap().progress.events, 200, "what came after the first pass began is not read");
}

#[test]
fn an_event_that_was_amended_out_of_the_range_is_not_replayed_by_its_older_copy() {
    let Some(brokers) = shared() else { return };
    let topic = unique("amended");
    client::create_topic(brokers, &topic, 2);
    let amended = |number: usize, to: usize| {
        let (id, was) = (format!("\"event_id\":\"e{to}\""), format!("\"event_id\":\"e{number}\",\"version\":1"));
        Sent::text(0, &event(to).replace(&id, &was))
    };
    // before and after the copy that it supersedes, in another partition and in the same
    client::send(brokers, &topic, &[amended(3, 500), amended(4, 8)]);
    client::send(brokers, &topic, &super::events(0..10));
    client::send(brokers, &topic, &[amended(6, 700), amended(7, 9)]);
    let reef = Reef::new(&source(brokers, &topic, "end = \"now\""));
    let into = reef.folder.path().join("into.duckdb");
    let outcome = replayed(&reef, 0..10, Some(into.clone()), false, || {});
    let rows = dump(
        &duckdb::Connection::open(&into).unwrap(),
        "SELECT string_agg(event_id || ':' || version, ' ' ORDER BY event_id) AS events FROM federated_events",
    );
    assert_eq!(rows, "e0:0 e1:0 e2:0 e4:1 e5:0 e7:1 e8:0 e9:0\n");
    assert_eq!(outcome.rows_outside, 4, "two events by two copies each");
}
