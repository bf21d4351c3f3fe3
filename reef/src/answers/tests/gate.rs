//! The promotion gate on versions that were deployed in staging first.

use super::*;
use crate::answers::gate::GateQuestion;
use model::time::HOUR_MS;

/// Hours from a version to the next; production follows staging by half of it. All are within three days, so that no daily
/// course is known.
const APART_HOURS: i64 = 12;

fn start(version: usize, environment: &str) -> TimeMs {
    let behind = if environment == "production" { APART_HOURS / 2 } else { 0 };
    NOON + (2 + version as i64 * APART_HOURS + behind) * HOUR_MS
}

/// Versions `v1.0.0`, `v1.1.0`, … of `api`: what each changes in staging and in production, in percent; the last one may
/// not be in production.
async fn store(changes: &[(f64, Option<f64>)]) -> MemoryStore {
    let mut points = Vec::new();
    let mut rows = Vec::new();
    for environment in ["staging", "production"] {
        let names = SeriesRef {
            colony_id: &format!("my-shop-{environment}"),
            application_name: "my-shop",
            environment,
            service_id: "api",
            metric_name: "latency",
            interval_seconds: Some(60),
        };
        let series = SeriesId::of(names);
        let deployed_at = |(number, (staging, production)): (usize, &(f64, Option<f64>))| {
            let change = if environment == "staging" { Some(*staging) } else { *production };
            change.map(|change| (number, start(number, environment), 1.0 + change / 100.0))
        };
        let deployments: Vec<(usize, TimeMs, f64)> = changes.iter().enumerate().filter_map(deployed_at).collect();
        for minute in 0..(changes.len() as i64 * APART_HOURS + 4) * 60 {
            let timestamp = NOON + minute * MINUTE_MS;
            let so_far = deployments.iter().filter(|(_, start, _)| *start <= timestamp);
            let value = Some(Real(so_far.fold(200.0, |value, (.., factor)| value * factor)));
            points.push(MetricPoint { series, timestamp, p95: value, count: Some(10), ..MetricPoint::default() });
        }
        for (number, start, _) in deployments {
            let (id, version) = (format!("{environment}-{number}"), format!("v1.{number}.0"));
            let minute = (start - NOON) / MINUTE_MS;
            let row =
                (environment, id.as_str(), "api", "", version.as_str(), minute, Some(minute), "success", "deployment");
            rows.push(deployed(row));
        }
    }
    let timeline = DerivedChange { table: "deployment_timeline".to_owned(), upserts: rows, removed: Vec::new() };
    let rows = Rows { metrics: points.into(), ..Rows::default() };
    let mut store = MemoryStore::new();
    store.commit(&Commit { derived: vec![timeline], rows: rows.into(), ..Commit::default() }).await.unwrap();
    store
}

/// A metric of `api` that never changes, at the minutes that are kept, up to an hour after version 4 in production.
fn constant(environment: &str, name: &str, value: f64, is_kept: impl Fn(TimeMs) -> bool) -> Vec<MetricPoint> {
    let series = SeriesId::of(SeriesRef {
        colony_id: &format!("my-shop-{environment}"),
        application_name: "my-shop",
        environment,
        service_id: "api",
        metric_name: name,
        interval_seconds: Some(60),
    });
    let value = Some(Real(value));
    let point = |timestamp| MetricPoint { series, timestamp, p95: value, count: Some(10), ..MetricPoint::default() };
    let minutes = (start(4, "production") - NOON) / MINUTE_MS + 70;
    (0..minutes).map(|minute| NOON + minute * MINUTE_MS).filter(|time| is_kept(*time)).map(point).collect()
}

/// Puts version `version` back in production so many minutes after its deployment; none if only its status says so.
async fn rolled_back(store: &mut MemoryStore, version: usize, after: Option<i64>) {
    let minute = (start(version, "production") - NOON) / MINUTE_MS;
    let (id, name) = (format!("production-{version}"), format!("v1.{version}.0"));
    let (id, name) = (id.as_str(), name.as_str());
    let mut upserts =
        vec![deployed(("production", id, "api", "", name, minute, Some(minute), "rolled_back", "deployment"))];
    if let Some(back) = after.map(|after| minute + after) {
        upserts.push(deployed(("production", "back", "api", name, "v1.0.0", back, Some(back), "success", "rollback")));
    }
    let timeline = DerivedChange { table: "deployment_timeline".to_owned(), upserts, removed: Vec::new() };
    store.commit(&Commit { derived: vec![timeline], ..Commit::default() }).await.unwrap();
}

