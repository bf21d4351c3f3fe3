//! Whether the Kafka topics of a reef exist, and which part of them a run would read.

use super::checklist::{Check, Outcome};
use crate::text::{count, counted};
use model::error::one_line;
use pipelines::config::ReefConfig;
use pipelines::open::inputs;
use sources::kafka::{KafkaConfig, PartitionSeen, TopicSeen, probe};

/// Partitions whose offsets are shown one by one.
const PARTITIONS_SHOWN_MAX: usize = 16;

/// Checks what is possible without a broker and, unless `offline`, queries the brokers.
pub fn check_all(config: &ReefConfig, offline: bool) -> Vec<Check> {
    let sources = match inputs::kafka(config) {
        Ok(sources) => sources,
        // a secret that is not set here may be set where the reef runs
        Err(error) => {
            let outcome = if offline { Outcome::Warning } else { Outcome::Failed };
            return vec![Check::new("kafka", outcome, one_line(&error))];
        }
    };
    sources.iter().flat_map(|source| check(source, offline)).collect()
}

fn check(source: &KafkaConfig, offline: bool) -> Vec<Check> {
    let name = format!("kafka {}", source.brokers);
    if let Err(problems) = source.validate() {
        return problems.iter().map(|problem| Check::new(&name, Outcome::Failed, one_line(problem))).collect();
    }
    if offline {
        return vec![Check::new(name, Outcome::Skipped, "not asked (--no-network)")];
    }
    match probe(source) {
        Ok(topics) => topics.iter().flat_map(|topic| of_topic(source, topic)).collect(),
        Err(error) => vec![Check::new(name, Outcome::Failed, one_line(&error))],
    }
}

fn of_topic(source: &KafkaConfig, seen: &TopicSeen) -> Vec<Check> {
    let name = format!("topic {}", seen.topic);
    if seen.partitions.is_empty() {
        let then = if source.is_bounded() { "a run finds nothing in it" } else { "a run waits for it" };
        return vec![Check::new(name, Outcome::Warning, format!("does not exist at {} yet; {then}", source.brokers))];
    }
    let mut checks = vec![Check::new(&name, Outcome::Ok, what_is_read(&seen.partitions))];
    checks.extend(seen.problems.iter().map(|problem| Check::new(&name, Outcome::Warning, problem)));
    checks
}

fn what_is_read(partitions: &[PartitionSeen]) -> String {
    let records: i64 = partitions.iter().map(|it| (it.end.unwrap_or(it.high) - it.start).max(0)).sum();
    let span = |it: &PartitionSeen| match it.end {
        Some(end) => format!("{}: {} to {end}", it.partition, it.start),
        None => format!("{}: from {}", it.partition, it.start),
    };
    let shown: Vec<String> = partitions.iter().take(PARTITIONS_SHOWN_MAX).map(span).collect();
    let more = if partitions.len() > PARTITIONS_SHOWN_MAX { ", …" } else { "" };
    format!(
        "{}, {} records to read without a stored position ({}{more})",
        counted(partitions.len() as u64, "partition"),
        count(u64::try_from(records).unwrap_or(0)),
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_would_read_is_shown_by_partition() {
        let at = |partition, start, end| PartitionSeen { partition, low: 0, high: 1_500, start, end };
        assert_eq!(
            what_is_read(&[at(0, 200, Some(1_500)), at(1, 0, Some(0))]),
            "2 partitions, 1,300 records to read without a stored position (0: 200 to 1500, 1: 0 to 0)"
        );
        assert_eq!(
            what_is_read(&[at(0, 1_400, None)]),
            "1 partition, 100 records to read without a stored position (0: from 1400)"
        );
    }
}
