//! A plain client: topics, messages of any kind, transactions, watermarks. What other systems would do to a topic.

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A message to send.
#[derive(Clone, Default)]
pub struct Sent {
    pub partition: i32,
    pub key: Option<String>,
    pub value: Option<Vec<u8>>,
    pub timestamp: Option<i64>,
    pub content_type: Option<&'static str>,
}

impl Sent {
    pub fn text(partition: i32, value: &str) -> Sent {
        Sent { partition, value: Some(value.as_bytes().to_vec()), ..Sent::default() }
    }
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set_log_level(RDKafkaLogLevel::Emerg);
    config
}

/// Whether the brokers respond.
pub fn answers(brokers: &str) -> bool {
    let consumer: BaseConsumer = config(brokers).create().unwrap();
    consumer.fetch_metadata(None, Duration::from_secs(2)).is_ok()
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    config(brokers).create().unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub fn create_topic(brokers: &str, name: &str, partitions: i32) {
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    wait(admin(brokers).create_topics([&topic], &options)).unwrap().remove(0).unwrap();
}

pub fn delete_topic(brokers: &str, name: &str) {
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    wait(admin(brokers).delete_topics(&[name], &options)).unwrap().remove(0).unwrap();
}

pub fn add_partitions(brokers: &str, name: &str, in_all: usize) {
    let wanted = NewPartitions::new(name, in_all);
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    wait(admin(brokers).create_partitions([&wanted], &options)).unwrap().remove(0).unwrap();
}

/// Sends messages and waits until all are stored.
pub fn send(brokers: &str, topic: &str, messages: &[Sent]) {
    send_with(brokers, topic, messages, &[]);
}

/// Sends messages with properties of the producer.
pub fn send_with(brokers: &str, topic: &str, messages: &[Sent], options: &[(&str, &str)]) {
    let mut config = config(brokers);
    config.set("linger.ms", "50");
    for (name, value) in options {
        config.set(*name, *value);
    }
    let producer: BaseProducer = config.create().unwrap();
    enqueue(&producer, topic, messages);
    producer.flush(TIMEOUT).unwrap();
}

/// Sends messages in a transaction, which is committed or aborted.
pub fn transact(brokers: &str, topic: &str, messages: &[Sent], commit: bool) {
    let producer: BaseProducer = config(brokers).set("transactional.id", format!("{topic}-{commit}")).create().unwrap();
    producer.init_transactions(TIMEOUT).unwrap();
    producer.begin_transaction().unwrap();
    enqueue(&producer, topic, messages);
    producer.flush(TIMEOUT).unwrap();
    if commit { producer.commit_transaction(TIMEOUT).unwrap() } else { producer.abort_transaction(TIMEOUT).unwrap() }
}

fn enqueue(producer: &BaseProducer, topic: &str, messages: &[Sent]) {
    for Sent { partition, key, value, timestamp, content_type } in messages {
        let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(topic).partition(*partition);
        (record.key, record.payload, record.timestamp) = (key.as_deref(), value.as_deref(), *timestamp);
        if let Some(content_type) = content_type {
            let header = Header { key: "content-type", value: Some(content_type.as_bytes()) };
            record = record.headers(OwnedHeaders::new().insert(header));
        }
        while let Err((error, back)) = producer.send(record) {
            assert!(format!("{error:?}").contains("QueueFull"), "{error}");
            record = back;
            producer.poll(Duration::from_millis(50));
        }
    }
}

/// First offset after the last record.
pub fn high(brokers: &str, topic: &str, partition: i32) -> i64 {
    let consumer: BaseConsumer = config(brokers).create().unwrap();
    consumer.fetch_watermarks(topic, partition, TIMEOUT).unwrap().1
}
