//! Kafka topics as a source: bounded (finite) or followed (live), resumed at the store's positions.
//!
//! | file | owns |
//! |---|---|
//! | `config`, `offsets` | topics, start and end, librdkafka's properties |
//! | `client` | the library's clients, and what their errors mean |
//! | `discover` | existing partitions, and the start and end of each read |
//! | `reader` | one topic on its own thread |
//! | `decode` | from a message to a row or a reject |
//! | `position` | positions by partition |
//! | `probe` | what `validate` asks the brokers |
//! | `publish_config` | where rows are published, and how |
//! | `publish`, `encode`, `topics` | the other direction: rows to topics |
//!
//! A partition is `topic/partition`; its position is the offset of the next record. Positions in the store are
//! authoritative, not those of a consumer group: they are committed with the rows, so nothing is lost or read twice.

mod client;
mod config;
mod decode;
mod discover;
mod encode;
mod offsets;
mod position;
mod probe;
mod publish;
mod publish_config;
mod reader;
#[cfg(test)]
mod tests;
mod topics;

pub use config::{KafkaConfig, KafkaEnd, KafkaStart, QUEUE_BYTES_DEFAULT, reserved};
pub use decode::Encoding;
#[cfg(any(test, feature = "compliance"))]
pub use decode::decode_values;
pub use offsets::Offsets;
pub use position::inherit;
pub use probe::{PartitionSeen, TopicSeen, probe};
pub use publish::{PublishCounts, Publisher};
pub use publish_config::PublishConfig;
pub use topics::TopicReady;

use crate::{Batch, Source, SourceError};
use async_trait::async_trait;
use model::clock::SharedClock;
use model::position::Positions;
use reader::{Order, Reached, ReaderMessage};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Batches read ahead of the consumer, over all topics.
const BATCHES_AHEAD_MAX: usize = 4;

/// Topics of metrics and events.
pub struct KafkaSource {
    name: String,
    is_bounded: bool,
    state: State,
    /// By topic: its position, whether it is done, and why it is unreachable.
    topics: Vec<Topic>,
}

#[derive(Default)]
struct Topic {
    reached: Reached,
    is_done: bool,
    outage: Option<String>,
}

enum State {
    /// Nothing has been requested yet: no thread is running.
    Idle(Vec<Order>),
    /// The reader threads send.
    Reading(mpsc::Receiver<(usize, ReaderMessage)>),
    /// Everything has been delivered, or an error ended the source.
    Done,
}

impl KafkaConfig {
    /// The source, starting at `positions`. Nothing is dialled before the first batch is requested.
    pub fn build(&self, positions: &Positions, clock: &SharedClock) -> Result<KafkaSource, SourceError> {
        if let Err(mut problems) = self.validate() {
            return Err(problems.swap_remove(0));
        }
        let (config, name) = (Arc::new(self.clone()), self.source_name());
        let order = |(topic, kind): (&str, _)| Order {
            config: config.clone(),
            source: name.clone(),
            topic: topic.to_owned(),
            kind,
            committed: position::of_topic(positions, topic),
            clock: clock.clone(),
        };
        let orders: Vec<Order> = self.topics().into_iter().map(order).collect();
        let topics = orders.iter().map(|_| Topic::default()).collect();
        Ok(KafkaSource { name, is_bounded: self.is_bounded(), state: State::Idle(orders), topics })
    }
}

#[async_trait]
impl Source for KafkaSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_finite(&self) -> bool {
        self.is_bounded
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        self.start()?;
        loop {
            let State::Reading(messages) = &mut self.state else { return Ok(None) };
            let Some((index, message)) = messages.recv().await else {
                self.state = State::Done;
                return Err(self.fault("a reader thread ended early"));
            };
            match message {
                ReaderMessage::Batch(batch, reached) => {
                    self.topics[index].reached = reached;
                    return Ok(Some(*batch));
                }
                ReaderMessage::Outage(words) => {
                    self.topics[index].outage = (!words.is_empty()).then_some(words);
                    // an empty batch, so that the caller sees the outage
                    return Ok(Some(Batch::default()));
                }
                ReaderMessage::Finished => {
                    self.topics[index].is_done = true;
                    if self.topics.iter().all(|topic| topic.is_done) {
                        self.state = State::Done;
                    }
                }
                ReaderMessage::Failed(error) => {
                    self.state = State::Done;
                    return Err(error);
                }
            }
        }
    }

    /// Bytes read, and the estimated total, because Kafka counts records.
    fn progress_bytes(&self) -> Option<(u64, u64)> {
        let sum = |part: fn(&Reached) -> u64| self.topics.iter().map(|topic| part(&topic.reached)).sum::<u64>();
        let (records, in_all) = (sum(|it| it.records), sum(|it| it.records_in_all));
        let bytes = sum(|it| it.bytes);
        if !self.is_bounded || records == 0 {
            return None;
        }
        let estimate = u128::from(bytes) * u128::from(in_all.max(records)) / u128::from(records);
        Some((bytes, u64::try_from(estimate).unwrap_or(u64::MAX)))
    }

    fn outage(&self) -> Option<String> {
        let outages: Vec<&str> = self.topics.iter().filter_map(|topic| topic.outage.as_deref()).collect();
        outages.first().map(|words| (*words).to_owned())
    }
}

impl KafkaSource {
    /// Starts the reader threads at the first call.
    fn start(&mut self) -> Result<(), SourceError> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Idle(orders) => {
                let (send, receive) = mpsc::channel(BATCHES_AHEAD_MAX);
                for (index, order) in orders.into_iter().enumerate() {
                    let (send, name) = (send.clone(), self.name.clone());
                    std::thread::Builder::new()
                        .name(format!("kafka-{index}"))
                        .spawn(move || guarded(&send, (index, name), || reader::read(order, &send, index)))
                        .map_err(|cause| self.fault(&format!("cannot start a reader thread: {cause}")))?;
                }
                self.state = State::Reading(receive);
            }
            other => self.state = other,
        }
        Ok(())
    }

    fn fault(&self, problem: &str) -> SourceError {
        SourceError::Kafka { brokers: self.name.clone(), problem: problem.to_owned() }
    }
}

/// Runs a reader; its panic ends the source with the message, although the other readers continue.
fn guarded(send: &mpsc::Sender<(usize, ReaderMessage)>, (index, source): (usize, String), read: impl FnOnce()) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(read)) else { return };
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let problem = format!(
        "the reader of a topic failed: {}; this is a bug, please report it with this text",
        text.unwrap_or("a panic without a message")
    );
    // the source was dropped if this is not received
    let failed = ReaderMessage::Failed(SourceError::Kafka { brokers: source, problem });
    drop(send.blocking_send((index, failed)));
}
