//! Deployments with a known outcome: their reports, and what each does to the metrics of its service.

use super::metrics::{Series, day_shape, series};
use super::rng::Rng;
use super::truth::PlantedDeployment;
use super::{Colony, FleetConfig};
use model::event::{Event, Severity};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeMap;

/// The service that is deployed.
const SERVICE: &str = "gateway";
/// Memory of the noise from one bucket to the next.
const PHI: f64 = 0.5;
/// A change lasts so long, then it is repaired.
const EFFECT_MS: i64 = 3 * HOUR_MS;
/// Fewest hours between deployments of an application: windows and changes do not overlap.
const SLOT_MS_MIN: i64 = 6 * HOUR_MS;

/// What a deployment does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    None,
    Faster,
    /// All environments of the application become slower at once, whatever was deployed.
    SlowEverywhere,
    Slower,
    MuchSlower,
    Errors,
    LessTraffic,
}

/// Share of deployments with an effect.
const EFFECTS: [(Effect, f64); 7] = [
    (Effect::None, 0.35),
    (Effect::Faster, 0.10),
    (Effect::SlowEverywhere, 0.10),
    (Effect::Slower, 0.15),
    (Effect::MuchSlower, 0.15),
    (Effect::Errors, 0.08),
    (Effect::LessTraffic, 0.07),
];

impl Effect {
    fn draw(rng: &mut Rng) -> Effect {
        let mut rest = rng.uniform();
        for (effect, share) in EFFECTS {
            rest -= share;
            if rest < 0.0 {
                return effect;
            }
        }
        Effect::None
    }

    fn name(self) -> &'static str {
        match self {
            Effect::None => "none",
            Effect::Faster => "faster",
            Effect::SlowEverywhere => "slow_everywhere",
            Effect::Slower => "slower",
            Effect::MuchSlower => "much_slower",
            Effect::Errors => "errors",
            Effect::LessTraffic => "less_traffic",
        }
    }

    /// The verdict that is right (methods.md: worse by 25 % is degraded, a latency or error metric by 50 % failed).
    fn outcome(self) -> &'static str {
        match self {
            Effect::None | Effect::Faster | Effect::SlowEverywhere => "success",
            Effect::Slower | Effect::LessTraffic => "degraded",
            Effect::MuchSlower | Effect::Errors => "failed",
        }
    }

    /// By what the metric is multiplied, from and to.
    fn factor(self) -> (&'static str, f64, f64) {
        match self {
            Effect::None => ("latency_ms", 1.0, 1.0),
            Effect::Faster => ("latency_ms", 0.5, 0.8),
            Effect::SlowEverywhere => ("latency_ms", 1.3, 2.0),
            Effect::Slower => ("latency_ms", 1.32, 1.42),
            Effect::MuchSlower => ("latency_ms", 1.7, 3.0),
            Effect::Errors => ("error_percent", 2.0, 6.0),
            Effect::LessTraffic => ("requests_per_second", 0.5, 0.65),
        }
    }
}

/// What the generator of deployments gives.
#[derive(Default)]
pub(crate) struct Generated {
    pub events: Vec<Event>,
    pub series: Vec<Series>,
    pub deployments: Vec<PlantedDeployment>,
}

/// A metric of one colony, multiplied for a time.
struct Change {
    colony: usize,
    metric: &'static str,
    from: TimeMs,
    factor: f64,
}

/// What the configuration says of deployments that is impossible.
pub(crate) fn check(config: &FleetConfig) -> Result<(), String> {
    if config.deployments == 0 {
        return Ok(());
    }
    if config.interval_seconds != 60 {
        return Err(format!("deployments in buckets of {} s; choose buckets of 60 s", config.interval_seconds));
    }
    if i64::from(config.days) * DAY_MS < 2 * SLOT_MS_MIN * i64::from(config.deployments) {
        let most = i64::from(config.days) * DAY_MS / (2 * SLOT_MS_MIN);
        return Err(format!("{} deployments of each colony; choose at most 2 a day: {most}", config.deployments));
    }
    Ok(())
}

