//! A fleet in which every question has an answer: a shop in three environments, and payments.

use model::derived::{DerivedChange, Value};
use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::pattern::Finding;
use model::real::Real;
use model::rows::Rows;
use model::series::{SeriesId, SeriesRef};
use model::time::{MINUTE_MS, SECOND_MS, TimeMs};
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use sinks::Commit;
use sinks::compliance::commit_of;
use sinks::compliance::rows::finding;
use sinks::schema::DERIVED;

const TIMELINE: &str = "deployment_timeline";
/// 2024-11-13 12:00.
const NOON: TimeMs = TimeMs(1_731_499_200_000);

fn at(minute: i64) -> TimeMs {
    NOON + minute * MINUTE_MS
}

/// Application and environment of a colony.
fn identity(colony_id: &str) -> (&str, &str) {
    colony_id.rsplit_once('-').unwrap()
}

fn event(colony_id: &str, service_id: &str, (timestamp, event_id, event_type): (TimeMs, &str, &str)) -> Event {
    Event {
        service_id: service_id.to_owned(),
        event_type: event_type.to_owned(),
        severity: Severity::Info,
        ..fixtures::event(colony_id, event_id, timestamp)
    }
}

/// The minutes before noon of a metric, whose value depends on the minute.
fn metric(colony_id: &str, service_id: &str, metric_name: &str, value: impl Fn(i64) -> f64) -> Vec<MetricPoint> {
    let (application_name, environment) = identity(colony_id);
    let interval_seconds = Some(60);
    let series =
        SeriesId::of(SeriesRef { colony_id, application_name, environment, service_id, metric_name, interval_seconds });
    let point = |minute: i64| {
        let p95 = Some(Real(value(minute)));
        MetricPoint { series, timestamp: at(minute), p95, count: Some(10), ..MetricPoint::default() }
    };
    (-480..0).map(point).collect()
}

/// A level that is another one from the end of the deployment in payments on, with values 3 to both sides.
fn around(before: f64, after: f64) -> impl Fn(i64) -> f64 {
    move |minute| if minute < -82 { before } else { after } + (minute.rem_euclid(7) - 3) as f64
}

fn metrics() -> Vec<MetricPoint> {
    let (production, staging, payments) = ("my-shop-production", "my-shop-staging", "payments-production");
    let mut all = metric(production, "api", "latency", |_| 245.0);
    all.extend(metric(staging, "api", "latency", |_| 175.0));
    all.extend(metric(production, "api", "db.pool.utilization", |_| 95.0));
    all.extend(metric(staging, "api", "db.pool.utilization", |_| 60.0));
    all.extend(metric(production, "api", "throughput", |_| 1_200.0));
    all.extend(metric(staging, "api", "throughput", |_| 400.0));
    all.extend(metric(staging, "web", "page_latency", |minute| if minute < -232 { 180.0 } else { 207.0 }));
    all.extend(metric(payments, "gateway", "latency", around(100.0, 100.0)));
    all.extend(metric(payments, "ledger", "latency", around(100.0, 140.0)));
    all
}

fn status(colony_id: &str, health: &str, (total, healthy): (u32, u32), agent_count: Option<u32>) -> ColonyStatus {
    let (application_name, environment) = identity(colony_id);
    ColonyStatus {
        application_name: application_name.to_owned(),
        environment: environment.to_owned(),
        total_services: total,
        healthy_services: healthy,
        degraded_services: total - healthy,
        agent_count,
        last_success_at: Some(NOON),
        complete_to: Some(NOON),
        ..fixtures::colony_status(colony_id, health)
    }
}

fn node((colony_id, service_id, version, status): (&str, &str, &str, &str)) -> ServiceNode {
    ServiceNode {
        colony_id: colony_id.to_owned(),
        service_id: service_id.to_owned(),
        name: service_id.to_owned(),
        version: version.to_owned(),
        status: status.to_owned(),
        seen_at: NOON,
    }
}

fn call(from_service: &str, to_service: &str) -> ServiceEdge {
    ServiceEdge {
        colony_id: "payments-production".to_owned(),
        from_service: from_service.to_owned(),
        to_service: to_service.to_owned(),
        protocol: "grpc".to_owned(),
        request_count: 1_234,
        seen_at: NOON,
    }
}

/// A row of the timeline: colony, id and service, versions before and after, minutes of start and end, status.
pub fn deployed(
    [colony_id, id, service_id]: [&str; 3],
    [from, to]: [&str; 2],
    [start, end]: [i64; 2],
    status: &str,
) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let (application, environment) = identity(colony_id);
    let value = |column: &str| match column {
        "colony_id" => text(colony_id),
        "deployment_id" => text(id),
        "application_name" => text(application),
        "environment" => text(environment),
        "service_id" => text(service_id),
        "from_version" => text(from),
        "to_version" => text(to),
        "started_at" => Value::Time(at(start)),
        "completed_at" => Value::Time(at(end)),
        "status" => text(status),
        "kind" => text("deployment"),
        "reported_by" => Value::Texts(vec![id.to_owned()]),
        "issues_detected" | "related_events" | "reported_as" => Value::Texts(Vec::new()),
        _ => Value::Null,
    };
    let table = DERIVED.iter().find(|derived| derived.table.name == TIMELINE).unwrap();
    table.table.columns.iter().map(|(column, _)| value(column)).collect()
}

