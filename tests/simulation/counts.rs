//! What the reef of a simulation counts agrees with the rows of its store.

use super::world::{Arrivals, COLONIES, Row};
use super::{Simulation, Weather};
use crate::determinism::START;
use fixtures::random::Random;
use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::{HOUR_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeMap;

/// Events of each colony, and as many metric buckets.
const EACH: i64 = 40;

fn event(colony_id: &str, number: i64) -> Event {
    Event {
        colony_id: colony_id.to_owned(),
        event_id: format!("e{number}"),
        version: 0,
        withdrawn: false,
        application_name: String::new(),
        environment: String::new(),
        timestamp: START + number * 9 * HOUR_MS,
        event_type: "deploy".to_owned(),
        service_id: "api".to_owned(),
        severity: Severity::Info,
        description: String::new(),
        metadata: BTreeMap::new(),
    }
}

fn bucket(colony_id: &str, number: i64) -> MetricPoint {
    let names = SeriesRef {
        colony_id,
        application_name: "",
        environment: "",
        service_id: "api",
        metric_name: "latency_ms",
        interval_seconds: Some(300),
    };
    let timestamp = START + number * 9 * HOUR_MS;
    let series = SeriesId::of(names);
    MetricPoint { series, timestamp, count: Some(5), mean: Some(Real(number as f64)), ..MetricPoint::default() }
}

/// Each row once, when it has come into being.
fn arrivals() -> Arrivals {
    let of = |colony: &'static str| {
        let rows = (0..EACH).flat_map(|number| {
            let at: TimeMs = START + number * 9 * HOUR_MS + 5 * MINUTE_MS;
            [(at, Row::Event(event(colony, number))), (at, Row::Metric(bucket(colony, number)))]
        });
        (colony, rows.collect())
    };
    COLONIES.into_iter().map(of).collect()
}

#[test]
fn a_reef_of_colonies_counts_what_its_store_holds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (counted, tables) = runtime.block_on(async {
        let mut simulation = Simulation::new(1, arrivals(), Random(1), folder.path());
        simulation.run(Weather::Calm).await;
        (std::mem::take(&mut simulation.reef.counted), simulation.reef.store.inner.tables())
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(60));
    assert_eq!(counted.len(), 2, "the reef ran twice");
    let sum = |name: &str, labels: &[(&str, &str)]| counted.iter().map(|run| run.sum(name, labels)).sum::<f64>();
    for colony in COLONIES {
        let stored = tables.events.keys().filter(|key| format!("{key:?}").contains(colony)).count();
        assert_eq!(stored as i64, EACH);
        let of = |kind, source| sum("reef_rows_total", &[("kind", kind), ("source", source), ("colony", colony)]);
        assert_eq!(of("events", "colony-events"), EACH as f64, "{colony}");
        // the second run asks for the last buckets again
        assert!(of("metrics", "colony-summaries") >= EACH as f64, "{colony}");
        assert_eq!(counted[0].sum("reef_rows_total", &[("kind", "metrics"), ("colony", colony)]), EACH as f64);
    }
    for run in &counted {
        let committed = |kind| run.sum("reef_committed_rows_total", &[("kind", kind)]);
        for (kind, late) in [("events", "late_events"), ("metrics", "late_metrics")] {
            let read = run.sum("reef_rows_total", &[("kind", kind)]);
            assert_eq!(read, committed(kind) + committed(late), "every row that was read is stored: {kind}");
        }
        assert_eq!(run.sum("reef_colonies_answering", &[]), COLONIES.len() as f64);
        assert_eq!(run.sum("reef_queue_bytes", &[]), 0.0);
    }
    assert_eq!(sum("reef_source_failures_total", &[]), 0.0);
    assert_eq!(sum("reef_rejects_total", &[]), 0.0);
}
