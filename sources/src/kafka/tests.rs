//! The source on the library's mock cluster: the contract, ends, offsets, later topics, broken messages.
//! The same on a real broker, and what the mock cannot do, is in the end-to-end tests.

#![allow(clippy::unwrap_used)]

mod ending;
mod real;

use super::*;
use crate::compliance::{self, Harness, Scenario, next};
use crate::record::RowKind;
use crate::share::Share;
use async_trait::async_trait;
use model::clock::SystemClock;
use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::reject::RejectReason;
use model::series::SeriesRef;
use model::time::TimeMs;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::mpsc as sync;
use std::time::Duration;

/// The library's mock cluster on its own thread: it cannot be shared.
struct Mock {
    brokers: String,
    /// Each order with where to say that it is done.
    orders: sync::SyncSender<(Asked, sync::SyncSender<()>)>,
}

enum Asked {
    Topic(String, i32),
    Down,
    Up,
}

impl Mock {
    fn start() -> Mock {
        let (orders, asked) = sync::sync_channel::<(Asked, sync::SyncSender<()>)>(1);
        let (send, started) = sync::sync_channel(1);
        std::thread::Builder::new()
            .name("mock-cluster".to_owned())
            .spawn(move || {
                let cluster = MockCluster::new(1).unwrap();
                send.send(cluster.bootstrap_servers()).unwrap();
                while let Ok((asked, done)) = asked.recv() {
                    match asked {
                        Asked::Topic(name, partitions) => cluster.create_topic(&name, partitions, 1).unwrap(),
                        Asked::Down => cluster.broker_down(1).unwrap(),
                        Asked::Up => cluster.broker_up(1).unwrap(),
                    }
                    done.send(()).unwrap();
                }
            })
            .unwrap();
        Mock { brokers: started.recv().unwrap(), orders }
    }

    /// A cluster with these topics, three partitions each.
    fn with_topics(names: &[&str]) -> Mock {
        let mock = Mock::start();
        names.iter().for_each(|name| mock.ask(Asked::Topic((*name).to_owned(), 3)));
        mock
    }

    /// Gives an order and waits until it is done: a producer that is sooner than a new topic would create
    /// that topic itself, with another number of partitions.
    fn ask(&self, asked: Asked) {
        let (done, is_done) = sync::sync_channel(1);
        self.orders.send((asked, done)).unwrap();
        is_done.recv().unwrap();
    }

