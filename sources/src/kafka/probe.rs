//! Queries the brokers about a source's topics: for `validate`, before a run.

use super::client::{Consumer, Context, creation_words, drain};
use super::config::{KafkaConfig, KafkaEnd, KafkaStart};
use super::discover::{self, Fault, Range};
use super::offsets::Offsets;
use super::position::part;
use crate::error::SourceError;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::Consumer as _;

/// Current state of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSeen {
    /// Its name.
    pub topic: String,
    /// Its partitions; none when it does not exist yet.
    pub partitions: Vec<PartitionSeen>,
    /// Offsets of the configuration that it does not have, each with what will be done instead.
    pub problems: Vec<String>,
}

/// Current state of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionSeen {
    /// Its number.
    pub partition: i32,
    /// Offset of the earliest record that is still there.
    pub low: i64,
    /// First offset after the last committed record.
    pub high: i64,
    /// Where a run without a stored position starts.
    pub start: i64,
    /// Where it ends, if it does.
    pub end: Option<i64>,
}

/// Queries the brokers. Blocks for some seconds if they do not respond.
pub fn probe(config: &KafkaConfig) -> Result<Vec<TopicSeen>, SourceError> {
    if let Err(mut problems) = config.validate() {
        return Err(problems.swap_remove(0));
    }
    let consumer = Consumer::from_config_and_context(&config.client_config(), Context::default())
        .map_err(|error| config.error(&creation_words(&error)))?;
    let mut seen = Vec::new();
    for (topic, _) in config.topics() {
        let numbers =
            discover::partitions(&consumer, topic).map_err(|fault| config.error(&explained(&consumer, fault)))?;
        let mut partitions = Vec::new();
        let mut problems = unknown_partitions(config, topic, &numbers);
        for partition in numbers {
            let range = discover::range(&consumer, config, (topic, partition), None, false)
                .map_err(|fault| config.error(&explained(&consumer, fault)))?;
            problems.extend(outside(config, topic, partition, &range));
            let Range { low, high, start, end } = range;
            partitions.push(PartitionSeen { partition, low, high, start, end });
        }
        seen.push(TopicSeen { topic: topic.to_owned(), partitions, problems });
    }
    Ok(seen)
}

/// A fault with the reason that the library has logged.
fn explained(consumer: &Consumer, fault: Fault) -> String {
    drain(consumer);
    let reason = consumer.context().last_failure();
    if reason.is_empty() || fault.words.contains(&reason) { fault.words } else { format!("{} ({reason})", fault.words) }
}

fn offsets(config: &KafkaConfig) -> Vec<(&'static str, &Offsets)> {
    let start = if let KafkaStart::Offsets(offsets) = &config.start { Some(("start", offsets)) } else { None };
    let end = if let KafkaEnd::Offsets(offsets) = &config.end { Some(("end", offsets)) } else { None };
    start.into_iter().chain(end).collect()
}

/// Offsets that lie outside what the partition holds.
fn outside(config: &KafkaConfig, topic: &str, partition: i32, range: &Range) -> Vec<String> {
    let Range { low, high, .. } = *range;
    let problem = |(what, offsets): (&str, &Offsets)| {
        let offset = offsets.of(topic, partition).filter(|offset| !(low..=high).contains(offset))?;
        let used = offset.clamp(low, high);
        Some(format!("{what} {offset} is outside {} ({low} to {high}); {used} is used", part(topic, partition)))
    };
    offsets(config).into_iter().filter_map(problem).collect()
}

/// Partitions that the configuration names and the topic lacks.
fn unknown_partitions(config: &KafkaConfig, topic: &str, numbers: &[i32]) -> Vec<String> {
    let mut problems = Vec::new();
    for (what, offsets) in offsets(config) {
        let Offsets::Of(named) = offsets else { continue };
        for place in named.keys() {
            let (of, number) = place.rsplit_once('/').unwrap_or((topic, place));
            let is_known = number.parse().is_ok_and(|number: i32| numbers.contains(&number));
            if of == topic && !is_known && !numbers.is_empty() {
                problems.push(format!("{what} names {topic}/{number}, which does not exist"));
            }
        }
    }
    problems
}