async fn asked(store: &MemoryStore, version: &str) -> Result<(String, serde_json::Value), Refusal> {
    let question = GateQuestion {
        service: "api".to_owned(),
        version: version.to_owned(),
        from: "staging".to_owned(),
        to: "prod".to_owned(),
        application: None,
    };
    match Question::Gate(question).answer(store.reader().as_ref(), &Scope::default()).await {
        Ok(answer) => Ok((answer.text(), serde_json::to_value(&answer).unwrap())),
        Err(AnswerError::Refused(refusal)) => Err(refusal),
        Err(AnswerError::Store(error)) => panic!("{error}"),
    }
}

#[tokio::test]
async fn what_earlier_versions_did_in_production_on_top_of_staging_is_expected() {
    let changes = [(2.0, Some(3.0)), (4.0, Some(6.0)), (-1.0, Some(2.0)), (3.0, Some(5.0)), (2.0, None)];
    let (text, json) = asked(&store(&changes).await, "1.4.0").await.unwrap();
    assert_eq!((&json["verdict"], &json["pairs"]), (&"pass".into(), &4.into()));
    assert_eq!(json["versions"], serde_json::json!(["v1.3.0", "v1.2.0", "v1.1.0", "v1.0.0"]));
    // differences 1, 2, 3, 2: mean 2, deviation 0.8165; t(3) = 3.182, times sqrt(1.25)
    let expected = &json["expected"][0];
    let number = |name: &str| expected[name].as_f64().unwrap();
    assert!((number("change_so_far") - 2.0).abs() < 1e-6 && (number("change") - 4.0).abs() < 1e-6, "{expected}");
    let half = 3.182 * (2.0_f64 / 3.0).sqrt() * 1.25_f64.sqrt();
    assert!((number("change_low") - (4.0 - half)).abs() < 1e-6, "{expected}");
    assert!((number("change_high") - (4.0 + half)).abs() < 1e-6, "{expected}");
    let page = "Gate: api v1.4.0 (staging → production)\nVerdict: ✓ pass (25% worse is excluded for latency)\n\n\
                Expected in production, learnt from 4 earlier versions:\n  latency  +4.0%  (+1.1% to +6.9%)  +2.0% in \
                staging  decides\n\n";
    assert!(text.starts_with(page), "{text}");
    assert_eq!(json["completeness"]["complete"], true);
    assert_eq!(json["not_judged"], serde_json::json!([]));
}

#[tokio::test]
async fn a_version_is_held_if_it_failed_in_staging_or_production_may_suffer() {
    let past = [(0.0, Some(1.0)), (1.0, Some(2.0)), (0.0, Some(1.0))];
    let bad = [past.to_vec(), vec![(60.0, None)]].concat();
    let (text, json) = asked(&store(&bad).await, "v1.3.0").await.unwrap();
    assert_eq!(json["verdict"], "hold");
    let reason = "Verdict: ✗ hold (its deployment in staging is failed: latency changed by +60.0%)\n";
    assert!(text.contains(reason), "{text}");

    // staging showed nothing of what production did
    let unsure = [(0.0, Some(1.0)), (0.0, Some(20.0)), (0.0, Some(1.0)), (1.0, None)];
    let (_, json) = asked(&store(&unsure).await, "v1.3.0").await.unwrap();
    assert_eq!(json["verdict"], "hold");
    let reason = json["reason"].as_str().unwrap();
    assert!(reason.starts_with("25% worse is not excluded: latency: expected +8.3%, 95% interval "), "{reason}");
}

#[tokio::test]
async fn too_little_to_learn_from_is_no_pass() {
    let verdict = async |changes: &[(f64, Option<f64>)], version: &str| {
        let (_, json) = asked(&store(changes).await, version).await.unwrap();
        (json["verdict"].as_str().unwrap().to_owned(), json["reason"].as_str().unwrap().to_owned())
    };
    let two = [(0.0, Some(1.0)), (1.0, Some(2.0)), (0.0, None)];
    let (found, reason) = verdict(&two, "v1.2.0").await;
    assert_eq!(found, "not_enough_data");
    assert!(
        reason.starts_with("3 earlier versions with a latency or error metric")
            && reason.ends_with("; 2 were judged in both")
    );
    let unknown = asked(&store(&two).await, "v1.9.0").await.unwrap_err();
    assert_eq!((unknown.kind, unknown.message.as_str()), (RefusalKind::NotFound, "api v1.9.0 has never been deployed"));
}

#[tokio::test]
async fn a_version_that_was_rolled_back_within_the_hour_teaches_nothing() {
    let changes = [(2.0, Some(3.0)), (4.0, Some(6.0)), (-1.0, Some(2.0)), (3.0, Some(5.0)), (2.0, None)];
    let with_v1: &[&str] = &["v1.3.0", "v1.2.0", "v1.1.0", "v1.0.0"];
    let without_v1: &[&str] = &["v1.3.0", "v1.2.0", "v1.0.0"];
    for (after, expected) in [(Some(10), without_v1), (Some(90), with_v1), (None, without_v1)] {
        let mut store = store(&changes).await;
        rolled_back(&mut store, 1, after).await;
        let (_, json) = asked(&store, "v1.4.0").await.unwrap();
        assert_eq!(json["versions"], serde_json::json!(expected), "put back after {after:?} minutes");
    }
}

