//! Rows for tests of stores.

use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::pattern::{Correlation, Evidence, EvidenceRole, Finding, PatternKey, PatternState, Signal, SignalKind};
use model::real::Real;
use model::series::{SeriesId, SeriesRef};
use model::time::{MINUTE_MS, TimeMs};
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use std::collections::BTreeMap;

/// 2026-03-02T10:00:00Z, a whole hour.
pub const START: TimeMs = TimeMs(1_772_445_600_000);

/// An event of one colony, `offset_ms` after [`START`].
pub fn event(event_id: &str, offset_ms: i64) -> Event {
    Event {
        colony_id: "shop-production".into(),
        event_id: event_id.into(),
        version: 0,
        withdrawn: false,
        application_name: "shop".into(),
        environment: "production".into(),
        timestamp: START + offset_ms,
        event_type: "deploy".into(),
        service_id: "api".into(),
        severity: Severity::Warning,
        description: "version 2.1.0".into(),
        metadata: BTreeMap::from([("version".into(), "2.1.0".into())]),
    }
}

/// A one-minute bucket of a series of `service_id`, `offset_ms` after [`START`].
pub fn bucket(service_id: &str, offset_ms: i64) -> MetricPoint {
    let names = SeriesRef {
        colony_id: "shop-production",
        application_name: "shop",
        environment: "production",
        service_id,
        metric_name: "http_latency_ms",
        interval_seconds: Some(60),
    };
    MetricPoint {
        series: SeriesId::of(names),
        timestamp: START + offset_ms,
        version: 0,
        count: Some(60),
        mean: Some(Real(11.5)),
        p50: Some(Real(10.0)),
        p95: Some(Real(20.0 + offset_ms as f64 / 1e7)),
        p99: Some(Real(30.25)),
        max: Some(Real(31.0)),
    }
}

/// A service seen `minute` minutes after [`START`].
pub fn node(minute: i64) -> ServiceNode {
    ServiceNode {
        colony_id: "shop-production".into(),
        service_id: "api".into(),
        name: "api".into(),
        version: format!("v{minute}"),
        status: "running".into(),
        seen_at: START + minute * MINUTE_MS,
    }
}

/// A call seen `minute` minutes after [`START`].
pub fn edge(minute: i64) -> ServiceEdge {
    ServiceEdge {
        colony_id: "shop-production".into(),
        from_service: "api".into(),
        to_service: "checkout".into(),
        protocol: "grpc".into(),
        request_count: 1_000 + minute.unsigned_abs(),
        seen_at: START + minute * MINUTE_MS,
    }
}

/// A healthy colony.
pub fn colony() -> ColonyStatus {
    ColonyStatus {
        colony_id: "shop-production".into(),
        application_name: "shop".into(),
        environment: "production".into(),
        health: "healthy".into(),
        total_services: 4,
        healthy_services: 4,
        degraded_services: 0,
        unhealthy_services: 0,
        agent_count: None,
        last_success_at: Some(START),
        complete_to: Some(START),
        last_error: String::new(),
    }
}

/// A pattern named `name` with the given score and one evidence row per pair of event ids.
pub fn finding(name: &str, score: f64, pairs: &[(&str, &str)]) -> Finding {
    let signal = |name: &str| Signal {
        kind: SignalKind::Event,
        colony_id: "shop-production".into(),
        service_id: "api".into(),
        name: name.into(),
    };
    let key = PatternKey { source: signal(name), target: signal("error_spike") };
    let evidence = pairs.iter().map(|(source, target)| Evidence {
        correlation_id: key.correlation_id(),
        source_ref: (*source).into(),
        target_ref: (*target).into(),
        source_timestamp: START,
        target_timestamp: START + 8_100_000,
        lag_ms: 8_100_000,
        weight: Real(1.0 / pairs.len() as f64),
        role: EvidenceRole::Match,
        lag_weight: Real(1.0),
    });
    Finding {
        evidence: evidence.collect(),
        correlation: Correlation {
            key: key.clone(),
            correlation_type: "deployment_cascade".into(),
            source_application: "shop".into(),
            source_environment: "production".into(),
            target_application: "shop".into(),
            target_environment: "production".into(),
            source_timestamp: START,
            target_timestamp: START + 8_100_000,
            correlation_score: Real(score),
            coefficient: Real(score),
            confidence: Real(0.97),
            lag_seconds: 8_100,
            lag_low_seconds: 7_800,
            lag_high_seconds: 8_340,
            pattern_description: format!("{name} is followed by error_spike after 2h15m"),
            occurrence_count: pairs.len() as u32,
            first_observed: START,
            last_observed: START + 8_100_000,
            state: PatternState::Confirmed,
            e_value: Real(1234.5),
            q_value: Real(0.03),
            sample_count: 9,
            explained_by: None,
            reason: Some("2 occurrences of the 3 needed".into()),
            chance_level: Some(Real(0.31)),
            effective_points: None,
            judged_coefficient: Some(Real(-0.25)),
            part_of: (pairs.len() == 1).then(|| "c-0123456789abcdef0123".into()),
            open_count: 2,
            open_until: (!pairs.is_empty()).then_some(START + 14_400_000),
        },
    }
}