    /// Sends messages, partition by partition, and waits for each to be stored.
    fn send(&self, topic: &str, messages: &[Sent]) {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).set("linger.ms", "0").create().unwrap();
        for (number, Sent { value, content_type, key }) in messages.iter().enumerate() {
            let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(topic).partition((number % 3) as i32);
            record.payload = value.as_deref();
            record.key = key.as_deref();
            if let Some(content_type) = content_type {
                let header = Header { key: "content-type", value: Some(content_type.as_bytes()) };
                record = record.headers(OwnedHeaders::new().insert(header));
            }
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    fn config(&self) -> KafkaConfig {
        KafkaConfig {
            metadata_interval: Duration::from_millis(100),
            batch_delay: Duration::from_millis(5),
            backoff: crate::backoff::BackoffConfig {
                first: Duration::from_millis(10),
                max: Duration::from_millis(100),
            },
            ..KafkaConfig::new(&self.brokers, Some("m"), Some("e"))
        }
    }
}

#[derive(Clone, Default)]
struct Sent {
    key: Option<String>,
    value: Option<Vec<u8>>,
    content_type: Option<&'static str>,
}

fn json(value: &str) -> Sent {
    Sent { value: Some(value.as_bytes().to_vec()), ..Sent::default() }
}

fn time_of(number: usize) -> TimeMs {
    TimeMs(1_672_770_000_000 + number as i64 * 60_000)
}

fn event(number: usize) -> Event {
    Event {
        severity: Severity::Error,
        description: "a \"quoted\" text\n".to_owned(),
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        ..fixtures::event("shop-production", &format!("e{number}"), time_of(number))
    }
}

fn metric(number: usize) -> MetricPoint {
    let names = fixtures::series("shop-production", "api", "latency_ms");
    MetricPoint {
        count: Some(number as u64),
        p95: Some((number as f64 * std::f64::consts::PI).into()),
        max: Some(1e9.into()),
        // most floats need all of their digits to be read back exactly
        ..fixtures::point(SeriesRef { interval_seconds: Some(60), ..names }, time_of(number), number as f64 / 7.0)
    }
}

fn encoded(encoding: Encoding, encode: impl Fn(&mut Vec<u8>)) -> Sent {
    let mut value = Vec::new();
    encode(&mut value);
    Sent {
        key: Some("shop-production".to_owned()),
        value: Some(value),
        content_type: (encoding == Encoding::Protobuf).then(|| encoding.content_type()),
    }
}

fn event_message(number: usize, encoding: Encoding) -> Sent {
    encoded(encoding, |value| encode::event(&event(number), encoding, value).unwrap())
}

fn metric_message(number: usize, encoding: Encoding) -> Sent {
    encoded(encoding, |value| encode::metric(&metric(number), encoding, value).unwrap())
}

/// Good rows in both encodings, broken ones among them.
struct KafkaScenario {
    mock: Mock,
    end: KafkaEnd,
}

const EVENTS: usize = 300;
const METRICS: usize = 400;
const BROKEN: usize = 5;

/// Good rows in both encodings, broken ones among them: events and metrics.
fn messages() -> (Vec<Sent>, Vec<Sent>) {
    let encoding = |number: usize| if number.is_multiple_of(2) { Encoding::Json } else { Encoding::Protobuf };
    let mut events: Vec<Sent> = (0..EVENTS).map(|number| event_message(number, encoding(number))).collect();
    events.insert(10, json("{\"colony_id\":"));
    events.insert(100, Sent::default());
    events.insert(200, Sent { content_type: Some("text/csv"), ..json("a,b") });
    let mut metrics: Vec<Sent> = (0..METRICS).map(|number| metric_message(number, encoding(number))).collect();
    metrics.insert(1, Sent { content_type: Some("application/x-protobuf"), ..json("\u{ff}\u{fe}") });
    metrics.insert(300, json("{}"));
    (events, metrics)
}

impl KafkaScenario {
    fn new(end: KafkaEnd) -> KafkaScenario {
        let mock = Mock::with_topics(&["m", "e"]);
        let (events, metrics) = messages();
        mock.send("e", &events);
        mock.send("m", &metrics);
        KafkaScenario { mock, end }
    }
}

#[async_trait]
impl Harness for KafkaScenario {
    async fn build(&self, positions: &Positions) -> Box<dyn Source> {
        Box::new(
            KafkaConfig { end: self.end.clone(), ..self.mock.config() }
                .build(positions, &SystemClock::shared())
                .unwrap(),
        )
    }

    async fn fail(&self) {
        self.mock.ask(Asked::Down);
    }

