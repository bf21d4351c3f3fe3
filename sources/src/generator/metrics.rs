//! Metric series of a fleet: independent noise, planted lagged copies, daily cycles as decoys (methods.md 6.2).

use super::rng::Rng;
use super::truth::{Decoy, End, MetricRelation};
use super::{Colony, FleetConfig};
use model::metric::MetricPoint;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

/// Memory of the noise from one bucket to the next.
const PHI: f64 = 0.9;
/// Delay of the planted relation.
const LAG_MS: i64 = 45 * MINUTE_MS;
/// Correlation of the planted relation.
const COEFFICIENT: f64 = 0.95;
/// Load of a day by hour, 0..1: quiet nights, a peak in the afternoon.
const DAY_SHAPE: [f64; 24] = [
    0.12, 0.08, 0.05, 0.04, 0.05, 0.08, 0.16, 0.30, 0.48, 0.62, 0.72, 0.80, 0.84, 0.90, 0.97, 1.00, 0.96, 0.88, 0.76,
    0.66, 0.56, 0.42, 0.30, 0.20,
];

/// One series, all of it, one value per bucket.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    id: SeriesId,
    values: Vec<f64>,
}

/// What the generator of metrics gives.
pub(crate) struct Generated {
    pub series: Vec<Series>,
    pub relations: Vec<MetricRelation>,
    pub decoys: Vec<Decoy>,
}

/// All series of the fleet. The queue of an application's staging moves its production's latency 45 minutes later.
pub(crate) fn generate(config: &FleetConfig, colonies: &[Colony]) -> Generated {
    let mut made = Generated { series: Vec::new(), relations: Vec::new(), decoys: Vec::new() };
    let lag_steps = (LAG_MS / config.step_ms()) as usize;
    for colony in colonies {
        let load = noise(config, &format!("load/{}", colony.id), 0);
        let requests = load.iter().enumerate().map(|(step, n)| 40.0 + 200.0 * day_shape(config, step) + 4.0 * n);
        made.series.push(series(config, colony, "web", "requests_per_second", requests.collect()));
    }
    for pair in colonies.chunks(2) {
        let queue = noise(config, &format!("queue/{}", pair[0].id), lag_steps);
        let ahead = &queue[lag_steps..];
        made.series.push(series(
            config,
            &pair[0],
            "worker",
            "queue_depth",
            ahead.iter().map(|n| 60.0 + 8.0 * n).collect(),
        ));
        let own = noise(config, &format!("latency/{}", pair[0].id), 0);
        made.series.push(series(config, &pair[0], "api", "latency_ms", own.iter().map(|n| 120.0 + 10.0 * n).collect()));
        let [staging, production] = pair else { continue };
        let own = noise(config, &format!("latency/{}", production.id), 0);
        // the queue as it was one lag ago, and noise of its own that leaves the wanted correlation
        let rest = (1.0 - COEFFICIENT * COEFFICIENT).sqrt();
        let mixed = queue.iter().zip(&own).map(|(queue, own)| 120.0 + 10.0 * (COEFFICIENT * queue + rest * own));
        made.series.push(series(config, production, "api", "latency_ms", mixed.collect()));
        made.relations.push(MetricRelation {
            source: end(staging, "worker", "queue_depth"),
            target: end(production, "api", "latency_ms"),
            lag_minutes: LAG_MS / MINUTE_MS,
            coefficient: COEFFICIENT,
        });
    }
    for pair in colonies.windows(2) {
        let name = "requests_per_second";
        made.decoys.push(Decoy {
            kind: "daily_cycle",
            source: end(&pair[0], "web", name),
            target: end(&pair[1], "web", name),
        });
    }
    made
}

/// Every bucket of every series, in the order of time.
pub(crate) fn points<'a>(config: &'a FleetConfig, series: &'a [Series]) -> impl Iterator<Item = MetricPoint> + 'a {
    (0..config.steps()).flat_map(move |step| series.iter().map(move |series| point(config, series, step)))
}

fn point(config: &FleetConfig, series: &Series, step: usize) -> MetricPoint {
    // hundredths are enough, and keep files small
    let scaled = |factor: f64| Some(Real((series.values[step].max(0.0) * factor * 100.0).round() / 100.0));
    MetricPoint {
        series: series.id,
        timestamp: config.start + step as i64 * config.step_ms(),
        version: 0,
        count: Some((config.step_ms() / SECOND_MS) as u64),
        mean: scaled(0.65),
        p50: scaled(0.6),
        p95: scaled(1.0),
        p99: scaled(1.3),
        max: scaled(1.8),
    }
}

/// Noise with memory, of variance 1; `extra` values more than the history has buckets.
fn noise(config: &FleetConfig, label: &str, extra: usize) -> Vec<f64> {
    let mut rng = Rng::of(config.seed, label);
    let mut value = rng.normal();
    let fresh = (1.0 - PHI * PHI).sqrt();
    let steps = config.steps() + extra;
    (0..steps)
        .map(|_| {
            value = PHI * value + fresh * rng.normal();
            value
        })
        .collect()
}

/// The load at a bucket, between the hours' values on a straight line.
pub(crate) fn day_shape(config: &FleetConfig, step: usize) -> f64 {
    let of_day_ms = (config.start + step as i64 * config.step_ms()).0.rem_euclid(DAY_MS);
    let hour = (of_day_ms / HOUR_MS) as usize;
    let share = (of_day_ms % HOUR_MS) as f64 / HOUR_MS as f64;
    DAY_SHAPE[hour] * (1.0 - share) + DAY_SHAPE[(hour + 1) % 24] * share
}

pub(crate) fn series(
    config: &FleetConfig,
    colony: &Colony,
    service_id: &str,
    metric_name: &str,
    values: Vec<f64>,
) -> Series {
    let names = SeriesRef {
        colony_id: &colony.id,
        application_name: &colony.application,
        environment: colony.environment,
        service_id,
        metric_name,
        interval_seconds: Some((config.step_ms() / SECOND_MS) as u32),
    };
    Series { id: SeriesId::of(names), values }
}

fn end(colony: &Colony, service: &str, name: &str) -> End {
    End { colony: colony.id.clone(), service: service.to_owned(), name: name.to_owned() }
}
