//! Wire values to model values and back. Decoding checks a row against the limits of `model::check`. It is the only
//! step that may fail, and reports the faulty row and the reason.

use crate::reef::v1;
use model::check::{Fault, check_event, check_numbers, check_series, fit_metadata};
use model::colony::ColonyIdentity;
use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::real::Real;
use model::reject::RejectReason;
use model::series::{SeriesId, SeriesRef};
use model::time::TimeMs;
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};

/// Writes a time.
pub fn time_to_wire(time: TimeMs) -> prost_types::Timestamp {
    let nanos = time.0.rem_euclid(1_000) * 1_000_000;
    prost_types::Timestamp { seconds: time.0.div_euclid(1_000), nanos: nanos as i32 }
}

/// Reads a time, to the millisecond below. `None` when it is outside what milliseconds can hold or the nanoseconds are
/// not 0..1e9.
pub fn time_from_wire(time: &prost_types::Timestamp) -> Option<TimeMs> {
    let ms_in_second = (0..1_000_000_000).contains(&time.nanos).then_some(i64::from(time.nanos) / 1_000_000)?;
    time.seconds.checked_mul(1_000)?.checked_add(ms_in_second).map(TimeMs)
}

fn row_time(time: Option<&prost_types::Timestamp>) -> Result<TimeMs, Fault> {
    let time = time.ok_or_else(|| (RejectReason::MissingField, "timestamp is missing".to_owned()))?;
    time_from_wire(time).ok_or_else(|| {
        let detail = format!("timestamp {} s {} ns is not a time", time.seconds, time.nanos);
        (RejectReason::BadTimestamp, detail)
    })
}

/// Writes a metric bucket; identity stays behind.
pub fn metric_to_wire(point: &MetricPoint) -> v1::MetricSummary {
    let number = |value: Option<Real>| value.map(|v| v.0);
    v1::MetricSummary {
        service_id: point.series.key.service_id.clone(),
        metric_name: point.series.key.metric_name.clone(),
        timestamp: Some(time_to_wire(point.timestamp)),
        p50: number(point.p50),
        p95: number(point.p95),
        p99: number(point.p99),
        mean: number(point.mean),
        max: number(point.max),
        count: point.count.map(|n| i64::try_from(n).unwrap_or(i64::MAX)),
        interval_seconds: point.series.interval_seconds.unwrap_or(0),
        version: (point.version > 0).then_some(point.version),
    }
}

/// Reads and checks a metric bucket of `colony`. `now` is the reader's clock.
pub fn metric_from_wire(colony: &ColonyIdentity, wire: v1::MetricSummary, now: TimeMs) -> Result<MetricPoint, Fault> {
    let count = wire
        .count
        .map(|n| u64::try_from(n).map_err(|_| (RejectReason::BadValue, format!("count is {n}"))))
        .transpose()?;
    let timestamp = row_time(wire.timestamp.as_ref())?;
    let names = SeriesRef {
        colony_id: &colony.colony_id,
        application_name: &colony.application_name,
        environment: &colony.environment,
        service_id: &wire.service_id,
        metric_name: &wire.metric_name,
        interval_seconds: (wire.interval_seconds > 0).then_some(wire.interval_seconds),
    };
    check_series(names)?;
    let point = MetricPoint {
        timestamp,
        version: wire.version.unwrap_or(0),
        count,
        mean: wire.mean.map(Real),
        p50: wire.p50.map(Real),
        p95: wire.p95.map(Real),
        p99: wire.p99.map(Real),
        max: wire.max.map(Real),
        series: SeriesId::default(),
    };
    check_numbers(&point, now)?;
    // only what is accepted gets a number
    Ok(MetricPoint { series: SeriesId::of(names), ..point })
}

/// Writes an event; identity stays behind and there is no resume token.
pub fn event_to_wire(event: &Event) -> v1::Event {
    v1::Event {
        event_id: event.event_id.clone(),
        timestamp: Some(time_to_wire(event.timestamp)),
        event_type: event.event_type.clone(),
        service_id: event.service_id.clone(),
        severity: event.severity.as_str().to_owned(),
        metadata: event.metadata.clone(),
        description: event.description.clone(),
        resume_token: String::new(),
        version: (event.version > 0).then_some(event.version),
        withdrawn: event.withdrawn.then_some(true),
        backlog: None,
        resent: None,
    }
}