/// A confirmed pattern from a deploy to an event, with one occurrence.
fn pattern(
    score: f64,
    (source_colony, source_service, deploy): (&str, &str, (TimeMs, &str)),
    (target_colony, target_service, target_name, follower): (&str, &str, &str, (TimeMs, &str)),
) -> Finding {
    let mut found = finding("deploy", score, &[(deploy.1, follower.1)]);
    let one = &mut found.correlation;
    (one.key.source.colony_id, one.key.source.service_id) = (source_colony.to_owned(), source_service.to_owned());
    (one.key.target.colony_id, one.key.target.service_id) = (target_colony.to_owned(), target_service.to_owned());
    one.key.target.name = target_name.to_owned();
    let ((source_application, source_environment), (target_application, target_environment)) =
        (identity(source_colony), identity(target_colony));
    (one.source_application, one.source_environment) = (source_application.to_owned(), source_environment.to_owned());
    (one.target_application, one.target_environment) = (target_application.to_owned(), target_environment.to_owned());
    (one.source_timestamp, one.target_timestamp) = (deploy.0, follower.0);
    (one.first_observed, one.last_observed) = (deploy.0, NOON);
    let lag_ms = follower.0 - deploy.0;
    one.lag_seconds = i32::try_from(lag_ms / SECOND_MS).unwrap();
    (one.lag_low_seconds, one.lag_high_seconds) = (one.lag_seconds - 3, one.lag_seconds + 3);
    one.pattern_description = format!(
        "deploy of {source_service} in {source_environment} is followed by {target_name} of {target_service} in \
         {target_environment}"
    );
    (one.reason, one.part_of, one.open_count, one.open_until) = (None, None, 0, None);
    let id = one.key.correlation_id();
    let evidence = &mut found.evidence[0];
    (evidence.correlation_id, evidence.lag_ms) = (id, lag_ms);
    (evidence.source_timestamp, evidence.target_timestamp) = (deploy.0, follower.0);
    found
}

/// Staging deploys are followed by errors in production 2 h 15 min later.
pub fn from_staging_to_production() -> Finding {
    pattern(
        0.89,
        ("my-shop-staging", "web", (at(-240), "web-310")),
        ("my-shop-production", "web", "error_spike", (at(-105), "spike-310")),
    )
}

/// Deploys of the payment API are followed by timeouts of the shop's checkout 15 s later.
pub fn from_payments_to_checkout() -> Finding {
    pattern(
        0.95,
        ("payments-production", "payment-api", (at(-90), "pay-130")),
        ("my-shop-production", "checkout", "timeout_spike", (at(-90) + 15 * SECOND_MS, "timeout-130")),
    )
}

/// Everything in one commit.
pub fn commit() -> Commit {
    let events = vec![
        event("my-shop-dev", "web", (at(-1_000), "web-dev", "deploy")),
        event("my-shop-staging", "web", (at(-240), "web-310", "deploy")),
        event("my-shop-production", "web", (at(-105), "spike-310", "error_spike")),
        event("payments-production", "payment-api", (at(-90), "pay-130", "deploy")),
        event("my-shop-production", "checkout", (at(-90) + 15 * SECOND_MS, "timeout-130", "timeout_spike")),
    ];
    let nodes = [
        ("my-shop-dev", "web", "v3.0.0", "restarting"),
        ("my-shop-dev", "worker", "v1.0.0", "restarting"),
        ("my-shop-production", "api", "v2.0.0", "running"),
        ("my-shop-production", "payment-processor", "v1.4.0", "degraded"),
        ("my-shop-staging", "api", "v2.1.0", "running"),
        ("my-shop-staging", "web", "v3.1.0", "running"),
        ("payments-production", "gateway", "v1.0.0", "running"),
        ("payments-production", "ledger", "v1.0.0", "running"),
        ("payments-production", "payment-api", "v1.3.0", "running"),
    ];
    let rows = Rows {
        metrics: metrics().into(),
        events,
        nodes: nodes.map(node).to_vec(),
        edges: vec![call("gateway", "payment-api"), call("payment-api", "ledger")],
        colonies: vec![
            status("my-shop-dev", "degraded", (17, 15), None),
            status("my-shop-production", "degraded", (20, 19), Some(45)),
            status("my-shop-staging", "healthy", (20, 20), None),
            status("payments-production", "healthy", (4, 4), None),
        ],
    };
    let upserts = vec![
        deployed(["my-shop-dev", "web-dev", "web"], ["v3.0.0", "v3.1.0"], [-1_000, -990], "rolled_back"),
        deployed(["my-shop-staging", "web-310", "web"], ["v3.0.0", "v3.1.0"], [-240, -232], "success"),
        deployed(["payments-production", "pay-130", "payment-api"], ["v1.2.0", "v1.3.0"], [-90, -82], "success"),
    ];
    let timeline = DerivedChange { table: TIMELINE.to_owned(), upserts, removed: Vec::new() };
    let findings = vec![from_staging_to_production(), from_payments_to_checkout()];
    Commit { findings, derived: vec![timeline], ..commit_of(1, rows) }
}
