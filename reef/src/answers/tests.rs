//! Answers over the memory store: the questions that operators ask, with golden texts.
#![allow(clippy::unwrap_used)]

pub(crate) mod affected;
pub(crate) mod by_effect;
mod complete;
mod evaluation;
mod fleet;
mod followed;
mod gate;
mod narrowed;
pub(crate) mod predictions;
mod revisions;
mod rows;

use super::compare::CompareQuestion;
use super::correlations::{CorrelationQuestion, CorrelationsQuestion};
use super::deployment::DeploymentQuestion;
use super::deployments::DeploymentsQuestion;
use super::fleet::Filter;
use super::health::HealthQuestion;
use super::part::Part;
use super::refusal::{AnswerError, Refusal, RefusalKind};
use super::topology::TopologyQuestion;
use super::versions::VersionsQuestion;
use super::{Answered, Question, Scope};
use model::derived::{DerivedChange, Value};
use model::event::{Event, Severity};
use model::meaning::{Better, Meanings, StatedMeaning, Unit};
use model::metric::MetricPoint;
use model::real::Real;
use model::rows::Rows;
use model::series::{SeriesId, SeriesRef};
use model::time::{MINUTE_MS, TimeMs};
use model::topology::{ColonyStatus, ServiceEdge, ServiceNode};
use sinks::compliance::commit_of;
use sinks::compliance::rows::finding;
use sinks::memory::MemoryStore;
use sinks::{Commit, StoreWriter};

/// 2024-11-13 12:00.
const NOON: TimeMs = TimeMs(1_731_499_200_000);

fn at(minute: i64) -> TimeMs {
    NOON + minute * MINUTE_MS
}

fn event(minute: i64, event_id: &str, event_type: &str, severity: Severity) -> Event {
    Event {
        colony_id: "my-shop-production".to_owned(),
        event_id: event_id.to_owned(),
        version: 0,
        withdrawn: false,
        application_name: "my-shop".to_owned(),
        environment: "production".to_owned(),
        timestamp: at(minute),
        event_type: event_type.to_owned(),
        service_id: "api".to_owned(),
        severity,
        description: String::new(),
        metadata: Default::default(),
    }
}

/// Minutely values of a metric over four hours before noon.
fn metric(environment: &str, name: &str, value: f64) -> Vec<MetricPoint> {
    let names = SeriesRef {
        colony_id: &format!("my-shop-{environment}"),
        application_name: "my-shop",
        environment,
        service_id: "api",
        metric_name: name,
        interval_seconds: Some(60),
    };
    let series = SeriesId::of(names);
    let point = |minute: i64| {
        let value = Some(Real(value + (minute % 2) as f64 * 0.02 * value));
        MetricPoint { series, timestamp: at(-minute), p95: value, count: Some(10), ..MetricPoint::default() }
    };
    (1..=480).map(point).collect()
}

fn status(environment: &str, health: &str, healthy: u32, last_error: &str) -> ColonyStatus {
    ColonyStatus {
        application_name: "my-shop".to_owned(),
        environment: environment.to_owned(),
        total_services: 20,
        healthy_services: healthy,
        degraded_services: 20 - healthy,
        agent_count: (environment == "production").then_some(45),
        last_success_at: Some(NOON),
        complete_to: Some(NOON),
        last_error: last_error.to_owned(),
        ..fixtures::colony_status(&format!("my-shop-{environment}"), health)
    }
}

fn node(environment: &str, service_id: &str, version: &str, status: &str) -> ServiceNode {
    ServiceNode {
        colony_id: format!("my-shop-{environment}"),
        service_id: service_id.to_owned(),
        name: service_id.to_owned(),
        version: version.to_owned(),
        status: status.to_owned(),
        seen_at: NOON,
    }
}

/// A row of the timeline: `(colony, id, service, from, to, start, end, status, kind)`.
type Deployed<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, i64, Option<i64>, &'a str, &'a str);

