//! Current state of a topic: its partitions, and the start and end of each read.

use super::client::{Consumer, Trouble, class, reason_with_log};
use super::config::{KafkaConfig, KafkaEnd, KafkaStart};
use super::position::part;
use model::time::TimeMs;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

/// How long brokers may take to say which partitions there are.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a broker may take to say an offset.
const OFFSET_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the query failed.
#[derive(Debug)]
pub(super) struct Fault {
    /// Whether a retry can succeed without a change on the other side.
    pub is_refusal: bool,
    /// What happened.
    pub words: String,
}

impl Fault {
    fn of(what: &str, error: &KafkaError, consumer: &Consumer) -> Fault {
        let words = format!("{what}: {}", reason_with_log(error, consumer));
        Fault { is_refusal: class(error) == Trouble::Refused, words }
    }
}

/// The partitions of a topic, sorted; none when the topic does not exist.
pub(super) fn partitions(consumer: &Consumer, topic: &str) -> Result<Vec<i32>, Fault> {
    let metadata = consumer
        .fetch_metadata(Some(topic), METADATA_TIMEOUT)
        .map_err(|error| Fault::of("no response from the brokers", &error, consumer))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(Vec::new()) };
    if let Some(error) = found.error() {
        let code = RDKafkaErrorCode::from(error);
        use RDKafkaErrorCode as Code;
        return match code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => Ok(Vec::new()),
            _ => Err(Fault::of(&format!("topic {topic}"), &KafkaError::MetadataFetch(code), consumer)),
        };
    }
    let mut ids: Vec<i32> = found.partitions().iter().map(|partition| partition.id()).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Current state of a partition, and the range to read: `start <= offset < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// Offset of the earliest record that is still there.
    pub low: i64,
    /// First offset after the last committed record.
    pub high: i64,
    /// Where to start.
    pub start: i64,
    /// Where to stop; `None`: never.
    pub end: Option<i64>,
}

/// Start and end of a partition's read. A `committed` position has priority, then `start`; a partition added while the
/// topic was read is read from its beginning.
pub(super) fn range(
    consumer: &Consumer,
    config: &KafkaConfig,
    (topic, partition): (&str, i32),
    committed: Option<i64>,
    is_added: bool,
) -> Result<Range, Fault> {
    let (low, high) = watermarks(consumer, topic, partition)?;
    let at = |time: TimeMs| at_time(consumer, topic, partition, time).map(|offset| offset.unwrap_or(high));
    let is_passed = |next: i64| match &config.end {
        KafkaEnd::Seen(seen) => seen.of(topic, partition).is_some_and(|end| next >= end),
        _ => false,
    };
    let start = match (committed, &config.start) {
        // already done; later changes of the topic do not matter
        (Some(next), _) if is_passed(next) => next,
        (Some(next), _) => go_on(&part(topic, partition), next, low, high),
        (None, _) if is_added => low,
        (None, KafkaStart::Committed | KafkaStart::Earliest) => low,
        (None, KafkaStart::Latest) => high,
        (None, KafkaStart::Time(time)) => at(*time)?,
        (None, KafkaStart::Offsets(offsets)) => offsets.of(topic, partition).map_or(low, |at| at.clamp(low, high)),
    };
    let end = match &config.end {
        KafkaEnd::Never => None,
        KafkaEnd::Now => Some(high),
        KafkaEnd::Time(time) => Some(at(*time)?),
        KafkaEnd::Offsets(offsets) => Some(offsets.of(topic, partition).map_or(high, |at| at.min(high))),
        KafkaEnd::Seen(offsets) => Some(offsets.of(topic, partition).unwrap_or(start)),
    };
    Ok(Range { low, high, start, end })
}

/// Offset of the earliest record, and the first one after the last committed record.
pub(super) fn watermarks(consumer: &Consumer, topic: &str, partition: i32) -> Result<(i64, i64), Fault> {
    consumer
        .fetch_watermarks(topic, partition, OFFSET_TIMEOUT)
        .map_err(|error| Fault::of(&part(topic, partition), &error, consumer))
}

/// A committed position in a partition whose records are `low..high` now.
fn go_on(part: &str, next: i64, low: i64, high: i64) -> i64 {
    if next < low {
        let gone = low - next;
        tracing::warn!(part, next, low, gone, "records were deleted before they were read; continuing after them");
        low
    } else if next > high {
        tracing::warn!(
            part,
            next,
            high,
            "the position lies beyond the end: the topic was recreated; reading it from its start"
        );
        low
    } else {
        next
    }
}

/// The first offset whose record has this time or a later one; `None` when there is none yet.
fn at_time(consumer: &Consumer, topic: &str, partition: i32, time: TimeMs) -> Result<Option<i64>, Fault> {
    let failed = |error: KafkaError| Fault::of(&format!("{} at {time}", part(topic, partition)), &error, consumer);
    let mut asked = TopicPartitionList::new();
    asked.add_partition_offset(topic, partition, Offset::Offset(time.0.max(0))).map_err(failed)?;
    let answer = consumer.offsets_for_times(asked, OFFSET_TIMEOUT).map_err(failed)?;
    let Some(found) = answer.find_partition(topic, partition) else { return Ok(None) };
    found.error().map_err(failed)?;
    match found.offset() {
        Offset::Offset(offset) => Ok(Some(offset)),
        _ => Ok(None),
    }
}