#[tokio::test]
async fn latency_and_error_metrics_that_cannot_be_judged_are_named() {
    let changes = [(2.0, Some(3.0)), (4.0, Some(6.0)), (-1.0, Some(2.0)), (3.0, Some(5.0)), (2.0, None)];
    let mut store = store(&changes).await;
    // no errors in staging, and a duration that only the newest version reports there
    let mut metrics = constant("staging", "error_rate", 0.0, |_| true);
    metrics.extend(constant("staging", "duration", 5.0, |timestamp| timestamp >= start(4, "staging") - HOUR_MS));
    let rows = Rows { metrics: metrics.into(), ..Rows::default() };
    store.commit(&Commit { rows: rows.into(), ..Commit::default() }).await.unwrap();
    let (text, json) = asked(&store, "v1.4.0").await.unwrap();
    assert_eq!(json["verdict"], "pass");
    let reason = "25% worse is excluded for latency; not judged: duration, error_rate";
    assert_eq!(json["reason"], reason);
    assert_eq!(json["not_judged"][1]["metric_name"], "error_rate");
    let page = "\nNot judged:\n  duration    0 earlier versions have a change of it in both environments, 3 are needed\n  \
                error_rate  it was 0 in staging before\n\n";
    assert!(text.contains(page), "{text}");
}

#[tokio::test]
async fn a_change_of_few_points_in_staging_is_not_expected_in_production() {
    let changes = [(2.0, Some(3.0)), (4.0, Some(6.0)), (-1.0, Some(2.0)), (3.0, Some(5.0)), (2.0, None)];
    let mut store = store(&changes).await;
    let candidate = start(4, "staging");
    // 5 values before the candidate, 57 after it
    let is_kept = |time: TimeMs| {
        let minutes = (time - candidate) / MINUTE_MS;
        !(-60..-2).contains(&minutes) || (-60..-55).contains(&minutes)
    };
    let mut metrics = constant("staging", "duration", 5.0, is_kept);
    metrics.extend(constant("production", "duration", 5.0, |_| true));
    let rows = Rows { metrics: metrics.into(), ..Rows::default() };
    store.commit(&Commit { rows: rows.into(), ..Commit::default() }).await.unwrap();
    let (_, json) = asked(&store, "v1.4.0").await.unwrap();
    assert_eq!(json["reason"], "25% worse is excluded for latency; not judged: duration");
    let expected = serde_json::json!([
        { "metric_name": "duration", "reason": "fewer than 8 independent points in staging" }
    ]);
    assert_eq!(json["not_judged"], expected);
    assert_eq!(json["expected"].as_array().unwrap().len(), 1, "{json}");
}

#[tokio::test]
async fn versions_that_came_to_staging_after_the_candidate_are_no_earlier_ones() {
    let changes = [(2.0, Some(3.0)), (4.0, Some(6.0)), (2.0, None), (3.0, Some(5.0)), (1.0, Some(2.0))];
    let (_, json) = asked(&store(&changes).await, "v1.2.0").await.unwrap();
    assert_eq!(json["versions"], serde_json::json!(["v1.1.0", "v1.0.0"]));
    assert_eq!(json["verdict"], "not_enough_data");
}

#[tokio::test]
async fn a_gate_needs_the_colony_whose_change_its_verdicts_subtract() {
    let changes = [(2.0, Some(3.0)), (4.0, Some(6.0)), (-1.0, Some(2.0)), (3.0, Some(5.0)), (2.0, None)];
    let mut store = store(&changes).await;
    // nothing was deployed to dev, the first by id; its metrics end hours before those of the two environments
    let mut metrics = constant("dev", "latency", 200.0, |_| true);
    metrics.extend(constant("qa", "latency", 200.0, |_| true));
    let rows = Rows { metrics: metrics.into(), ..Rows::default() };
    store.commit(&Commit { rows: rows.into(), ..Commit::default() }).await.unwrap();
    let (_, json) = asked(&store, "v1.4.0").await.unwrap();
    assert_eq!(json["pairs"], 4, "{json}");
    let colonies = json["completeness"]["colonies"].as_array().unwrap().iter();
    let states: Vec<_> = colonies.map(|one| [&one["colony_id"], &one["state"]]).collect();
    let expected = [["my-shop-dev", "stale"], ["my-shop-production", "current"], ["my-shop-staging", "current"]];
    assert_eq!(states, expected);
    assert_eq!(json["completeness"]["complete"], false);
}
