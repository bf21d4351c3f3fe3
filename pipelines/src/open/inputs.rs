//! Inputs: builds the configured sources, each at its committed position.

use crate::config::{ColonyConfig, ReefConfig, SecretError, SecretSource, SourceConfig};
use crate::deferred::{self, Rewound};
use crate::memory::Memory;
use crate::open::network;
use mesh::MeshError;
use model::position::Positions;
use sources::colony::ColonySourceConfig;
use sources::files::FilesConfig;
use sources::kafka::{KafkaConfig, QUEUE_BYTES_DEFAULT};
use sources::share::Share;
use sources::{Source, SourceContext, SourceError};
use std::collections::BTreeMap;
use std::time::Duration;

/// The configuration is right but asks for what this version does not do, or a source cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A colony's mesh cannot be used as it is configured.
    #[error("colony {colony_id} cannot be reached")]
    Mesh {
        /// Which colony.
        colony_id: String,
        /// Why.
        #[source]
        cause: MeshError,
    },
    /// A property of a Kafka source that an environment variable holds.
    #[error("option {option:?} of kafka {brokers}")]
    Option {
        /// Brokers as configured.
        brokers: String,
        /// The property.
        option: String,
        /// Why its value is not there.
        #[source]
        cause: SecretError,
    },
    /// A source refused.
    #[error("cannot open source {source_name}")]
    Source {
        /// Which source.
        source_name: String,
        /// Why.
        #[source]
        cause: SourceError,
    },
}

/// All sources of the reef.
pub fn build(
    config: &ReefConfig,
    positions: &BTreeMap<String, Positions>,
    context: &SourceContext,
) -> Result<Vec<Box<dyn Source>>, InputError> {
    build_share(config, positions, Share::WHOLE, context)
}

/// The sources that one of several processes reads: partitioned ones by partition, all others by process 0.
pub fn build_share(
    config: &ReefConfig,
    positions: &BTreeMap<String, Positions>,
    share: Share,
    context: &SourceContext,
) -> Result<Vec<Box<dyn Source>>, InputError> {
    let (positions, rewound) = deferred::rewind(positions, context.clock.now());
    let sources = build_at(config, &positions, share, context)?;
    let tell = |source: Box<dyn Source>| -> Box<dyn Source> {
        let partitions = deferred::rewound_of(&rewound, source.name());
        if partitions.is_empty() { source } else { Box::new(Rewound { inner: source, partitions }) }
    };
    Ok(sources.into_iter().map(tell).collect())
}

/// The same from these positions.
fn build_at(
    config: &ReefConfig,
    positions: &BTreeMap<String, Positions>,
    share: Share,
    context: &SourceContext,
) -> Result<Vec<Box<dyn Source>>, InputError> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for kafka in kafka(config)? {
        let kafka = KafkaConfig { share, ..kafka };
        let source_name = kafka.source_name();
        let topics: Vec<&str> = kafka.topics().into_iter().map(|(topic, _)| topic).collect();
        let own = positions.get(&source_name).cloned().unwrap_or_default();
        let others = positions.iter().filter(|(name, _)| name.starts_with("kafka:")).map(|(_, held)| held);
        let from = sources::kafka::inherit(&own, others, &topics);
        let failed = |cause| InputError::Source { source_name, cause };
        sources.push(Box::new(kafka.build(&from, &context.clock).map_err(failed)?));
    }
    if !share.takes_the_undivided() {
        return Ok(sources);
    }
    if let Some(files) = files(config) {
        let from = positions.get("files").cloned().unwrap_or_default();
        let failed = |cause| InputError::Source { source_name: "files".to_owned(), cause };
        sources.push(Box::new(files.build(&from, &context.clock).map_err(failed)?));
    }
    for colony in &config.colonies {
        sources.extend(colony_sources(config, colony, positions, context)?);
    }
    Ok(sources)
}

/// All file sources as one: a file has one position, even if several tables of the configuration name it.
pub fn files(config: &ReefConfig) -> Option<FilesConfig> {
    let mut all = FilesConfig { base_dir: config.base_dir.clone(), ..FilesConfig::default() };
    for source in &config.sources {
        if let SourceConfig::Files { metrics, events, version } = source {
            for pattern in metrics.iter().chain(events) {
                let stated = all.versions.entry(pattern.clone()).or_default();
                *stated = (*stated).max(*version);
            }
            all.metrics.extend(metrics.iter().cloned());
            all.events.extend(events.iter().cloned());
        }
    }
    (!all.metrics.is_empty() || !all.events.is_empty()).then_some(all)
}