fn deployed((colony, id, service, from, to, start, end, status, kind): Deployed<'_>) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    vec![
        text(&format!("my-shop-{colony}")),
        text(id),
        text("my-shop"),
        text(colony),
        text(service),
        text(from),
        text(to),
        Value::Time(at(start)),
        end.map_or(Value::Null, |end| Value::Time(at(end))),
        text(status),
        Value::Null,
        Value::Texts(Vec::new()),
        Value::Texts(Vec::new()),
        text(kind),
        Value::Texts(vec![id.to_owned()]),
        Value::Texts(if id == "e-3" { vec!["deploy-abc123".to_owned()] } else { Vec::new() }),
        Value::Null,
        Value::Null,
        Value::Null,
    ]
}

fn commit() -> Commit {
    let mut metrics = metric("production", "latency", 245.0);
    metrics.extend(metric("staging", "latency", 175.0));
    metrics.extend(metric("production", "throughput", 1_200.0));
    metrics.extend(metric("staging", "throughput", 400.0));
    metrics.extend(metric("production", "db.pool.utilization", 95.0));
    metrics.extend(metric("staging", "db.pool.utilization", 60.0));
    metrics.extend(metric("production", "error_rate", 0.0003));
    metrics.extend(metric("staging", "error_rate", 0.0001));
    let rows = Rows {
        metrics: metrics.into(),
        events: vec![
            event(-90, "e-3", "deploy", Severity::Info),
            event(-75, "spike-1", "error_spike", Severity::Error),
            event(-60, "spike-2", "alert", Severity::Warning),
            event(-50, "note", "config_change", Severity::Info),
        ],
        nodes: vec![
            node("production", "api", "v2.1.0", "running"),
            node("production", "payment-processor", "v1.4.0", "degraded"),
            node("staging", "api", "v2.2.0", "running"),
            node("staging", "payment-processor", "v1.4.0", "running"),
            node("staging", "web", "9fceb02", "running"),
        ],
        edges: vec![ServiceEdge {
            colony_id: "my-shop-production".to_owned(),
            from_service: "api".to_owned(),
            to_service: "payment-processor".to_owned(),
            protocol: "grpc".to_owned(),
            request_count: 1_234,
            seen_at: NOON,
        }],
        colonies: vec![status("production", "degraded", 19, ""), status("staging", "healthy", 20, "")],
    };
    let mut pattern = finding("deploy", 0.87, &[("e-3", "spike-1")]);
    pattern.correlation.key.source.colony_id = "my-shop-production".to_owned();
    pattern.correlation.key.target.colony_id = "my-shop-production".to_owned();
    pattern.evidence[0].target_timestamp = at(-75);
    let upserts = [
        ("staging", "e-1", "api", "v2.0.0", "v2.1.0", -2_000, Some(-1_990), "rolled_back", "deployment"),
        ("staging", "e-2", "api", "v2.1.0", "v2.2.0", -600, Some(-592), "success", "deployment"),
        ("production", "e-3", "api", "v2.0.0", "v2.1.0", -90, Some(-82), "success", "deployment"),
        ("production", "e-4", "web", "", "9fceb02", -30, None, "running", "deployment"),
    ];
    let timeline = DerivedChange {
        table: "deployment_timeline".to_owned(),
        upserts: upserts.map(deployed).to_vec(),
        removed: Vec::new(),
    };
    Commit { findings: vec![pattern], derived: vec![timeline], ..commit_of(1, rows) }
}

/// A store in which every question has an answer.
pub(crate) async fn store() -> MemoryStore {
    let mut store = MemoryStore::new();
    store.commit(&commit()).await.unwrap();
    store
}

async fn ask_of(question: Question, scope: &Scope) -> Result<Answered, Refusal> {
    let store = store().await;
    match question.answer(store.reader().as_ref(), scope).await {
        Ok(answer) => Ok(answer),
        Err(AnswerError::Refused(refusal)) => Err(refusal),
        Err(AnswerError::Store(error)) => panic!("{error}"),
    }
}