    async fn recover(&self) {
        self.mock.ask(Asked::Up);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounded_topics_keep_the_contract() {
    let expected = Scenario { rows: EVENTS + METRICS, rejects: BROKEN, can_fail: false };
    compliance::check(&KafkaScenario::new(KafkaEnd::Now), &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followed_topics_keep_the_contract() {
    let expected = Scenario { rows: EVENTS + METRICS, rejects: BROKEN, can_fail: true };
    compliance::check(&KafkaScenario::new(KafkaEnd::Never), &expected).await;
}

/// Reads a bounded source to its end.
async fn read_all(config: &KafkaConfig, positions: &Positions) -> Batch {
    let mut source = config.build(positions, &SystemClock::shared()).unwrap();
    let mut all = Batch::default();
    while let Some(batch) = next(&mut source).await {
        all.rows.append(batch.rows);
        all.rejects.extend(batch.rejects);
        all.positions.advance(batch.positions);
    }
    if let Some((done, in_all)) = source.progress_bytes() {
        assert_eq!(done, in_all, "all bytes are done at the end");
    }
    all.rows.events.sort();
    let mut metrics = all.rows.metrics.to_vec();
    metrics.sort();
    all.rows.metrics = metrics.into();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_encodings_give_the_rows_that_were_sent() {
    let mock = Mock::with_topics(&["m", "e"]);
    for encoding in [Encoding::Json, Encoding::Protobuf] {
        mock.send("e", &(0..50).map(|number| event_message(number, encoding)).collect::<Vec<_>>());
        mock.send("m", &(0..50).map(|number| metric_message(number, encoding)).collect::<Vec<_>>());
    }
    let all = read_all(&KafkaConfig { end: KafkaEnd::Now, ..mock.config() }, &Positions::default()).await;
    let twice = |number| [number, number];
    let mut events: Vec<Event> = (0..50).flat_map(twice).map(event).collect();
    let mut metrics: Vec<MetricPoint> = (0..50).flat_map(twice).map(metric).collect();
    events.sort();
    metrics.sort();
    assert_eq!((all.rows.events, all.rows.metrics.to_vec(), all.rejects.len()), (events, metrics, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_messages_are_refused_with_their_place_and_the_rest_is_read() {
    let mock = Mock::with_topics(&["m", "e"]);
    let long = format!("{{\"description\":\"{}\"}}", "x".repeat(900_000));
    let nameless = Sent { key: None, ..event_message(1, Encoding::Protobuf) };
    mock.send("e", &[event_message(0, Encoding::Json), Sent::default(), json("\u{1}\u{0}no"), json("[]"), json("")]);
    mock.send("e", &[json(&long), nameless, Sent { content_type: Some("image/png"), ..json("{}") }]);
    let all = read_all(&KafkaConfig { end: KafkaEnd::Now, ..mock.config() }, &Positions::default()).await;
    let mut found: Vec<(&str, RejectReason, &str)> =
        all.rejects.iter().map(|it| (it.place.as_str(), it.reason, it.detail.as_str())).collect();
    found.sort_unstable();
    assert_eq!(all.rows.events, [event(0)]);
    let expected = [
        ("e/0@1", RejectReason::Malformed, "an array, expected a JSON object"),
        ("e/0@2", RejectReason::MissingField, "timestamp is missing"),
        ("e/1@0", RejectReason::Malformed, "no value (tombstone)"),
        ("e/1@1", RejectReason::Malformed, "not JSON: EOF while parsing a value at line 1 column 0"),
        ("e/1@2", RejectReason::MissingField, "colony_id is missing: the message has no key"),
        ("e/2@0", RejectReason::Malformed, "not JSON: expected value at line 1 column 1"),
        (
            "e/2@1",
            RejectReason::Malformed,
            "content-type is \"image/png\", expected application/json or application/x-protobuf",
        ),
    ];
    assert_eq!(found, expected);
    assert_eq!(all.positions.0["e/1"], "3", "positions skip rejected messages");
    assert!(all.rejects.iter().all(|reject| reject.source == "kafka:m,e" && reject.raw.len() <= 1_024));
}

#[test]
fn a_value_beyond_the_limit_is_refused_without_being_read() {
    let mut decoder = decode::Decoder::new("kafka:e", RowKind::Events, SystemClock::shared());
    let value = vec![b' '; crate::record::LINE_BYTES_MAX + 1];
    decoder.take(Ok(decode::Envelope::default()), Some(&value), || "e/0@0".to_owned());
    let (_, rejects, _) = decoder.finish();
    assert_eq!(rejects[0].reason, RejectReason::Oversized);
    assert!(rejects[0].raw.len() <= 1_024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_bound_a_read_and_a_stored_position_wins() {
    let mock = Mock::with_topics(&["m", "e"]);
    mock.send("e", &(0..30).map(|number| event_message(number, Encoding::Json)).collect::<Vec<_>>());
    let offsets = |text: &str| Offsets::parse(text).unwrap().unwrap();
    let config = KafkaConfig {
        start: KafkaStart::Offsets(offsets("offset:0=4,1=9,e/2=99")),
        end: KafkaEnd::Offsets(offsets("offset:8")),
        ..mock.config()
    };
    let numbers = |batch: &Batch| batch.rows.events.iter().map(|it| it.event_id.clone()).collect::<Vec<_>>();
    let all = read_all(&config, &Positions::default()).await;
    // partition 0 holds e0, e3, e6 …; 1 and 2 start beyond the end
    assert_eq!(numbers(&all), ["e12", "e15", "e18", "e21"]);
    let expected = [("e/0", "8"), ("e/1", "9"), ("e/2", "10"), ("m/0", "0"), ("m/1", "0"), ("m/2", "0")];
    let expected = expected.map(|(part, next)| (part.to_owned(), next.to_owned())).into();
    assert_eq!(all.positions, Positions(expected));
    let held = Positions([("e/0".to_owned(), "7".to_owned())].into());
    assert_eq!(numbers(&read_all(&config, &held).await), ["e21"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_the_partitions_without_gap_or_overlap() {
    let mock = Mock::with_topics(&["m", "e"]);
    mock.send("e", &(0..30).map(|number| event_message(number, Encoding::Json)).collect::<Vec<_>>());
    let mut all = Batch::default();
    for process in 0..2 {
        let share = Share { index: process, of: 2 };
        let part = read_all(&KafkaConfig { share, end: KafkaEnd::Now, ..mock.config() }, &Positions::default()).await;
        assert_eq!(part.positions.0.contains_key("e/1"), process == 1);
        all.rows.append(part.rows);
    }
    all.rows.events.sort();
    let mut expected: Vec<Event> = (0..30).map(event).collect();
    expected.sort();
    assert_eq!(all.rows.events, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_starts_at_the_latest_record_remembers_where_that_was() {
    let mock = Mock::with_topics(&["m", "e"]);
    mock.send("e", &(0..9).map(|number| event_message(number, Encoding::Json)).collect::<Vec<_>>());
    let config = KafkaConfig { start: KafkaStart::Latest, end: KafkaEnd::Now, ..mock.config() };
    let first = read_all(&config, &Positions::default()).await;
    assert!(first.rows.is_empty());
    mock.send("e", &[event_message(9, Encoding::Json)]);
    assert_eq!(read_all(&config, &first.positions).await.rows.events, [event(9)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_created_later_is_read_from_its_start() {
    let mock = Mock::with_topics(&["m"]);
    mock.send("m", &[metric_message(1, Encoding::Json)]);
    let mut source = KafkaConfig { start: KafkaStart::Earliest, ..mock.config() }
        .build(&Positions::default(), &SystemClock::shared())
        .unwrap();
    while next(&mut source).await.unwrap().rows.metrics.is_empty() {}
    mock.ask(Asked::Topic("e".to_owned(), 3));
    mock.send("e", &[event_message(1, Encoding::Json)]);
    let mut batch = next(&mut source).await.unwrap();
    while batch.rows.events.is_empty() {
        batch = next(&mut source).await.unwrap();
    }
    assert_eq!(batch.rows.events, [event(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_consumer_holds_only_so_many_batches() {
    let mock = Mock::with_topics(&["m", "e"]);
    mock.send("m", &(0..20_000).map(|number| metric_message(number, Encoding::Json)).collect::<Vec<_>>());
    let config = KafkaConfig { queue_bytes_max: 64 << 10, end: KafkaEnd::Now, ..mock.config() };
    let mut source = config.build(&Positions::default(), &SystemClock::shared()).unwrap();
    let mut rows = 0;
    while let Some(batch) = next(&mut source).await {
        assert!(batch.rows.len() + batch.rejects.len() <= 8_192, "a batch is bounded");
        rows += batch.rows.len();
    }
    assert_eq!(rows, 20_000, "a queue that is full holds the reading up and drops nothing");
}

#[test]
fn what_would_break_the_guarantees_is_refused_and_no_value_is_shown() {
    let with = |name: &str, value: &str| KafkaConfig {
        options: [(name.to_owned(), value.to_owned())].into(),
        ..KafkaConfig::new("localhost:9092", None, Some("e"))
    };
    let refused = |config: &KafkaConfig| config.validate().unwrap_err()[0].to_string();
    for name in ["enable.auto.commit", "auto.offset.reset", "isolation.level", "bootstrap.servers"] {
        let error = refused(&with(name, "hunter2"));
        assert!(error.contains(name) && error.contains("cannot be set: ") && !error.contains("hunter2"), "{error}");
    }
    let error = refused(&with("sasl.passwort", "hunter2"));
    assert_eq!(error, "kafka localhost:9092: option \"sasl.passwort\" is no property of librdkafka");
    let error = refused(&with("security.protocol", "hunter2"));
    assert!(error.contains("\"security.protocol\"") && !error.contains("hunter2"), "{error}");
    assert!(!format!("{:?}", with("sasl.password", "hunter2")).contains("hunter2"));
    assert!(with("sasl.password", "hunter2").validate().is_ok());
    assert!(refused(&KafkaConfig::new("localhost:9092", None, None)).contains("names no topic"));
    assert!(refused(&KafkaConfig::new("localhost:9092", Some("a b"), None)).contains("is no name of a topic"));
    assert!(refused(&KafkaConfig::new("localhost:9092", Some("t"), Some("t"))).contains("its own topic"));
}

#[test]
fn unreachable_brokers_are_reported_with_the_reason() {
    // the discard port: no process listens
    let error = probe(&KafkaConfig::new("127.0.0.1:9", None, Some("e"))).unwrap_err().to_string();
    assert!(
        error.starts_with("kafka 127.0.0.1:9: no response from the brokers") && error.contains("refused"),
        "{error}"
    );
}

#[test]
fn the_probe_says_what_there_is_and_what_is_outside() {
    let mock = Mock::with_topics(&["e"]);
    mock.send("e", &(0..7).map(|number| event_message(number, Encoding::Json)).collect::<Vec<_>>());
    let start = KafkaStart::Offsets(Offsets::parse("offset:0=2,1=9,7=1").unwrap().unwrap());
    let seen = probe(&KafkaConfig { start, end: KafkaEnd::Now, ..mock.config() }).unwrap();
    assert_eq!((seen[0].topic.as_str(), seen[0].partitions.len()), ("m", 0), "not there yet");
    let first = PartitionSeen { partition: 0, low: 0, high: 3, start: 2, end: Some(3) };
    assert_eq!(seen[1].partitions[0], first);
    assert_eq!(
        seen[1].problems,
        ["start names e/7, which does not exist", "start 9 is outside e/1 (0 to 2); 2 is used"]
    );
}

#[tokio::test]
async fn a_reader_that_panics_ends_the_source_though_others_continue() {
    let (send, mut messages) = tokio::sync::mpsc::channel(1);
    let others = send.clone();
    let reader = move || guarded(&send, (1, "kafka:a".to_owned()), || panic!("a bug in a reader"));
    std::thread::Builder::new().name("kafka-1".to_owned()).spawn(reader).unwrap();
    let (index, ReaderMessage::Failed(error)) = messages.recv().await.unwrap() else { panic!("the panic is reported") };
    assert_eq!(index, 1);
    assert!(error.to_string().contains("a bug in a reader"), "{error}");
    drop(others);
}
