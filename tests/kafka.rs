//! Whole runs against Apache Kafka: published rows are read back unchanged, up to an end or while they arrive.

pub mod broker;
mod client;
mod follow;
mod gone;
mod replayed;
pub mod round_trip;
mod secured;

use crate::support::Reef;
use broker::{Broker, shared};
use client::Sent;
use model::clock::{Clock, SystemClock};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Polling interval of a condition.
#[expect(clippy::disallowed_methods, reason = "the condition is external: a broker, a program, a store")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

/// Waits for a condition.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not come true");
        pause();
    }
}

/// A name that no other topic has, on a broker that may outlive this run.
pub fn unique(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{}-{number}", std::process::id(), SystemClock.now().0)
}

const START_MS: i64 = 1_672_770_000_000;

/// Event number `number`, one a minute.
fn event(number: usize) -> String {
    let at = model::time::TimeMs(START_MS + number as i64 * 60_000);
    format!(
        r#"{{"event_id":"e{number}","colony_id":"shop-production","timestamp":"{at}","event_type":"deploy","service_id":"api","severity":"info","description":"","metadata":{{}}}}"#
    )
}

/// Events `numbers`, spread over two partitions, stamped with their time.
fn events(numbers: std::ops::Range<usize>) -> Vec<Sent> {
    let stamped = |number: usize| Sent {
        timestamp: Some(START_MS + number as i64 * 60_000),
        ..Sent::text((number % 2) as i32, &event(number))
    };
    numbers.map(stamped).collect()
}

fn source(brokers: &str, topic: &str, more: &str) -> String {
    format!("[[sources]]\nkind = \"kafka\"\nbrokers = \"{brokers}\"\ntopics.events = \"{topic}\"\n{more}\n")
}

/// The numbers of the events that a reef holds, as ranges of a sorted list.
fn held(reef: &Reef) -> Vec<usize> {
    let text = reef.query("SELECT substr(event_id, 2)::INT AS n FROM federated_events ORDER BY n");
    text.lines().map(|line| line.parse().unwrap()).collect()
}

fn positions(reef: &Reef) -> String {
    reef.query("SELECT part, position FROM source_positions WHERE source LIKE 'kafka:%' ORDER BY part")
}

fn count(summary: &Value, key: &str) -> u64 {
    summary["summary"]["progress"][key].as_u64().unwrap_or_else(|| panic!("{key} in {summary:#}"))
}

/// On one broker of its own: each start takes seconds of all processors.
#[test]
fn a_broker_that_asks_for_a_password_is_read_and_may_be_killed_and_come_back() {
    let Some(mut broker) = Broker::secured() else { return };
    secured::behind_tls_and_a_password(&broker);
    follow::killed_and_back(&mut broker);
}

#[test]
fn a_read_up_to_now_ends_at_the_last_record_and_the_next_one_resumes_there() {
    let Some(brokers) = shared() else { return };
    let topic = unique("now");
    client::create_topic(brokers, &topic, 2);
    client::send(brokers, &topic, &events(0..40));
    let reef = Reef::new(&source(brokers, &topic, "end = \"now\""));
    let first = reef.run();
    assert_eq!((count(&first, "events"), held(&reef).len()), (40, 40));
    assert_eq!(first["summary"]["ended"], "input_finished");
    assert_eq!(positions(&reef), format!("{topic}/0\t20\n{topic}/1\t20\n"));
    client::send(brokers, &topic, &events(40..50));
    let second = reef.run();
    assert_eq!(count(&second, "events"), 10, "only what is new is read");
    assert_eq!(held(&reef), (0..50).collect::<Vec<_>>());
}

#[test]
fn times_and_offsets_bound_a_read_exactly() {
    let Some(brokers) = shared() else { return };
    let topic = unique("bounds");
    client::create_topic(brokers, &topic, 2);
    client::send(brokers, &topic, &events(0..100));
    let time = |number: i64| model::time::TimeMs(START_MS + number * 60_000).to_string();
    let read = |more: &str| {
        let reef = Reef::new(&source(brokers, &topic, more));
        let summary = reef.run();
        assert_eq!(count(&summary, "late"), 0, "rows of a bounded read are never late");
        held(&reef)
    };
    let by_time = format!("start = \"{}\"\nend = \"{}\"", time(10), time(31));
    assert_eq!(read(&by_time), (10..31).collect::<Vec<_>>());
    // between two records: the first one after it
    let between = model::time::TimeMs(START_MS + 10 * 60_000 + 1).to_string();
    assert_eq!(read(&format!("start = \"{between}\"\nend = \"now\"")), (11..100).collect::<Vec<_>>());
    // a time that no record has yet: everything there is
    assert_eq!(read(&format!("start = \"earliest\"\nend = \"{}\"", time(1_000))), (0..100).collect::<Vec<_>>());
    assert_eq!(read("start = \"latest\"\nend = \"now\""), Vec::<usize>::new());
    // partition 0 holds the even numbers, 1 the odd ones
    let by_offset = "start = \"offset:0=5,1=7\"\nend = \"offset:10\"";
    assert_eq!(read(by_offset), [10, 12, 14, 15, 16, 17, 18, 19]);
}