async fn text_of(question: Question) -> String {
    ask_of(question, &Scope::default()).await.unwrap().text()
}

fn in_environment(environment: &str) -> Filter {
    Filter { environment: Some(environment.to_owned()), ..Filter::default() }
}

const COMPLETE: &str = "Complete to 2024-11-13 12:00:00 UTC for all 2 colonies.\n";

#[tokio::test]
async fn environments_are_compared_metric_by_metric() {
    let question = CompareQuestion {
        environment_a: "production".to_owned(),
        environment_b: "staging".to_owned(),
        metric: Some("latency".to_owned()),
        ..CompareQuestion::default()
    };
    let text = text_of(Question::Compare(question.clone())).await;
    let expected = "Comparing production vs staging (last 24h):\n\nLatency (p95):\n  Production: 247ms\n  Staging:    177ms\n  \
                    Difference: +40.0% slower  ✗ critical\n\nRecommendation:\n  Production shows higher error_rate (0.0303% \
                    against 0.0101% in staging), and higher db.pool.utilization (96% against 60.6% in staging).\n\n";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with(COMPLETE), "{text}");

    let all = CompareQuestion { metric: None, ..question.clone() };
    let text = text_of(Question::Compare(all)).await;
    assert!(
        text.contains(
            "Throughput (p95):\n  Production: 1212 req/s\n  Staging:    404 req/s\n  Difference: +200.0% higher\n"
        ),
        "{text}"
    );
    assert!(text.contains("Error rate (p95):\n  Production: 0.0303%\n"), "{text}");

    let answer = ask_of(Question::Compare(question.clone()), &Scope::default()).await.unwrap();
    let json = serde_json::to_value(&answer).unwrap();
    let difference = &json["differences"][0];
    assert_eq!(
        (difference["metric_name"].as_str(), difference["significance"].as_str()),
        (Some("latency"), Some("critical"))
    );
    assert!((difference["percent_change"].as_f64().unwrap() - 40.0).abs() < 1e-9, "{difference}");
    assert_eq!(json["summary"], "Production is 40.0% slower than staging (latency)");
    assert_eq!(json["completeness"]["complete"], true);

    let reversed = CompareQuestion {
        environment_a: "stage".to_owned(),
        environment_b: "prod".to_owned(),
        metric: Some("latency".to_owned()),
        ..CompareQuestion::default()
    };
    let text = text_of(Question::Compare(reversed)).await;
    assert!(text.contains("Difference: -28.6% faster\n"), "{text}");
    assert!(text.contains("Nothing to do: staging is not worse than production"), "{text}");
}

