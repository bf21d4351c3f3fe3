//! Configuration of publishing: brokers, topics, encoding, properties of the client.

use super::client::base;
use super::decode::Encoding;
use crate::error::SourceError;
use rdkafka::ClientConfig;
use std::collections::BTreeMap;
use std::fmt;

/// Where rows are published, and how.
#[derive(Clone)]
pub struct PublishConfig {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// Topic of metrics.
    pub metrics_topic: Option<String>,
    /// Topic of events.
    pub events_topic: Option<String>,
    /// How values are encoded.
    pub encoding: Encoding,
    /// Partitions of a topic that has to be created.
    pub partitions: i32,
    /// Properties of librdkafka, values possibly secret.
    pub options: BTreeMap<String, String>,
}

/// Values of properties may be secrets: only their names are shown.
impl fmt::Debug for PublishConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishConfig")
            .field("brokers", &self.brokers)
            .field("metrics_topic", &self.metrics_topic)
            .field("events_topic", &self.events_topic)
            .field("options", &self.options.keys())
            .finish_non_exhaustive()
    }
}

impl PublishConfig {
    pub(super) fn error(&self, problem: &str) -> SourceError {
        SourceError::Kafka { brokers: self.brokers.clone(), problem: problem.to_owned() }
    }

    /// What every client of a publication shares, the user's properties last.
    pub(super) fn client_config(&self) -> ClientConfig {
        let mut config = base(&self.brokers);
        config.extend(self.options.clone());
        config
    }

    pub(super) fn producer_config(&self) -> ClientConfig {
        let mut config = base(&self.brokers);
        config
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", "20")
            .set("batch.size", "1000000")
            .set("message.max.bytes", MESSAGE_BYTES_MAX)
            // the producers of the Java client put a colony into the same partition
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.kbytes", "65536");
        config.extend(self.options.clone());
        config.set("enable.idempotence", "true");
        config
    }
}

/// Largest message, in bytes: above the largest acceptable row.
pub(super) const MESSAGE_BYTES_MAX: &str = "4194304";
