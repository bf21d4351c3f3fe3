//! Fleets: the same everywhere, readable by the files source, with the planted relations in them.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::Source;
use crate::files::FilesConfig;
use model::clock::SystemClock;
use model::position::Positions;
use model::time::{HOUR_MS, MINUTE_MS};

fn fleet(seed: u64) -> Fleet {
    Fleet::generate(&FleetConfig { seed, ..FleetConfig::default() }).unwrap()
}

/// FNV-1a over everything a fleet holds.
fn digest(fleet: &Fleet) -> u64 {
    let events = fleet.events.iter().map(|row| serde_json::to_string(row).unwrap());
    let metrics = fleet.metrics().map(|row| serde_json::to_string(&row).unwrap());
    let bytes = events.chain(metrics).flat_map(String::into_bytes);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn times(fleet: &Fleet, end: &End) -> Vec<TimeMs> {
    let is_it = |event: &&Event| {
        event.colony_id == end.colony && event.service_id == end.service && event.event_type == end.name
    };
    fleet.events.iter().filter(is_it).map(|event| event.timestamp).collect()
}

#[test]
fn the_same_seed_gives_the_same_fleet_on_every_machine() {
    assert_eq!(format!("{:016x}", digest(&fleet(1))), "77d73ac4a3a896b0");
    assert_ne!(digest(&fleet(1)), digest(&fleet(2)));
}

#[test]
fn events_are_sorted_unique_and_inside_the_history() {
    let fleet = fleet(3);
    let config = FleetConfig::default();
    assert!(fleet.events.is_sorted_by_key(|event| event.timestamp));
    assert!(fleet.events.iter().all(|event| (config.start..config.end()).contains(&event.timestamp)));
    let mut ids: Vec<_> = fleet.events.iter().map(|event| (&event.colony_id, &event.event_id)).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), fleet.events.len());
}

#[test]
fn planted_events_follow_at_their_lag_and_decoys_are_no_relation() {
    let fleet = fleet(1);
    assert_eq!(fleet.truth.event_relations.len(), 3);
    for relation in &fleet.truth.event_relations {
        let (sources, targets) = (times(&fleet, &relation.source), times(&fleet, &relation.target));
        assert_eq!(sources.len(), relation.source_events);
        let lag_ms = (relation.lag_minutes * MINUTE_MS as f64) as i64;
        let is_hit =
            |source: &&TimeMs| targets.iter().any(|target| (*target - **source - lag_ms).abs() < 16 * MINUTE_MS);
        let hits = sources.iter().filter(is_hit).count();
        assert!(hits >= relation.occurrences && hits * 10 >= sources.len() * 6, "{hits} of {}", sources.len());
        let shifted: Vec<TimeMs> = sources.iter().map(|source| *source - 5 * HOUR_MS).collect();
        let by_chance = shifted.iter().filter(|source| is_hit(source)).count();
        assert!(by_chance * 4 < sources.len(), "{by_chance} of {} five hours off", sources.len());
    }
}

#[test]
fn planted_metrics_correlate_at_their_lag() {
    let fleet = fleet(1);
    for relation in &fleet.truth.metric_relations {
        let values = |end: &End| -> Vec<f64> {
            let is_it = |point: &MetricPoint| {
                (&point.series.key.colony_id, &point.series.key.service_id, &point.series.key.metric_name)
                    == (&end.colony, &end.service, &end.name)
            };
            fleet.metrics().filter(is_it).filter_map(|point| point.value()).collect()
        };
        let (source, target) = (values(&relation.source), values(&relation.target));
        let steps = (relation.lag_minutes / 5) as usize;
        let at_lag = pearson(&source[..source.len() - steps], &target[steps..]);
        assert!((at_lag - relation.coefficient).abs() < 0.02, "{at_lag}");
        assert!(pearson(&source, &target) < 0.6);
    }
}

fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mx, my) = (mean(x), mean(y));
    let sum = |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(y).map(|(x, y)| f(x - mx, y - my)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

#[tokio::test]
async fn written_files_read_back_as_the_fleet() {
    let fleet = Fleet::generate(&FleetConfig { days: 4, colonies: 3, ..FleetConfig::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let written = fleet.write_files(&folder.path().join("new")).unwrap();
    let config = FilesConfig {
        metrics: vec!["new/metrics.parquet".to_owned()],
        events: vec!["new/events.ndjson".to_owned()],
        base_dir: folder.path().to_owned(),
        ..FilesConfig::default()
    };
    let mut source = config.build(&Positions::default(), &SystemClock::shared()).unwrap();
    let (mut events, mut metrics) = (Vec::new(), Vec::new());
    while let Some(batch) = source.next_batch().await.unwrap() {
        assert_eq!(batch.rejects, []);
        events.extend(batch.rows.events);
        metrics.extend(batch.rows.metrics);
    }
    assert_eq!(events, fleet.events);
    assert_eq!(metrics, fleet.metrics().collect::<Vec<_>>());
    assert_eq!(written.metric_rows, metrics.len() as u64);
    let truth: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(written.truth).unwrap()).unwrap();
    assert_eq!(truth["event_relations"][0]["lag_minutes"], 135.0);
}

#[test]
fn planted_deployments_have_reports_and_the_effect_that_the_truth_states() {
    let config = FleetConfig { days: 5, colonies: 2, interval_seconds: 60, deployments: 5, ..FleetConfig::default() };
    let fleet = Fleet::generate(&config).unwrap();
    assert_eq!(fleet.truth.deployments.len(), 10);
    let metrics: Vec<MetricPoint> = fleet.metrics().collect();
    for planted in &fleet.truth.deployments {
        let reports =
            fleet.events.iter().filter(|event| event.metadata.get("deployment_id") == Some(&planted.deployment_id));
        let times: Vec<String> = reports.map(|event| event.timestamp.to_string()).collect();
        assert_eq!(times, [planted.started_at.clone(), planted.completed_at.clone()]);
        let mean = |from_minute: i64| {
            let end = TimeMs::parse_rfc3339(&planted.completed_at).unwrap();
            let span = end + from_minute * MINUTE_MS..end + (from_minute + 60) * MINUTE_MS;
            let of_metric = metrics.iter().filter(|point| {
                let key = &point.series.key;
                (&key.colony_id, &key.service_id, &key.metric_name)
                    == (&planted.colony, &planted.service, &planted.metric)
                    && span.contains(&point.timestamp)
            });
            of_metric.filter_map(|point| point.value()).sum::<f64>() / 60.0
        };
        // an hour before it begins, and one after its end; a day has a course of its own
        let ratio = mean(0) / mean(-75);
        assert!((ratio / planted.factor - 1.0).abs() < 0.12, "{ratio} {planted:?}");
    }
    let same = Fleet::generate(&config).unwrap();
    assert_eq!((same.events, same.truth), (fleet.events, fleet.truth));
}

#[test]
fn impossible_fleets_are_refused() {
    let refused = |config: FleetConfig| config.validate().unwrap_err();
    assert!(refused(FleetConfig { colonies: 0, ..FleetConfig::default() }).contains("1 to 1000"));
    assert!(refused(FleetConfig { days: 0, ..FleetConfig::default() }).contains("1 to 730"));
    assert!(refused(FleetConfig { interval_seconds: 7, ..FleetConfig::default() }).contains("divisor"));
    assert!(refused(FleetConfig { deployments: 1, ..FleetConfig::default() }).contains("choose buckets of 60 s"));
    let often = FleetConfig { deployments: 61, interval_seconds: 60, ..FleetConfig::default() };
    assert!(refused(often).contains("at most 2 a day: 60"));
}