/// Deployments of every colony, in turn with those of the application's other environment.
pub(crate) fn generate(config: &FleetConfig, colonies: &[Colony]) -> Generated {
    let mut made = Generated::default();
    let mut changes = Vec::new();
    if config.deployments == 0 {
        return made;
    }
    // in one half of a slot staging deploys, in the other production
    let half_ms = i64::from(config.days) * DAY_MS / (2 * i64::from(config.deployments));
    for (index, colony) in colonies.iter().enumerate() {
        let mut rng = Rng::of(config.seed, &format!("deployments/{}", colony.id));
        for number in 0..i64::from(config.deployments) {
            let slot = config.start + (2 * number + (index % 2) as i64) * half_ms;
            let start = (slot + HOUR_MS + rng.below_ms(half_ms - 5 * HOUR_MS)).floor_to(MINUTE_MS);
            let end = start + (1 + rng.below_ms(10)) * MINUTE_MS;
            let sibling = if index % 2 == 0 { index + 1 } else { index - 1 };
            let effect = match Effect::draw(&mut rng) {
                Effect::SlowEverywhere if sibling >= colonies.len() => Effect::None,
                effect => effect,
            };
            let (metric, low, high) = effect.factor();
            let factor = low + (high - low) * rng.uniform();
            changes.push(Change { colony: index, metric, from: end, factor });
            if effect == Effect::SlowEverywhere {
                changes.push(Change { colony: sibling, metric, from: end, factor });
            }
            let planted = PlantedDeployment {
                colony: colony.id.clone(),
                service: SERVICE.to_owned(),
                deployment_id: format!("{}-{number}", colony.id),
                version: format!("v1.{number}.0"),
                started_at: start.to_string(),
                completed_at: end.to_string(),
                effect: effect.name(),
                metric: metric.to_owned(),
                factor,
                outcome: effect.outcome(),
            };
            made.events.push(report(colony, &planted, "deployment_started", start));
            made.events.push(report(colony, &planted, "deployment_finished", end));
            made.deployments.push(planted);
        }
    }
    for (index, colony) in colonies.iter().enumerate() {
        for metric in ["latency_ms", "error_percent", "requests_per_second"] {
            let of_metric: Vec<&Change> =
                changes.iter().filter(|change| change.colony == index && change.metric == metric).collect();
            made.series.push(series(config, colony, SERVICE, metric, values(config, colony, metric, &of_metric)));
        }
    }
    made
}

fn values(config: &FleetConfig, colony: &Colony, metric: &str, changes: &[&Change]) -> Vec<f64> {
    let mut rng = Rng::of(config.seed, &format!("gateway/{}/{metric}", colony.id));
    let mut noise = rng.normal();
    let fresh = (1.0 - PHI * PHI).sqrt();
    let value = |step: usize| {
        noise = PHI * noise + fresh * rng.normal();
        let plain = match metric {
            "latency_ms" => 120.0 + 6.0 * noise,
            "error_percent" => 2.0 + 0.15 * noise,
            _ => 150.0 + 100.0 * day_shape(config, step) + 6.0 * noise,
        };
        let at = config.start + step as i64 * config.step_ms();
        let lasts = |change: &&&Change| (change.from..change.from + EFFECT_MS).contains(&at);
        changes.iter().filter(lasts).fold(plain, |value, change| value * change.factor)
    };
    (0..config.steps()).map(value).collect()
}

fn report(colony: &Colony, planted: &PlantedDeployment, event_type: &str, timestamp: TimeMs) -> Event {
    let metadata = [("version", &planted.version), ("deployment_id", &planted.deployment_id)];
    Event {
        colony_id: colony.id.clone(),
        event_id: format!("{}-{event_type}", planted.deployment_id),
        version: 0,
        withdrawn: false,
        application_name: colony.application.clone(),
        environment: colony.environment.to_owned(),
        timestamp,
        event_type: event_type.to_owned(),
        service_id: SERVICE.to_owned(),
        severity: Severity::Info,
        description: format!("{} of {SERVICE}", planted.version),
        metadata: metadata.map(|(name, text)| (name.to_owned(), text.clone())).into_iter().collect::<BTreeMap<_, _>>(),
    }
}
