//! Rows of every kind, as delivered by sources and stored by stores.

use crate::chunks::Metrics;
use crate::event::Event;
use crate::metric::MetricPoint;
use crate::series::SeriesId;
use crate::time::{HOUR_MS, TimeMs};
use crate::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use foldhash::fast::RandomState as FastHash;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};

/// Rows of every kind, in no particular order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Events.
    pub events: Vec<Event>,
    /// Metric buckets.
    pub metrics: Metrics,
    /// Services.
    pub nodes: Vec<ServiceNode>,
    /// Connections between services.
    pub edges: Vec<ServiceEdge>,
    /// State of colonies.
    pub colonies: Vec<ColonyStatus>,
}

impl Rows {
    /// How many rows there are in all.
    pub fn len(&self) -> usize {
        self.events.len() + self.metrics.len() + self.nodes.len() + self.edges.len() + self.colonies.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that the rows take, roughly.
    pub fn bytes(&self) -> usize {
        let events = self.events.iter().map(|row| {
            let metadata: usize = row.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
            let texts = [&row.colony_id, &row.event_id, &row.application_name, &row.environment, &row.service_id];
            size_of_val(row) + bytes_of(texts) + row.event_type.len() + row.description.len() + metadata
        });
        let fleet = size_of_val(&*self.nodes) + size_of_val(&*self.edges) + size_of_val(&*self.colonies);
        events.sum::<usize>() + self.metrics.bytes() + fleet
    }

    /// Takes over all rows of `other`.
    pub fn append(&mut self, mut other: Rows) {
        self.events.append(&mut other.events);
        self.metrics.append(other.metrics);
        self.nodes.append(&mut other.nodes);
        self.edges.append(&mut other.edges);
        self.colonies.append(&mut other.colonies);
    }
}

fn bytes_of<const N: usize>(texts: [&String; N]) -> usize {
    texts.into_iter().map(String::len).sum()
}

/// One row of `env_metric_summary`: a metric of an environment in one hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RollupKey {
    /// Application.
    pub application_name: String,
    /// Environment.
    pub environment: String,
    /// Metric name.
    pub metric_name: String,
    /// Start of the hour.
    pub hour: TimeMs,
}

impl RollupKey {
    /// The summary row that a metric bucket belongs to.
    pub fn of(point: &MetricPoint) -> RollupKey {
        RollupKey::at(point.series, point.timestamp)
    }

    /// The summary row of a series at a time.
    pub fn at(series: SeriesId, time: TimeMs) -> RollupKey {
        RollupKey {
            application_name: series.application_name.clone(),
            environment: series.environment.clone(),
            metric_name: series.key.metric_name.clone(),
            hour: time.floor_to(HOUR_MS),
        }
    }

    /// The summary rows that these buckets belong to, each once.
    pub fn touched(metrics: &Metrics) -> BTreeSet<RollupKey> {
        let mut seen: HashSet<(TimeMs, SeriesId), FastHash> = HashSet::default();
        let mut keys = BTreeSet::new();
        for chunk in metrics.chunks() {
            for (series, time) in chunk.series().iter().zip(chunk.times()) {
                if seen.insert((time.floor_to(HOUR_MS), *series)) {
                    keys.insert(RollupKey::at(*series, *time));
                }
            }
        }
        keys
    }
}
