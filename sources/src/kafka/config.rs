//! The configuration of a Kafka source: topics, start and end of reading, and librdkafka's own properties.

use super::client;
use super::offsets::Offsets;
use crate::backoff::BackoffConfig;
use crate::error::SourceError;
use crate::record::RowKind;
use crate::share::Share;
use model::time::TimeMs;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Where reading a partition starts when the store holds no position of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaStart {
    /// At the earliest record, because there is no position to resume at.
    Committed,
    /// At the earliest record.
    Earliest,
    /// At the next record to come; partitions that are added later are read from their earliest record.
    Latest,
    /// At the first record of this time.
    Time(TimeMs),
    /// At these offsets; partitions that are not named at their earliest record.
    Offsets(Offsets),
}

/// Where reading a partition stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaEnd {
    /// Never.
    Never,
    /// After the last committed record there is when the run starts.
    Now,
    /// Before the first record of this time, or as `Now` when there is none yet.
    Time(TimeMs),
    /// Before these offsets, or as `Now` where they lie beyond or are not given.
    Offsets(Offsets),
    /// Before these offsets, which have been reached before: a topic that ends sooner now is not the one it was. Nothing
    /// of partitions that are not named.
    Seen(Offsets),
}

/// `[[sources]] kind = "kafka"`.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// Topic of metrics.
    pub metrics_topic: Option<String>,
    /// Topic of events.
    pub events_topic: Option<String>,
    /// Where to start where nothing is committed.
    pub start: KafkaStart,
    /// Where to stop.
    pub end: KafkaEnd,
    /// Which partitions of the topics are read: all, or those of one of several processes.
    pub share: Share,
    /// Consumer group. No member ever joins it: partitions are assigned here, positions live in the store.
    pub group_id: String,
    /// Properties of librdkafka, values possibly secret.
    pub options: BTreeMap<String, String>,
    /// How many bytes each topic may hold prefetched.
    pub queue_bytes_max: u64,
    /// Interval of the search for new partitions and missing topics.
    pub metadata_interval: Duration,
    /// How long the first record of a batch may wait for others.
    pub batch_delay: Duration,
    /// Pauses between attempts to reach the brokers.
    pub backoff: BackoffConfig,
    /// How long a partition of a bounded read may be missing, or end before the end of the read, until it counts as
    /// deleted or recreated. A new leader may briefly not know its end; brokers that do not respond have a longer
    /// timeout.
    pub gone_after: Duration,
}

/// Default of prefetched bytes per topic: a quarter of a second at full speed.
pub const QUEUE_BYTES_DEFAULT: u64 = 32 << 20;

/// Properties that are not for users, each with the reason.
const RESERVED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set by the option `brokers`"),
    ("metadata.broker.list", "set by the option `brokers`"),
    ("enable.auto.commit", "positions are committed with the rows, in the store"),
    ("auto.commit.enable", "positions are committed with the rows, in the store"),
    ("enable.auto.offset.store", "positions are committed with the rows, in the store"),
    ("auto.offset.reset", "set by the option `start`; missing records are reported, never skipped silently"),
    ("isolation.level", "rows of aborted transactions must never be read"),
    ("enable.partition.eof", "the end of a bounded read, and of a backlog, is found with it"),
    ("group.instance.id", "partitions are assigned by the reef itself"),
    ("group.protocol", "partitions are assigned by the reef itself"),
];

impl KafkaConfig {
    /// A source of these topics with defaults for everything else.
    pub fn new(brokers: &str, metrics_topic: Option<&str>, events_topic: Option<&str>) -> KafkaConfig {
        KafkaConfig {
            brokers: brokers.to_owned(),
            metrics_topic: metrics_topic.map(str::to_owned),
            events_topic: events_topic.map(str::to_owned),
            start: KafkaStart::Committed,
            end: KafkaEnd::Never,
            share: Share::WHOLE,
            group_id: "coral".to_owned(),
            options: BTreeMap::new(),
            queue_bytes_max: QUEUE_BYTES_DEFAULT,
            metadata_interval: Duration::from_secs(30),
            batch_delay: Duration::from_millis(50),
            backoff: BackoffConfig { first: Duration::from_millis(250), max: Duration::from_secs(10) },
            gone_after: Duration::from_secs(30),
        }
    }

    /// The topics and their kinds of rows.
    pub fn topics(&self) -> Vec<(&str, RowKind)> {
        let metrics = self.metrics_topic.as_deref().map(|topic| (topic, RowKind::Metrics));
        let events = self.events_topic.as_deref().map(|topic| (topic, RowKind::Events));
        metrics.into_iter().chain(events).collect()
    }

    /// The source's name: it depends only on the topics, so brokers may be renamed.
    pub fn source_name(&self) -> String {
        let topics: Vec<&str> = self.topics().into_iter().map(|(topic, _)| topic).collect();
        format!("kafka:{}", topics.join(","))
    }

    /// Whether reading ends by itself.
    pub fn is_bounded(&self) -> bool {
        self.end != KafkaEnd::Never
    }

    /// Everything that is wrong and can be seen without a broker.
    pub fn validate(&self) -> Result<(), Vec<SourceError>> {
        let mut problems = Vec::new();
        let topics = self.topics();
        match topics.as_slice() {
            [] => problems.push("names no topic: give `metrics`, `events` or both".to_owned()),
            [(one, _), (other, _)] if one == other => {
                problems.push(format!("topic {one} cannot hold metrics and events; give each its own topic"));
            }
            _ => {}
        }
        let bad_name = |topic: &str| {
            let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            topic.is_empty() || topic.len() > 249 || topic == "." || topic == ".." || !topic.chars().all(is_legal)
        };
        for (topic, _) in topics.iter().filter(|(topic, _)| bad_name(topic)) {
            problems.push(format!(
                "{topic:?} is no name of a topic: 1 to 249 letters, digits, dots, underscores and dashes"
            ));
        }
        problems.extend(self.options.keys().filter_map(|name| reserved(name)));
        if problems.is_empty() {
            problems.extend(client::check(&self.client_config()).err());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.iter().map(|problem| self.error(problem)).collect()) }
    }

    /// The consumer's properties: ours, then the user's.
    pub(super) fn client_config(&self) -> rdkafka::ClientConfig {
        let mut config = client::base(&self.brokers);
        config
            .set("group.id", &self.group_id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // also if the store's position no longer exists: the remaining records are read, nothing is skipped
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("queued.max.messages.kbytes", (self.queue_bytes_max / 1024).max(1).to_string())
            // a full queue is polled again soon, not after a second
            .set("fetch.queue.backoff.ms", "10")
            // a slow store is no reason to give the partitions up
            .set("max.poll.interval.ms", "86400000");
        config.extend(self.options.clone());
        config
    }

    /// A fault of this source that does not pass.
    pub(super) fn error(&self, problem: &str) -> SourceError {
        SourceError::Kafka { brokers: self.brokers.clone(), problem: problem.to_owned() }
    }
}

/// Why a property is not for users.
pub fn reserved(name: &str) -> Option<String> {
    let (name, reason) = RESERVED.iter().find(|(reserved, _)| *reserved == name)?;
    Some(format!("option {name:?} cannot be set: {reason}"))
}

/// Values of properties may be secrets: only their names are shown.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("metrics_topic", &self.metrics_topic)
            .field("events_topic", &self.events_topic)
            .field("start", &self.start)
            .field("end", &self.end)
            .field("group_id", &self.group_id)
            .field("options", &self.options.keys())
            .finish_non_exhaustive()
    }
}
