//! Seeded fleets: applications in environments, with events and metrics, planted relations, decoys, and the truth.
//!
//! | file | owns |
//! |---|---|
//! | `rng` | random numbers that are the same on every machine |
//! | `events` | background events, planted event relations, scheduled decoys |
//! | `metrics` | series, planted lagged relations, daily cycles |
//! | `deployments` | deployments with a known outcome, and the metrics of the service that is deployed |
//! | `truth` | planted relations, and pairs that only look related |
//! | `write` | rows as files, and the fleet as files |

mod deployments;
mod events;
mod metrics;
mod rng;
#[cfg(test)]
mod tests;
mod truth;
mod write;

pub use truth::{Decoy, End, EventRelation, MetricRelation, PlantedDeployment, Truth};
pub use write::{WrittenFiles, write_events, write_metrics};

use model::event::Event;
use model::metric::MetricPoint;
use model::time::{DAY_MS, SECOND_MS, TimeMs};

/// Applications are called by these names, then by these names with a number.
const APPLICATIONS: [&str; 8] = ["shop", "checkout", "billing", "search", "catalog", "delivery", "accounts", "media"];

/// Parameters of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetConfig {
    /// The same seed gives the same fleet, on every machine.
    pub seed: u64,
    /// How many colonies: staging and production of one application after the other.
    pub colonies: usize,
    /// Length of the history.
    pub days: u32,
    /// First instant; rounded down to the start of its UTC day.
    pub start: TimeMs,
    /// Length of a metric bucket: a divisor of 45 minutes.
    pub interval_seconds: u32,
    /// Deployments of each colony with a known outcome: at most 2 a day, in buckets of 60 s.
    pub deployments: u32,
}

impl Default for FleetConfig {
    /// Three applications, 30 days from Monday 5 January 2026, five-minute buckets.
    fn default() -> FleetConfig {
        let start = TimeMs(1_767_571_200_000);
        FleetConfig { seed: 1, colonies: 6, days: 30, start, interval_seconds: 300, deployments: 0 }
    }
}

impl FleetConfig {
    /// Errors of the configuration.
    pub fn validate(&self) -> Result<(), String> {
        if self.colonies == 0 || self.colonies > 1_000 {
            return Err(format!("{} colonies; choose 1 to 1000", self.colonies));
        }
        if self.days == 0 || self.days > 730 {
            return Err(format!("{} days; choose 1 to 730", self.days));
        }
        if self.interval_seconds == 0 || 2_700 % self.interval_seconds != 0 {
            return Err(format!("interval of {} s; choose a divisor of 2700 s, e.g. 60 or 300", self.interval_seconds));
        }
        deployments::check(self)
    }

    fn step_ms(&self) -> i64 {
        i64::from(self.interval_seconds) * SECOND_MS
    }

    fn steps(&self) -> usize {
        (i64::from(self.days) * DAY_MS / self.step_ms()) as usize
    }

    fn end(&self) -> TimeMs {
        self.start + i64::from(self.days) * DAY_MS
    }
}

/// One colony of a fleet.
#[derive(Clone, Debug)]
pub(crate) struct Colony {
    id: String,
    application: String,
    environment: &'static str,
}

impl Colony {
    fn new(index: usize) -> Colony {
        let (name, round) = (APPLICATIONS[index / 2 % APPLICATIONS.len()], index / 2 / APPLICATIONS.len());
        let application = if round == 0 { name.to_owned() } else { format!("{name}{}", round + 1) };
        let environment = if index.is_multiple_of(2) { "staging" } else { "production" };
        Colony { id: format!("{application}-{environment}"), application, environment }
    }

    fn is_production(&self) -> bool {
        self.environment == "production"
    }
}

/// A generated fleet with its history.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Every event, sorted by time.
    pub events: Vec<Event>,
    /// What was planted.
    pub truth: Truth,
    config: FleetConfig,
    series: Vec<metrics::Series>,
}

impl Fleet {
    /// Generates a fleet; the error is one of the configuration.
    ///
    /// ```
    /// use coral_sources::generator::{Fleet, FleetConfig};
    /// let fleet = Fleet::generate(&FleetConfig { days: 3, colonies: 2, ..FleetConfig::default() }).unwrap();
    /// assert_eq!(fleet.truth.colonies, ["shop-staging", "shop-production"]);
    /// assert_eq!(fleet.metrics().count() as u64, fleet.metric_rows());
    /// ```
    pub fn generate(config: &FleetConfig) -> Result<Fleet, String> {
        config.validate()?;
        let config = FleetConfig { start: config.start.floor_to(DAY_MS), ..config.clone() };
        let colonies: Vec<Colony> = (0..config.colonies).map(Colony::new).collect();
        let events = events::generate(&config, &colonies);
        let metrics = metrics::generate(&config, &colonies);
        let planted = deployments::generate(&config, &colonies);
        let truth = Truth {
            seed: config.seed,
            start: config.start.to_string(),
            days: config.days,
            colonies: colonies.into_iter().map(|colony| colony.id).collect(),
            event_relations: events.relations,
            metric_relations: metrics.relations,
            decoys: [events.decoys, metrics.decoys].concat(),
            deployments: planted.deployments,
        };
        let mut events = [events.events, planted.events].concat();
        events.sort_by(|a, b| (a.timestamp, &a.event_id).cmp(&(b.timestamp, &b.event_id)));
        Ok(Fleet { events, truth, config, series: [metrics.series, planted.series].concat() })
    }

    /// Every metric bucket, in the order of time.
    pub fn metrics(&self) -> impl Iterator<Item = MetricPoint> + '_ {
        metrics::points(&self.config, &self.series)
    }

    /// How many metric buckets there are.
    pub fn metric_rows(&self) -> u64 {
        (self.config.steps() * self.series.len()) as u64
    }
}
