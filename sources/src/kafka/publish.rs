//! Writes rows to topics: keyed by colony, with event time as timestamp, all acknowledged before the end.

use super::client::{check, creation_words, reason};
use super::config::reserved;
use super::decode::{APPLICATION, CONTENT_TYPE, ENVIRONMENT, Encoding};
use super::encode::{self, beside_the_key};
use super::publish_config::PublishConfig;
use super::topics::{TopicReady, ensure};
use crate::error::SourceError;
use model::event::Event;
use model::metric::MetricPoint;
use model::time::TimeMs;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a wait for acknowledgements takes before it looks around.
const WAIT: Duration = Duration::from_millis(100);
/// Messages between two checks of acknowledgements.
const POLL_EVERY: u64 = 1_000;

/// Acknowledged messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishCounts {
    /// Events.
    pub events: u64,
    /// Metric buckets.
    pub metrics: u64,
    /// Bytes of values.
    pub bytes: u64,
}

/// Counts acknowledgements.
#[derive(Default)]
struct Acknowledgements {
    messages: AtomicU64,
    bytes: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl ClientContext for Acknowledgements {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug | RDKafkaLogLevel::Notice => {
                tracing::debug!(facility, "librdkafka: {text}");
            }
            _ => tracing::warn!(facility, "librdkafka: {text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, "librdkafka: {reason}");
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                self.messages.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(message.payload_len() as u64, Ordering::Relaxed);
            }
            Err((error, message)) => {
                let words = format!("topic {} did not accept a message: {}", message.topic(), reason(error));
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(words);
            }
        }
    }
}

/// Writes rows to topics. Blocks while too much is unacknowledged.
pub struct Publisher {
    config: PublishConfig,
    producer: BaseProducer<Acknowledgements>,
    topics: Vec<TopicReady>,
    sent: PublishCounts,
    value: Vec<u8>,
}

impl Publisher {
    /// Connects, and creates the topics that do not exist.
    pub async fn open(config: PublishConfig) -> Result<Publisher, SourceError> {
        if let Some(problem) = config.options.keys().find_map(|name| reserved(name)) {
            return Err(config.error(&problem));
        }
        let producer_config = config.producer_config();
        check(&producer_config).map_err(|problem| config.error(&problem))?;
        let topics = ensure(&config).await?;
        let producer = producer_config
            .create_with_context(Acknowledgements::default())
            .map_err(|error| config.error(&creation_words(&error)))?;
        Ok(Publisher { config, producer, topics, sent: PublishCounts::default(), value: Vec::new() })
    }

    /// The topics, found or created.
    pub fn topics(&self) -> &[TopicReady] {
        &self.topics
    }

    /// Sends events, in this order.
    pub fn send_events(&mut self, rows: &[Event]) -> Result<(), SourceError> {
        let Some(topic) = self.config.events_topic.clone() else { return Ok(()) };
        for row in rows {
            let mut value = std::mem::take(&mut self.value);
            encode::event(row, self.config.encoding, &mut value).map_err(|problem| self.config.error(&problem))?;
            let beside = beside_the_key(&row.colony_id, &row.application_name, &row.environment);
            self.send((&topic, &row.colony_id), row.timestamp, &value, beside)?;
            self.value = value;
            self.sent.events += 1;
        }
        Ok(())
    }

    /// Sends metric buckets, in this order.
    pub fn send_metrics(&mut self, rows: &[MetricPoint]) -> Result<(), SourceError> {
        let Some(topic) = self.config.metrics_topic.clone() else { return Ok(()) };
        for row in rows {
            let mut value = std::mem::take(&mut self.value);
            encode::metric(row, self.config.encoding, &mut value).map_err(|problem| self.config.error(&problem))?;
            let series = row.series.series();
            let beside = beside_the_key(&series.key.colony_id, &series.application_name, &series.environment);
            self.send((&topic, &series.key.colony_id), row.timestamp, &value, beside)?;
            self.value = value;
            self.sent.metrics += 1;
        }
        Ok(())
    }

    /// Messages that have been acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.producer.context().messages.load(Ordering::Relaxed)
    }

    /// Waits until every message has been acknowledged.
    pub fn finish(self) -> Result<PublishCounts, SourceError> {
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(WAIT);
            self.check_deliveries()?;
        }
        self.check_deliveries()?;
        let bytes = self.producer.context().bytes.load(Ordering::Relaxed);
        Ok(PublishCounts { bytes, ..self.sent })
    }

    fn send(
        &self,
        (topic, key): (&str, &str),
        timestamp: TimeMs,
        value: &[u8],
        beside: Option<(&str, &str)>,
    ) -> Result<(), SourceError> {
        let mut record = BaseRecord::to(topic).key(key).payload(value).timestamp(timestamp.0);
        if self.config.encoding == Encoding::Protobuf {
            let content_type = Header { key: CONTENT_TYPE, value: Some(self.config.encoding.content_type()) };
            let mut headers = OwnedHeaders::new().insert(content_type);
            if let Some((application, environment)) = beside {
                headers = headers.insert(Header { key: APPLICATION, value: Some(application) });
                headers = headers.insert(Header { key: ENVIRONMENT, value: Some(environment) });
            }
            record = record.headers(headers);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(WAIT);
                    self.check_deliveries()?;
                }
                Err((error, _)) => {
                    let said = reason(&error);
                    return Err(self
                        .config
                        .error(&format!("topic {topic}, row of colony {key} at {timestamp}: {said}")));
                }
            }
        }
        if (self.sent.events + self.sent.metrics).is_multiple_of(POLL_EVERY) {
            self.producer.poll(Duration::ZERO);
            self.check_deliveries()?;
        }
        Ok(())
    }

    fn check_deliveries(&self) -> Result<(), SourceError> {
        let failure = self.producer.context().failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failure.map_or(Ok(()), |words| Err(self.config.error(&words)))
    }
}
