//! One topic on its own thread: finds partitions, polls, decodes, and stops exactly at the end.
//!
//! Partitions are assigned here, by hand; no rebalance can take one away in the middle of a batch. A full queue to the
//! source stops the polling, and a full prefetch queue stops the fetching: a slow store slows everything before it.

use super::client::{Consumer, Context, Trouble, class, creation_words, drain, reason_with_log};
use super::config::KafkaConfig;
use super::decode::{Decoder, envelope};
use super::discover::{self, Fault};
use super::position::part;
use crate::backoff::Backoff;
use crate::record::RowKind;
use crate::{Arrival, Batch, SourceError};
use model::clock::SharedClock;
use model::position::Positions;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

mod ending;

/// The most messages in a batch, good and bad together.
const BATCH_ROWS_MAX: usize = 8_192;
/// The most bytes of values in a batch; the message that crosses it is the last.
const BATCH_BYTES_MAX: u64 = 8 << 20;
/// Number of messages between two reads of the clock, each of which costs as much as reading a field.
const MESSAGES_PER_CLOCK: u32 = 32;
/// How long a poll waits when nothing else is due: how soon a source that was dropped is noticed.
const POLL_MAX: Duration = Duration::from_millis(100);

/// What a reader sends.
pub(super) enum ReaderMessage {
    /// A batch, and the topic's progress.
    Batch(Box<Batch>, Reached),
    /// The brokers are not reached, or (empty words) are again.
    Outage(String),
    /// A bounded read is complete.
    Finished,
    /// The source cannot continue.
    Failed(SourceError),
}

/// Progress of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    /// Offsets passed.
    pub records: u64,
    /// Offsets to pass in all, for a bounded read.
    pub records_in_all: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// What a reader is started with.
pub(super) struct Order {
    pub config: Arc<KafkaConfig>,
    pub source: String,
    pub topic: String,
    pub kind: RowKind,
    /// Resume offset of each partition.
    pub committed: BTreeMap<i32, i64>,
    /// The clock that detects rows from the future.
    pub clock: SharedClock,
}

/// Reads the topic until its end, a permanent fault, or until the receiver is dropped.
pub(super) fn read(order: Order, send: &mpsc::Sender<(usize, ReaderMessage)>, index: usize) {
    let decoder = Decoder::new(&order.source, order.kind, order.clock.clone());
    let reader = Reader {
        backoff: Backoff::new(order.config.backoff),
        order,
        decoder,
        batch_bytes: 0,
        reached: Reached::default(),
        partitions: Vec::new(),
        cut_at: None,
        look_at: Some(Instant::now()),
        has_looked: false,
        is_missing: false,
        is_lost: false,
        short_since: None,
        send: send.clone(),
        index,
    };
    match reader.run() {
        Ok(()) | Err(Stop::Dropped) => {}
        // the source was dropped if this is not received
        Err(Stop::Failed(error)) => drop(send.blocking_send((index, ReaderMessage::Failed(error)))),
    }
}

/// Why a reader ends early.
enum Stop {
    /// The receiver was dropped.
    Dropped,
    Failed(SourceError),
}

/// A partition that is read.
struct Partition {
    start: i64,
    next: i64,
    end: Option<i64>,
    is_done: bool,
    /// Its position has changed since the last batch.
    has_moved: bool,
    /// The library has met the end of the log; it is not yet verified that this is the end of the read.
    met_end: bool,
    /// It has not been read to the end of its log yet: its records are backlog.
    is_behind: bool,
    /// Since when it is away, or ends before the end of the read.
    short_since: Option<Instant>,
    /// Its offset when the brokers were last queried.
    seen_at: i64,
}

struct Reader {
    order: Order,
    decoder: Decoder,
    batch_bytes: u64,
    reached: Reached,
    /// By number.
    partitions: Vec<Option<Partition>>,
    /// When the open batch is cut.
    cut_at: Option<Instant>,
    /// When the brokers are next queried for partitions.
    look_at: Option<Instant>,
    /// All partitions that there were at the start are known.
    has_looked: bool,
    is_missing: bool,
    is_lost: bool,
    /// Since when a topic ends sooner than it once did.
    short_since: Option<Instant>,
    backoff: Backoff,
    send: mpsc::Sender<(usize, ReaderMessage)>,
    index: usize,
}

