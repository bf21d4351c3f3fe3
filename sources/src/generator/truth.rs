//! Planted relations of a fleet, and pairs that only look related: the expected results of a run.

use serde::Serialize;

/// The truth about a fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Truth {
    /// Seed of the fleet.
    pub seed: u64,
    /// First instant, RFC 3339.
    pub start: String,
    /// Length of the history.
    pub days: u32,
    /// Every colony.
    pub colonies: Vec<String>,
    /// Relations between event types; each should be found.
    pub event_relations: Vec<EventRelation>,
    /// Relations between metrics; each should be found.
    pub metric_relations: Vec<MetricRelation>,
    /// Pairs that look related and are not; none should be confirmed.
    pub decoys: Vec<Decoy>,
    /// Deployments with a known outcome.
    pub deployments: Vec<PlantedDeployment>,
}

/// One end of a relation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct End {
    /// Colony.
    pub colony: String,
    /// Service.
    pub service: String,
    /// Event type or metric name.
    pub name: String,
}

/// A planted relation between two event types.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventRelation {
    /// The source.
    pub source: End,
    /// The target.
    pub target: End,
    /// Mean delay.
    pub lag_minutes: f64,
    /// Standard deviation of the delay.
    pub lag_sd_minutes: f64,
    /// Share of sources that are followed.
    pub hit_probability: f64,
    /// Sources in the history.
    pub source_events: usize,
    /// Of these, followed within the history.
    pub occurrences: usize,
}

/// A planted relation between two metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricRelation {
    /// What moves first.
    pub source: End,
    /// The target.
    pub target: End,
    /// Delay, a whole number of buckets.
    pub lag_minutes: i64,
    /// Correlation at that lag in the long run, with its sign.
    pub coefficient: f64,
}

/// A pair that must not be confirmed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decoy {
    /// `same_schedule`, `working_hours` or `daily_cycle`.
    pub kind: &'static str,
    /// One end.
    pub source: End,
    /// The other end.
    pub target: End,
}

/// A deployment and what it does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlantedDeployment {
    /// Colony.
    pub colony: String,
    /// Service.
    pub service: String,
    /// What its reports call it.
    pub deployment_id: String,
    /// The new version.
    pub version: String,
    /// When it begins, RFC 3339.
    pub started_at: String,
    /// When it ends, RFC 3339.
    pub completed_at: String,
    /// `none`, `faster`, `slow_everywhere` (no effect of its own), `slower`, `much_slower`, `errors` or `less_traffic`.
    pub effect: &'static str,
    /// The metric that changes.
    pub metric: String,
    /// By what it is multiplied for three hours.
    pub factor: f64,
    /// The verdict that is right: `success`, `degraded` or `failed`.
    pub outcome: &'static str,
}