#[tokio::test]
async fn what_the_configuration_states_about_a_metric_counts() {
    let stated = |pattern: &str, unit, better| StatedMeaning { pattern: pattern.to_owned(), unit, better };
    let metrics = Meanings(vec![
        stated("LAT*", Some(Unit::Seconds), Some(Better::Higher)),
        stated("*pool*", None, Some(Better::Unknown)),
    ]);
    let scope = Scope { metrics, ..Scope::default() };
    let question = CompareQuestion {
        environment_a: "production".to_owned(),
        environment_b: "staging".to_owned(),
        ..CompareQuestion::default()
    };
    let answer = ask_of(Question::Compare(question), &scope).await.unwrap();
    let text = answer.text();
    assert!(text.contains("Latency (p95):\n  Production: 247s\n  Staging:    177s\n"), "{text}");
    let json = serde_json::to_value(&answer).unwrap();
    let significance = |name: &str| {
        let all = json["differences"].as_array().unwrap().iter();
        all.filter(|one| one["metric_name"] == name)
            .map(|one| one["significance"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!((significance("latency"), significance("db.pool.utilization")), (vec!["info"], vec!["info"]));
    assert_eq!(significance("error_rate"), ["critical"]);

    let one = Question::Deployment(DeploymentQuestion { id: "e-3".to_owned() });
    let text = ask_of(one, &scope).await.unwrap().text();
    assert!(text.contains("✓ Latency: Stable (250s)"), "{text}");
}

#[tokio::test]
async fn a_comparison_says_what_it_does_not_know() {
    let question = |a: &str, b: &str, metric: &str| CompareQuestion {
        environment_a: a.to_owned(),
        environment_b: b.to_owned(),
        metric: Some(metric.to_owned()),
        ..CompareQuestion::default()
    };
    let refused =
        async |question: CompareQuestion| ask_of(Question::Compare(question), &Scope::default()).await.unwrap_err();
    let unknown = refused(question("prodution", "staging", "latency")).await;
    assert_eq!((unknown.kind, unknown.hint.as_str()), (RefusalKind::NotFound, "did you mean \"production\"?"));
    let metric = refused(question("production", "staging", "latncy")).await;
    assert_eq!((metric.kind, metric.hint.as_str()), (RefusalKind::NotFound, "did you mean \"latency\"?"));
    let same = refused(question("production", "prod", "latency")).await;
    assert_eq!(same.kind, RefusalKind::Invalid);
    let short =
        refused(CompareQuestion { window_ms: Some(MINUTE_MS), ..question("production", "staging", "latency") }).await;
    assert!(short.message.contains("too short"), "{short:?}");
}

#[tokio::test]
async fn deployments_are_listed_the_newest_first() {
    let text = text_of(Question::Deployments(DeploymentsQuestion::default())).await;
    let expected = "Deployments (4, the newest first):\n  \
        2024-11-13 11:30:00 UTC  … running      my-shop-production  web  9fceb02          –    e-4\n  \
        2024-11-13 10:30:00 UTC  ✓ success      my-shop-production  api  v2.0.0 → v2.1.0  8m   e-3\n  \
        2024-11-13 02:00:00 UTC  ✓ success      my-shop-staging     api  v2.1.0 → v2.2.0  8m   e-2\n  \
        2024-11-12 02:40:00 UTC  ⚠ rolled back  my-shop-staging     api  v2.0.0 → v2.1.0  10m  e-1\n\n\
        One of them: coral reef deployment <id>\n";
    assert_eq!(text, format!("{expected}{COMPLETE}"));

    let some = DeploymentsQuestion {
        filter: in_environment("production"),
        part: Part { limit: Some(1), ..Part::default() },
        ..DeploymentsQuestion::default()
    };
    let first = ask_of(Question::Deployments(some.clone()), &Scope::default()).await.unwrap();
    let json = serde_json::to_value(&first).unwrap();
    assert_eq!((json["items"][0]["deployment_id"].as_str(), json["total"].as_u64()), (Some("e-4"), Some(2)));
    assert_eq!(json["truncated"].as_bool(), Some(true));
    let cursor = json["next_cursor"].as_str().map(str::to_owned);
    let rest = DeploymentsQuestion { part: Part { cursor, ..Part::default() }, ..some };
    let json = serde_json::to_value(ask_of(Question::Deployments(rest), &Scope::default()).await.unwrap()).unwrap();
    assert_eq!((json["items"][0]["deployment_id"].as_str(), json["truncated"].as_bool()), (Some("e-3"), Some(false)));
    assert_eq!(
        (json["items"][0]["duration_seconds"].as_i64(), &json["next_cursor"]),
        (Some(480), &serde_json::Value::Null)
    );

    let of_version = DeploymentsQuestion { version: Some("2.1.0".to_owned()), ..DeploymentsQuestion::default() };
    let json =
        serde_json::to_value(ask_of(Question::Deployments(of_version), &Scope::default()).await.unwrap()).unwrap();
    assert_eq!(json["total"], 2);
    let wrong = DeploymentsQuestion { status: Some("broken".to_owned()), ..DeploymentsQuestion::default() };
    let refusal = ask_of(Question::Deployments(wrong), &Scope::default()).await.unwrap_err();
    assert_eq!(refusal.hint, "one of: running, success, failed, rolled_back");
}

#[tokio::test]
async fn what_metrics_show_after_a_deployment_is_an_incident_unless_an_event_says_it() {
    let row = |event_type: &str, service: &str, minute: i64| {
        let text = |text: &str| Value::Text(text.to_owned());
        let id = format!("derived:{event_type}:{service}:latency:{minute}");
        vec![
            text("my-shop-production"),
            text(&id),
            text("my-shop"),
            text("production"),
            Value::Time(at(minute)),
            text(event_type),
            text(service),
            text("latency"),
            Value::Real(Real(250.0)),
            Value::Real(Real(100.0)),
        ]
    };
    let told = commit().rows.events.iter().find(|event| event.event_id == "spike-1").unwrap().service_id.clone();
    let upserts = vec![
        row("latency_spike", "api", -70),
        row("latency_spike", "api", -300),
        // the colony has sent an event of it
        row("error_spike", &told, -70),
    ];
    let derived = DerivedChange { table: "derived_events".to_owned(), upserts, removed: Vec::new() };
    let mut commit = commit();
    commit.derived.push(derived);
    let mut store = MemoryStore::new();
    store.commit(&commit).await.unwrap();
    let question = Question::Deployment(DeploymentQuestion { id: "e-3".to_owned() });
    let answer = question.answer(store.reader().as_ref(), &Scope::default()).await.unwrap();
    let text = answer.text();
    let expected = "Related incidents:\n  - error_spike spike-1 (15m after deploy, correlation: 0.87)\n  \
                    - latency_spike of api: latency is 250ms, usually 100ms (20m after deploy, in time only)\n  \
                    - alert spike-2 (30m after deploy, in time only)\n\n";
    assert!(text.contains(expected), "{text}");
    let incidents = serde_json::to_value(&answer).unwrap()["impact"]["incidents"].clone();
    assert_eq!(incidents.as_array().map(Vec::len), Some(3));
    assert_eq!((incidents[1]["derived"].as_bool(), incidents[0]["derived"].as_bool()), (Some(true), Some(false)));
    assert_eq!(incidents[1]["event_type"], "latency_spike");
}

#[tokio::test]
async fn one_deployment_is_told_with_what_followed_it() {
    for id in ["e-3", "deploy-abc123", "deploy-a"] {
        let text = text_of(Question::Deployment(DeploymentQuestion { id: id.to_owned() })).await;
        let pattern = finding("deploy", 0.87, &[]);
        let mut key = pattern.correlation.key;
        key.source.colony_id = "my-shop-production".to_owned();
        key.target.colony_id = "my-shop-production".to_owned();
        let expected = format!(
            "Analyzing deployment: api v2.1.0 (production)\nStarted: 2024-11-13 10:30:00 UTC\nStatus: Success\nTook: 8m\n\
             Version before: v2.0.0\nVerdict: Success (nothing got worse within 60 minutes)\n\nImpact:\n  ✓ Db.pool.utilization: \
             Stable (96.9%)\n  ✓ Error rate: Stable (0.0306%)\n  ✓ Latency: Stable (250ms)\n  ✓ Throughput: Stable (1224 \
             req/s)\n\nRelated incidents:\n  - error_spike spike-1 (15m after deploy, correlation: 0.87)\n  \
             - alert spike-2 (30m after deploy, in time only)\n\nThe same version elsewhere:\n  2024-11-12 02:40:00 UTC  ⚠ \
             rolled back  my-shop-staging  api  v2.0.0 → v2.1.0\n\nOverlapping deployments of this colony:\n  2024-11-13 \
             11:30:00 UTC  … running  my-shop-production  web  9fceb02\n\nRecommendation:\n  A confirmed pattern joins it \
             with what followed: coral reef correlation {}. The same version was not kept in staging before.\n\nIts \
             neighbours: coral reef affected my-shop-production/e-3\n\n{COMPLETE}",
            key.correlation_id()
        );
        assert_eq!(text, expected, "{id}");
    }
    let refused = async |id: &str| {
        ask_of(Question::Deployment(DeploymentQuestion { id: id.to_owned() }), &Scope::default()).await.unwrap_err()
    };
    let several = refused("e-").await;
    assert_eq!(several.kind, RefusalKind::Ambiguous);
    let unknown = refused("deploy-abc124").await;
    assert!(unknown.hint.starts_with("did you mean \"deploy-abc123\"?"), "{unknown:?}");
}

#[tokio::test]
async fn health_is_told_by_colony_and_environment() {
    let text = text_of(Question::Health(HealthQuestion::default())).await;
    let expected = "Colonies (2):\n  ⚠ my-shop-production  [degraded]  20 services, 45 agents\n  \
                    ✓ my-shop-staging     [healthy]   20 services, – agents\n\nEnvironments:\n  \
                    Production:  95% healthy of 20 services (payment-processor: degraded)\n  \
                    Staging:     100% healthy of 20 services\n\n\
                    The services of my-shop-production: coral reef topology --colony my-shop-production\n";
    assert_eq!(text, format!("{expected}{COMPLETE}"));
    let answer =
        ask_of(Question::Health(HealthQuestion { filter: in_environment("stag") }), &Scope::default()).await.unwrap();
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["colonies"].as_array().unwrap().len(), 1);
    assert_eq!(json["environments"][0]["healthy_percent"], 100.0);
}

#[tokio::test]
async fn versions_that_are_behind_are_marked_and_hashes_only_differ() {
    let text = text_of(Question::Versions(VersionsQuestion::default())).await;
    let expected = "Versions (5, 1 behind, 0 differ):\n  \
        my-shop  api                production  v2.1.0   ⚠ behind v2.2.0  since 2024-11-13 10:30:00 UTC\n  \
        my-shop  api                staging     v2.2.0   ✓ newest         since 2024-11-13 02:00:00 UTC\n  \
        my-shop  payment-processor  production  v1.4.0   ✓ newest\n  \
        my-shop  payment-processor  staging     v1.4.0   ✓ newest\n  \
        my-shop  web                staging     9fceb02  –\n\n\
        How they came there: coral reef deployments --service api\n";
    assert_eq!(text, format!("{expected}{COMPLETE}"));
    let behind = VersionsQuestion { behind: true, ..VersionsQuestion::default() };
    let json = serde_json::to_value(ask_of(Question::Versions(behind), &Scope::default()).await.unwrap()).unwrap();
    let services = json["services"].as_array().unwrap();
    assert_eq!((services.len(), &services[0]["environment"]), (1, &"production".into()));
}

#[tokio::test]
async fn topology_is_narrowed_to_a_service_and_its_neighbours() {
    let filter = Filter { service: Some("api".to_owned()), ..in_environment("production") };
    let text = text_of(Question::Topology(TopologyQuestion { filter })).await;
    let seen = "seen 2024-11-13 12:00:00 UTC to 2024-11-13 12:00:00 UTC";
    let expected = format!(
        "Services (2):\n  my-shop-production  api                v2.1.0  running   {seen}\n  \
         my-shop-production  payment-processor  v1.4.0  degraded  {seen}\n\nCalls (1):\n  \
         my-shop-production  api → payment-processor  grpc  1234 requests  {seen}\n\n\
         Which versions are behind: coral reef versions --behind\n\
         Complete to 2024-11-13 12:00:00 UTC for 1 colony.\n"
    );
    assert_eq!(text, expected);
}

#[tokio::test]
async fn patterns_are_listed_and_shown_with_their_rows() {
    let text = text_of(Question::Correlations(CorrelationsQuestion::default())).await;
    assert!(text.starts_with("1 confirmed pattern:\n\nconfirmed  deploy is followed by error_spike"), "{text}");
    let none = CorrelationsQuestion { filter: in_environment("staging"), ..CorrelationsQuestion::default() };
    assert!(text_of(Question::Correlations(none)).await.starts_with("No confirmed pattern.\n"));
    let one = text_of(Question::Correlation(CorrelationQuestion { id: "c-".to_owned() })).await;
    assert!(one.contains("The rows behind it:") && one.contains("later: spike-1\n"), "{one}");
    let unknown = Question::Correlation(CorrelationQuestion { id: "c-none".to_owned() });
    assert_eq!(ask_of(unknown, &Scope::default()).await.unwrap_err().kind, RefusalKind::NotFound);
    let state = CorrelationsQuestion { state: Some("sure".to_owned()), ..CorrelationsQuestion::default() };
    assert_eq!(ask_of(Question::Correlations(state), &Scope::default()).await.unwrap_err().kind, RefusalKind::Invalid);
}

#[tokio::test]
async fn colonies_that_are_late_down_or_never_seen_are_named_in_every_answer() {
    let mut store = MemoryStore::new();
    store.commit(&commit()).await.unwrap();
    let later =
        |colony: &str, minute: i64| ColonyStatus { complete_to: Some(at(minute)), ..status(colony, "healthy", 20, "") };
    let rows = Rows {
        colonies: vec![
            later("production", 180),
            later("staging", 20),
            ColonyStatus { last_error: "connection refused".to_owned(), ..later("qa", 100) },
            ColonyStatus { health: "unreachable".to_owned(), ..later("dev", 170) },
            ColonyStatus {
                health: "revoked".to_owned(),
                last_error: "refused this reef: revoked on 2024-11-13".to_owned(),
                ..later("demo", 120)
            },
        ],
        ..Rows::default()
    };
    store.commit(&commit_of(2, rows)).await.unwrap();
    let scope = Scope { colonies: vec!["my-shop-uat".to_owned()], ..Scope::default() };
    for question in [
        Question::Health(HealthQuestion::default()),
        Question::Deployments(DeploymentsQuestion::default()),
        Question::Versions(VersionsQuestion::default()),
        Question::Topology(TopologyQuestion::default()),
        Question::Correlations(CorrelationsQuestion::default()),
    ] {
        let answer = question.answer(store.reader().as_ref(), &scope).await.unwrap();
        let states: Vec<(&str, &str)> =
            answer.completeness().colonies.iter().map(|colony| (colony.colony_id.as_str(), colony.state)).collect();
        let expected = [
            ("my-shop-demo", "revoked"),
            ("my-shop-dev", "unreachable"),
            ("my-shop-production", "current"),
            ("my-shop-qa", "late"),
            ("my-shop-staging", "stale"),
            ("my-shop-uat", "never_seen"),
        ];
        assert_eq!(states, expected);
        assert!(!answer.completeness().complete);
        let line = "⚠ Incomplete: 5 of 6 colonies not current: my-shop-demo revoked (it has revoked this reef; nothing since \
                    2024-11-13 14:00:00 UTC: refused this reef: revoked on 2024-11-13); my-shop-dev unreachable (no answer \
                    since 2024-11-13 14:50:00 UTC); \
                    my-shop-qa late (no answer since 2024-11-13 13:40:00 UTC: connection refused); my-shop-staging stale \
                    (nothing since 2024-11-13 12:20:00 UTC); my-shop-uat never seen (nothing has been received from it); the \
                    others complete to 2024-11-13 15:00:00 UTC.\n";
        assert!(answer.text().ends_with(line), "{}", answer.text());
    }
}