impl Reader {
    fn run(mut self) -> Result<(), Stop> {
        let config = self.order.config.client_config();
        let consumer = Consumer::from_config_and_context(&config, Context::default())
            .map_err(|error| Stop::Failed(self.order.config.error(&creation_words(&error))))?;
        let mut now = Instant::now();
        let mut since_clock = 0_u32;
        loop {
            if self.send.is_closed() {
                return Err(Stop::Dropped);
            }
            if since_clock.is_multiple_of(MESSAGES_PER_CLOCK) {
                now = Instant::now();
            }
            if self.look_at.is_some_and(|at| at <= now) {
                self.look(&consumer)?;
            }
            if self.is_complete() {
                self.flush()?;
                return self.tell(ReaderMessage::Finished);
            }
            let polled = consumer.poll(self.wait(now));
            since_clock = if matches!(polled, Some(Ok(_))) { since_clock.wrapping_add(1) } else { 0 };
            match polled {
                Some(Ok(message)) => self.take(&consumer, &message)?,
                Some(Err(KafkaError::PartitionEOF(partition))) => self.meet_end(&consumer, partition)?,
                Some(Err(error)) => self.take_error(&consumer, &error)?,
                None => {}
            }
            let is_full = self.decoder.len() >= BATCH_ROWS_MAX || self.batch_bytes >= BATCH_BYTES_MAX;
            if is_full || self.cut_at.is_some_and(|at| at <= now) {
                self.flush()?;
            }
        }
    }

    /// How long a poll may wait.
    fn wait(&self, now: Instant) -> Duration {
        let due = [self.cut_at, self.look_at].into_iter().flatten().map(|at| at.saturating_duration_since(now)).min();
        due.unwrap_or(POLL_MAX).min(POLL_MAX)
    }

    fn is_complete(&self) -> bool {
        self.order.config.is_bounded()
            && self.has_looked
            && self.partitions.iter().flatten().all(|partition| partition.is_done)
    }