#[test]
fn tombstones_and_poison_between_good_rows_are_counted_with_their_place() {
    let Some(brokers) = shared() else { return };
    let topic = unique("poison");
    client::create_topic(brokers, &topic, 1);
    let good = |number| Sent::text(0, &event(number));
    let binary = Sent { value: Some(vec![0, 159, 146, 150, 0, 10]), ..Sent::default() };
    let huge = Sent { value: Some(format!("\"{}", "x".repeat(800_000)).into_bytes()), ..Sent::default() };
    let other = Sent { content_type: Some("text/csv"), ..good(8) };
    client::send(
        brokers,
        &topic,
        &[good(0), Sent::default(), good(1), binary, good(2), Sent::text(0, "{\"event_id\":"), good(3), huge, other],
    );
    let reef = Reef::new(&source(brokers, &topic, "end = \"now\""));
    let summary = reef.run();
    assert_eq!((held(&reef), count(&summary, "rejects")), (vec![0, 1, 2, 3], 5));
    assert_eq!(summary["summary"]["rejects_by_reason"]["malformed"], 5);
    let places = reef.query("SELECT place, length(raw) <= 1024 FROM rejects ORDER BY place");
    let expected: String = [1, 3, 5, 7, 8].iter().map(|offset| format!("{topic}/0@{offset}\ttrue\n")).collect();
    assert_eq!(places, expected);
    assert!(reef.query("SELECT detail FROM rejects ORDER BY place").starts_with("no value (tombstone)\n"));
    assert_eq!(positions(&reef), format!("{topic}/0\t9\n"));
    reef.run();
    assert_eq!(reef.query("SELECT count(*) FROM rejects"), "5\n", "nothing is counted twice");
}

#[test]
fn every_compression_is_read() {
    let Some(brokers) = shared() else { return };
    let topic = unique("compressed");
    client::create_topic(brokers, &topic, 2);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (number, codec) in codecs.iter().enumerate() {
        let rows = events(number * 200..(number + 1) * 200);
        client::send_with(brokers, &topic, &rows, &[("compression.type", codec)]);
    }
    let reef = Reef::new(&source(brokers, &topic, "end = \"now\""));
    reef.run();
    assert_eq!(held(&reef), (0..codecs.len() * 200).collect::<Vec<_>>());
}

#[test]
fn aborted_transactions_never_show_and_marks_do_not_hold_up_the_end() {
    let Some(brokers) = shared() else { return };
    let topic = unique("transactions");
    client::create_topic(brokers, &topic, 2);
    client::transact(brokers, &topic, &events(0..10), true);
    client::transact(brokers, &topic, &events(10..20), false);
    let reef = Reef::new(&source(brokers, &topic, "end = \"now\""));
    let summary = reef.run();
    assert_eq!((held(&reef), count(&summary, "rejects")), ((0..10).collect(), 0));
    // five rows and a mark of each transaction in each partition
    assert_eq!(positions(&reef), format!("{topic}/0\t12\n{topic}/1\t12\n"));
    assert_eq!(client::high(brokers, &topic, 0), 12);
    client::send(brokers, &topic, &events(20..30));
    assert_eq!(count(&reef.run(), "events"), 10);
}

#[test]
fn a_missing_topic_is_reported_and_a_bounded_read_ends() {
    let Some(brokers) = shared() else { return };
    let topic = unique("absent");
    let reef = Reef::new(&source(brokers, &topic, "end = \"now\""));
    assert_eq!(count(&reef.run(), "events"), 0);
    let document = reef.program("validate");
    assert_eq!(document["valid"], true);
    assert!(document.to_string().contains(&format!("does not exist at {brokers} yet")), "{document:#}");
}

#[test]
fn validate_asks_the_brokers() {
    let Some(brokers) = shared() else { return };
    let topic = unique("validate");
    client::create_topic(brokers, &topic, 2);
    client::send(brokers, &topic, &events(0..10));
    let check = |more: &str| {
        let document = Reef::new(&source(brokers, &topic, more)).program("validate");
        let of_topic = |it: &&Value| it["name"] == format!("topic {topic}");
        let checks = document["checks"].as_array().unwrap().iter().filter(of_topic).cloned().collect::<Vec<_>>();
        checks
            .iter()
            .map(|it| format!("{}: {}", it["outcome"].as_str().unwrap(), it["note"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        check("end = \"now\""),
        ["ok: 2 partitions, 10 records to read without a stored position (0: 0 to 5, 1: 0 to 5)"]
    );
    let time = model::time::TimeMs(START_MS + 4 * 60_000);
    assert_eq!(
        check(&format!("start = \"{time}\"")),
        ["ok: 2 partitions, 6 records to read without a stored position (0: from 2, 1: from 2)"]
    );
    let outside = check("start = \"offset:0=99\"");
    assert_eq!(outside[1], format!("warning: start 99 is outside {topic}/0 (0 to 5); 5 is used"));
}
