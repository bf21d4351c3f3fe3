//! Inputs: builds the sources that the configuration names, each from where it was committed.

use crate::config::{ColonyConfig, ReefConfig, SourceConfig};
use model::position::Positions;
use sources::colony::ColonySourceConfig;
use sources::files::FilesConfig;
use sources::share::Share;
use sources::{Source, SourceError};
use std::collections::BTreeMap;
use std::time::Duration;

/// The configuration is right but asks for what this version does not do, or a source cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A colony is reachable through the mesh only.
    #[error(
        "colony {colony_id} has no endpoint: this version does not include the WireGuard mesh; give `endpoint = \"http://host:port\"` on a trusted network"
    )]
    MeshOnly {
        /// Which colony.
        colony_id: String,
    },
    /// A Kafka source.
    #[error("source kind \"kafka\" ({brokers}): this version reads files and live colonies only")]
    Kafka {
        /// Brokers as configured.
        brokers: String,
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
pub fn build(config: &ReefConfig, positions: &BTreeMap<String, Positions>) -> Result<Vec<Box<dyn Source>>, InputError> {
    build_share(config, positions, Share::WHOLE)
}

/// The sources that one of several processes reads: partitioned ones by partition, all others by process 0.
pub fn build_share(
    config: &ReefConfig,
    positions: &BTreeMap<String, Positions>,
    share: Share,
) -> Result<Vec<Box<dyn Source>>, InputError> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    if share.takes_the_undivided() {
        if let Some(files) = files(config)? {
            let from = positions.get("files").cloned().unwrap_or_default();
            let failed = |cause| InputError::Source { source_name: "files".to_owned(), cause };
            sources.push(Box::new(files.build(&from).map_err(failed)?));
        }
        for colony in &config.colonies {
            sources.extend(colony_sources(config, colony, positions)?);
        }
    }
    Ok(sources)
}

/// All file sources as one: a file has one position, however many tables of the configuration name it.
pub fn files(config: &ReefConfig) -> Result<Option<FilesConfig>, InputError> {
    let mut all = FilesConfig { base_dir: config.base_dir.clone(), ..FilesConfig::default() };
    for source in &config.sources {
        match source {
            SourceConfig::Files { metrics, events } => {
                all.metrics.extend(metrics.iter().cloned());
                all.events.extend(events.iter().cloned());
            }
            SourceConfig::Kafka { brokers, .. } => return Err(InputError::Kafka { brokers: brokers.clone() }),
        }
    }
    Ok((!all.metrics.is_empty() || !all.events.is_empty()).then_some(all))
}

/// Summaries and, unless it is switched off, the event stream of one colony.
///
/// With the stream on, summaries carry no events: two paths of different speed to one watermark would make rows late
/// that are not.
fn colony_sources(
    config: &ReefConfig,
    colony: &ColonyConfig,
    positions: &BTreeMap<String, Positions>,
) -> Result<Vec<Box<dyn Source>>, InputError> {
    let colony_id = &colony.colony_id;
    let Some(endpoint) = &colony.endpoint else {
        return Err(InputError::MeshOnly { colony_id: colony_id.clone() });
    };
    let collection = &config.collection;
    let from = |source_name: &str| positions.get(source_name).cloned().unwrap_or_default();
    let target = ColonySourceConfig {
        summary_interval: Duration::from_millis(collection.summary_interval_ms.unsigned_abs()),
        summaries_carry_events: !collection.event_stream,
        ..ColonySourceConfig::new(colony_id, endpoint)
    };
    let summaries_name = format!("colony-summaries:{colony_id}");
    let summaries = target
        .build_summaries(&from(&summaries_name))
        .map_err(|cause| InputError::Source { source_name: summaries_name, cause })?;
    let mut sources: Vec<Box<dyn Source>> = vec![Box::new(summaries)];
    if collection.event_stream {
        let events_name = format!("colony-events:{colony_id}");
        let events = target
            .build_events(&from(&events_name))
            .map_err(|cause| InputError::Source { source_name: events_name, cause })?;
        sources.push(Box::new(events));
    }
    Ok(sources)
}
