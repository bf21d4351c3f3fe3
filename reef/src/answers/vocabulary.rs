//! Vocabulary: the names that a question in words may have, as the store knows them.

use super::fleet::{Fleet, KnownColony, Scope};
use super::refusal::AnswerError;
use super::timeline::{self, DeploymentLine};
use model::time::{DAY_MS, HOUR_MS, TimeMs};
use sinks::StoreReader;
use std::collections::BTreeSet;

/// Names of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// Its colonies.
    pub fleet: Fleet,
    /// Services of the topology, of deployments and of patterns.
    pub services: BTreeSet<String>,
    /// Metrics of the last day.
    pub metrics: BTreeSet<String>,
    /// Types of events.
    pub event_types: BTreeSet<String>,
    /// The deployments, the newest first.
    pub deployments: Vec<DeploymentLine>,
}

impl Vocabulary {
    /// What a store knows.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(reader: &dyn StoreReader, scope: &Scope) -> Result<Vocabulary, AnswerError> {
        let fleet = Fleet::read(reader, scope).await?;
        let mut deployments = timeline::read(reader).await?;
        deployments.iter_mut().for_each(|line| line.identify(fleet.identity(&line.colony_id)));
        let mut services: BTreeSet<String> = deployments.iter().map(|line| line.service_id.clone()).collect();
        services.extend(reader.services().await?.into_iter().map(|node| node.latest.service_id));
        for row in reader.correlations().await? {
            services.extend([row.key.source.service_id.clone(), row.key.target.service_id.clone()]);
        }
        services.retain(|name| !name.is_empty() && name != "*");
        let newest = fleet.colonies.values().filter_map(|colony| colony.newest_metric).max();
        let metrics = match newest.map(|newest| newest.floor_to(HOUR_MS) + HOUR_MS) {
            Some(to) => reader.hours(to - DAY_MS, to).await?.into_iter().map(|(key, _)| key.metric_name).collect(),
            None => BTreeSet::new(),
        };
        let event_types = reader.event_types().await?.into_iter().collect();
        Ok(Vocabulary { fleet, services, metrics, event_types, deployments })
    }

    /// Now, which is after the newest row; `None` where nothing has been received.
    pub fn now(&self) -> Option<TimeMs> {
        self.fleet.colonies.values().filter_map(KnownColony::newest_row).max().map(|newest| newest + 1)
    }
}