    /// Decodes a message, unless it is beyond the end.
    fn take(&mut self, consumer: &Consumer, message: &BorrowedMessage<'_>) -> Result<(), Stop> {
        if self.is_lost {
            self.found()?;
        }
        let number = message.partition();
        let slot = usize::try_from(number).ok().and_then(|slot| self.partitions.get_mut(slot));
        let Some(Some(partition)) = slot else { return Ok(()) };
        let offset = message.offset();
        if partition.is_done {
            return Ok(());
        }
        if partition.end.is_some_and(|end| offset >= end) {
            return self.finish(consumer, number);
        }
        let value = message.payload();
        let topic = &self.order.topic;
        self.decoder.take(envelope(message), value, || format!("{}@{offset}", part(topic, number)));
        let bytes = value.map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len);
        self.batch_bytes += bytes as u64;
        self.reached.bytes += bytes as u64;
        partition.next = offset + 1;
        partition.has_moved = true;
        partition.met_end = false;
        let is_last = partition.end == Some(offset + 1);
        if self.cut_at.is_none() {
            self.cut_at = Some(Instant::now() + self.order.config.batch_delay);
        }
        if is_last { self.finish(consumer, number) } else { Ok(()) }
    }

    fn take_fault(&mut self, consumer: &Consumer, mut fault: Fault) -> Result<(), Stop> {
        // without partitions polling the queue loses nothing: it has the reason why the brokers are unreachable
        if self.partitions.iter().flatten().next().is_none() {
            fault.is_refusal |= drain(consumer);
            let reason = consumer.context().last_failure();
            if !fault.words.contains(&reason) {
                fault.words = format!("{} ({reason})", fault.words);
            }
        }
        if fault.is_refusal && !self.has_looked {
            return Err(Stop::Failed(self.order.config.error(&fault.words)));
        }
        self.lost(&fault.words)
    }

    /// Finds partitions: all at first, new ones later. A bounded read uses those that existed at its start, and checks
    /// whether they can still be read to the end.
    fn look(&mut self, consumer: &Consumer) -> Result<(), Stop> {
        let found = match discover::partitions(consumer, &self.order.topic) {
            Ok(found) => found,
            Err(fault) => {
                self.short_since = None;
                self.partitions.iter_mut().flatten().for_each(|partition| partition.short_since = None);
                return self.take_fault(consumer, fault);
            }
        };
        let is_bounded = self.order.config.is_bounded();
        let outcome = if is_bounded && self.has_looked {
            self.verify_all(consumer, &found)?
        } else {
            self.verify_seen(consumer, &found)?.and_then(|()| self.add(consumer, &found))
        };
        if let Err(fault) = outcome {
            return self.take_fault(consumer, fault);
        }
        self.has_looked = true;
        self.backoff.reset();
        self.look_at = Some(Instant::now() + self.order.config.metadata_interval);
        if self.partitions.iter().flatten().any(|it| !it.is_done && (it.met_end || it.short_since.is_some())) {
            self.look_soon();
        }
        if self.is_lost { self.found() } else { Ok(()) }
    }

    /// Begins the partitions that are not read yet.
    fn add(&mut self, consumer: &Consumer, found: &[i32]) -> Result<(), Fault> {
        let is_missing = found.is_empty();
        if is_missing && !self.is_missing {
            let (topic, brokers) = (&self.order.topic, &self.order.config.brokers);
            let then = if self.order.config.is_bounded() { "nothing to read in it" } else { "waiting for it" };
            tracing::warn!(%topic, %brokers, "topic {topic} does not exist: {then}");
        }
        self.is_missing = is_missing;
        let mut failed = None;
        let share = self.order.config.share;
        for number in found.iter().filter(|number| share.takes(**number)) {
            let Ok(slot) = usize::try_from(*number) else { continue };
            if self.partitions.len() <= slot {
                self.partitions.resize_with(slot + 1, || None);
            }
            if self.partitions[slot].is_some() {
                continue;
            }
            // the others are read in the meantime
            if let Err(fault) = self.begin(consumer, *number, slot) {
                failed = Some(fault);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn begin(&mut self, consumer: &Consumer, number: i32, slot: usize) -> Result<(), Fault> {
        let Order { config, topic, committed, .. } = &self.order;
        let held = committed.get(&number).copied();
        let range = discover::range(consumer, config, (topic, number), held, self.has_looked)?;
        let is_done = range.end.is_some_and(|end| range.start >= end);
        if !is_done {
            let failed = |error: KafkaError| Fault { is_refusal: false, words: format!("{topic}/{number}: {error}") };
            let mut added = TopicPartitionList::new();
            added.add_partition_offset(topic, number, Offset::Offset(range.start)).map_err(failed)?;
            consumer.incremental_assign(&added).map_err(failed)?;
        }
        tracing::debug!(%topic, number, ?range, "partition begun");
        self.reached.records_in_all += range.end.map_or(0, |end| (end - range.start).max(0)) as u64;
        // the position is committed before the first row: a run that starts at the latest record and reads none of it
        // must not start at a later one next time
        self.partitions[slot] = Some(Partition {
            start: range.start,
            next: range.start,
            end: range.end,
            is_done,
            has_moved: held != Some(range.start),
            met_end: false,
            is_behind: true,
            short_since: None,
            seen_at: range.start,
        });
        self.cut_at.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn take_error(&mut self, consumer: &Consumer, error: &KafkaError) -> Result<(), Stop> {
        let words = reason_with_log(error, consumer);
        match (error, class(error)) {
            (KafkaError::MessageConsumptionFatal(_), _) => Err(Stop::Failed(self.order.config.error(&words))),
            (_, Trouble::Refused) if !self.has_looked => Err(Stop::Failed(self.order.config.error(&words))),
            (_, Trouble::Refused | Trouble::Away) => self.lost(&words),
            (_, Trouble::Passing) => {
                if self.order.config.is_bounded() {
                    self.look_soon();
                }
                tracing::debug!(topic = %self.order.topic, error = %words, "kafka");
                Ok(())
            }
        }
    }

    /// Records a failure: the brokers are queried again after a pause. Reported once per outage.
    fn lost(&mut self, words: &str) -> Result<(), Stop> {
        let now = Instant::now();
        // the library reports every attempt; that must not delay ours
        if !self.is_lost || self.look_at.is_none_or(|at| at <= now) {
            self.look_at = Some(now + self.backoff.next_pause());
        }
        if self.is_lost {
            return Ok(());
        }
        self.is_lost = true;
        let (topic, brokers) = (&self.order.topic, &self.order.config.brokers);
        tracing::warn!(%brokers, %topic, error = %words, "kafka lost; trying again");
        let words = format!("{brokers}: {words}");
        self.flush()?;
        self.tell(ReaderMessage::Outage(words))
    }

    fn found(&mut self) -> Result<(), Stop> {
        self.is_lost = false;
        tracing::info!(brokers = %self.order.config.brokers, topic = %self.order.topic, "kafka is back");
        self.tell(ReaderMessage::Outage(String::new()))
    }

    /// Sends the rows read, with the positions after them.
    fn flush(&mut self) -> Result<(), Stop> {
        let is_behind = self.partitions.iter().flatten().any(|partition| partition.is_behind);
        self.flush_as(if is_behind { Arrival::Backlog } else { Arrival::Live })
    }

    fn flush_as(&mut self, arrival: Arrival) -> Result<(), Stop> {
        self.cut_at = None;
        self.batch_bytes = 0;
        let (rows, rejects, report) = self.decoder.finish();
        let mut positions = Positions::default();
        let mut records = 0;
        for (number, partition) in (0_i32..).zip(&mut self.partitions) {
            let Some(partition) = partition else { continue };
            records += (partition.next - partition.start).max(0) as u64;
            if std::mem::take(&mut partition.has_moved) {
                positions.0.insert(part(&self.order.topic, number), partition.next.to_string());
            }
        }
        self.reached.records = records;
        let batch = Batch { rows, rejects, positions, report, ..Batch::default() };
        if batch == Batch::default() {
            return Ok(());
        }
        self.tell(ReaderMessage::Batch(Box::new(Batch { arrival, ..batch }), self.reached))
    }

    fn tell(&self, message: ReaderMessage) -> Result<(), Stop> {
        self.send.blocking_send((self.index, message)).map_err(|_| Stop::Dropped)
    }
}