/// Every Kafka source, with the values of its properties.
pub fn kafka(config: &ReefConfig) -> Result<Vec<KafkaConfig>, InputError> {
    let mut all = Vec::new();
    for source in &config.sources {
        let SourceConfig::Kafka { brokers, metrics_topic, events_topic, start, end, options, options_env } = source
        else {
            continue;
        };
        let mut values: BTreeMap<String, String> =
            options.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect();
        for (option, variable) in options_env {
            let value = SecretSource::Env(variable.clone()).resolve().map_err(|cause| InputError::Option {
                brokers: brokers.clone(),
                option: option.clone(),
                cause,
            })?;
            values.insert(option.clone(), value.reveal().to_owned());
        }
        all.push(KafkaConfig {
            start: start.clone(),
            end: end.clone(),
            group_id: format!("coral.{}", config.reef_id),
            options: values,
            queue_bytes_max: queue_bytes_max(config),
            ..KafkaConfig::new(brokers, metrics_topic.as_deref(), events_topic.as_deref())
        });
    }
    Ok(all)
}

/// What a topic may hold prefetched: a small part of the memory there is. The library's own book-keeping takes as much
/// again for small messages.
fn queue_bytes_max(config: &ReefConfig) -> u64 {
    Memory::of(config.engine.memory_limit_bytes).topic_bytes().clamp(1 << 20, QUEUE_BYTES_DEFAULT)
}

/// Summaries and, unless disabled, the event stream of one colony.
///
/// With the stream on, summaries carry no events: two paths of different speed to one watermark would make rows late
/// that are not.
fn colony_sources(
    config: &ReefConfig,
    colony: &ColonyConfig,
    positions: &BTreeMap<String, Positions>,
    context: &SourceContext,
) -> Result<Vec<Box<dyn Source>>, InputError> {
    let colony_id = &colony.colony_id;
    let route = network::route(colony).map_err(|cause| InputError::Mesh { colony_id: colony_id.clone(), cause })?;
    let collection = &config.collection;
    let from = |source_name: &str| positions.get(source_name).cloned().unwrap_or_default();
    let target = ColonySourceConfig {
        summary_interval: Duration::from_millis(collection.summary_interval_ms.unsigned_abs()),
        summaries_carry_events: !collection.event_stream,
        ..ColonySourceConfig::at(colony_id, route)
    };
    let summaries_name = format!("colony-summaries:{colony_id}");
    let summaries = target
        .build_summaries(&from(&summaries_name), context)
        .map_err(|cause| InputError::Source { source_name: summaries_name, cause })?;
    let mut sources: Vec<Box<dyn Source>> = vec![Box::new(summaries)];
    if collection.event_stream {
        let events_name = format!("colony-events:{colony_id}");
        let events = target
            .build_events(&from(&events_name), context)
            .map_err(|cause| InputError::Source { source_name: events_name, cause })?;
        sources.push(Box::new(events));
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Format, parse};
    use model::clock::SystemClock;

    /// What is read of a reef with these `[[sources]]`: partitions with the ids of their events, in order.
    async fn read(sources: &[&str]) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let event = |id: &str| {
            format!(
                "{{\"event_id\":\"{id}\",\"colony_id\":\"c\",\"timestamp\":\"2023-01-03T19:00:00Z\",\
                 \"event_type\":\"deploy\",\"service_id\":\"s\"}}\n"
            )
        };
        std::fs::write(folder.path().join("e.ndjson"), event("e1")).unwrap();
        std::fs::write(folder.path().join("f.ndjson"), event("f1")).unwrap();
        let tables: String =
            sources.iter().map(|patterns| format!("[[sources]]\nkind = \"files\"\n{patterns}\n")).collect();
        let file = folder.path().join("reef.toml");
        let config = parse(&format!("reef_id = \"r\"\n{tables}"), Format::Toml, &file).unwrap();
        let mut source = files(&config).unwrap().build(&Positions::default(), &SystemClock::shared()).unwrap();
        let (mut partitions, mut ids) = (Vec::new(), Vec::new());
        while let Some(batch) = source.next_batch().await.unwrap() {
            partitions.extend(batch.positions.0.into_keys());
            ids.extend(batch.rows.events.into_iter().map(|event| event.event_id));
        }
        (partitions, ids)
    }

    #[tokio::test]
    async fn a_file_in_several_tables_of_the_configuration_is_read_once() {
        let both = (vec!["e.ndjson".to_owned(), "f.ndjson".to_owned()], vec!["e1".to_owned(), "f1".to_owned()]);
        for tables in [
            ["events = [\"*.ndjson\"]", "events = [\"e.ndjson\"]"],
            ["events = [\"e.ndjson\", \"f.ndjson\"]", "events = [\"e.ndjson\"]"],
            ["events = [\"e.ndjson\"]", "events = [\"./e.ndjson\", \"f.ndjson\"]"],
        ] {
            assert_eq!(read(&tables).await, both, "{tables:?}");
        }
    }
}