/// Reads and checks an event of `colony`. An empty severity is `info`; so is an unknown one, which is kept in the
/// metadata. Unknown event types are kept. `now` is the reader's clock.
pub fn event_from_wire(colony: &ColonyIdentity, wire: v1::Event, now: TimeMs) -> Result<Event, Fault> {
    let mut metadata = wire.metadata;
    // secondary data never causes a reject
    let (severity, _) = Severity::read(&wire.severity, &mut metadata);
    fit_metadata(&mut metadata);
    let event = Event {
        colony_id: colony.colony_id.clone(),
        event_id: wire.event_id,
        version: wire.version.unwrap_or(0),
        withdrawn: wire.withdrawn.unwrap_or(false),
        application_name: colony.application_name.clone(),
        environment: colony.environment.clone(),
        timestamp: row_time(wire.timestamp.as_ref())?,
        event_type: wire.event_type,
        service_id: wire.service_id,
        severity,
        description: wire.description,
        metadata,
    };
    check_event(&event, now)?;
    Ok(event)
}

/// Reads a topology as seen at `seen_at`. Rows without a service id are refused, one fault each.
pub fn topology_from_wire(
    colony_id: &str,
    wire: v1::TopologySummary,
    seen_at: TimeMs,
) -> (Vec<ServiceNode>, Vec<ServiceEdge>, Vec<Fault>) {
    let (mut nodes, mut edges, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for node in wire.services {
        if node.service_id.is_empty() {
            faults.push((RejectReason::MissingField, "service_id of a service is empty".to_owned()));
            continue;
        }
        nodes.push(ServiceNode {
            colony_id: colony_id.to_owned(),
            service_id: node.service_id,
            name: node.name,
            version: node.version,
            status: node.status,
            seen_at,
        });
    }
    for edge in wire.connections {
        let Ok(request_count) = u64::try_from(edge.request_count) else {
            faults.push((RejectReason::BadValue, format!("request_count is {}", edge.request_count)));
            continue;
        };
        if edge.from_service.is_empty() || edge.to_service.is_empty() {
            faults.push((RejectReason::MissingField, "from_service or to_service of a connection is empty".to_owned()));
            continue;
        }
        edges.push(ServiceEdge {
            colony_id: colony_id.to_owned(),
            from_service: edge.from_service,
            to_service: edge.to_service,
            protocol: edge.protocol,
            request_count,
            seen_at,
        });
    }
    (nodes, edges, faults)
}

/// Reads a colony's health. The fields about the connection (`last_success_at`, `complete_to`, `last_error`) are left
/// empty for the caller. Counts that do not add up are a fault, beside the status.
pub fn health_from_wire(colony: &ColonyIdentity, wire: &v1::HealthSummary) -> (ColonyStatus, Option<Fault>) {
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let parts = [wire.healthy_services, wire.degraded_services, wire.unhealthy_services];
    let sum: i64 = parts.iter().map(|n| i64::from(*n)).sum();
    let is_consistent = parts.iter().all(|n| *n >= 0) && sum == i64::from(wire.total_services);
    let fault = (!is_consistent).then(|| {
        let detail = format!(
            "health counts do not add up: {} services, {} healthy, {} degraded, {} unhealthy",
            wire.total_services, parts[0], parts[1], parts[2]
        );
        (RejectReason::BadValue, detail)
    });
    let health = match wire.overall_status.as_str() {
        known @ ("healthy" | "degraded" | "unhealthy") => known,
        _ => "unknown",
    };
    let status = ColonyStatus {
        colony_id: colony.colony_id.clone(),
        application_name: colony.application_name.clone(),
        environment: colony.environment.clone(),
        health: health.to_owned(),
        total_services: count(wire.total_services),
        healthy_services: count(parts[0]),
        degraded_services: count(parts[1]),
        unhealthy_services: count(parts[2]),
        agent_count: wire.agent_count.map(count),
        last_success_at: None,
        complete_to: None,
        last_error: String::new(),
    };
    (status, fault)
}
