//! What is said of a deployment while the hour after it lasts, after each verdict, and among very many events.

use super::*;

/// A store with one deployment of `api` in production that ended at minute `end`, whose latency is `after` times as high
/// from then on.
async fn store(end: i64, status: &str, after: f64) -> MemoryStore {
    let mut points = metric("production", "latency", 245.0);
    for point in &mut points {
        point.p95 = Some(Real(if point.timestamp < at(end) { 245.0 } else { 245.0 * after }));
    }
    let end_at = (status != "running").then_some(end);
    let row = ("production", "e-9", "api", "v2.0.0", "v2.1.0", end - 8, end_at, status, "deployment");
    let timeline =
        DerivedChange { table: "deployment_timeline".to_owned(), upserts: vec![deployed(row)], removed: Vec::new() };
    let rows = Rows { metrics: points.into(), ..Rows::default() };
    let mut store = MemoryStore::new();
    store.commit(&Commit { derived: vec![timeline], ..commit_of(1, rows) }).await.unwrap();
    store
}

async fn told(store: &MemoryStore) -> (String, serde_json::Value) {
    let question = Question::Deployment(DeploymentQuestion { id: "e-9".to_owned() });
    let answer = question.answer(store.reader().as_ref(), &Scope::default()).await.unwrap();
    (answer.text(), serde_json::to_value(&answer).unwrap())
}

#[tokio::test]
async fn nothing_is_said_of_an_hour_that_is_not_over() {
    let (text, json) = told(&store(-35, "success", 1.0).await).await;
    let none = "Related incidents:\n  none up to 2024-11-13 11:59:00 UTC; the hour after it is not complete\n";
    assert!(text.contains(none), "{text}");
    assert_eq!((&json["impact"]["incidents_complete"], &json["impact"]["look_minutes"]), (&false.into(), &30.into()));
    assert_eq!(json["impact"]["incidents_known_to"], "2024-11-13T11:59:00.000Z");
    assert!(json["summary"].as_str().unwrap().ends_with("; no incident followed up to 2024-11-13 11:59:00 UTC"));
    let later = "Nothing got worse so far; ask again after 2024-11-13 12:25:00 UTC for the last look.";
    assert_eq!(json["recommendation"], later);

    let (text, json) = told(&store(-90, "success", 1.0).await).await;
    assert!(text.contains("Related incidents:\n  none within an hour\n"), "{text}");
    assert_eq!(
        (&json["impact"]["incidents_complete"], &json["recommendation"]),
        (&true.into(), &"Nothing to do.".into())
    );
    assert!(json["summary"].as_str().unwrap().ends_with("no incident followed within an hour"), "{json}");

    let (text, _) = told(&store(-90, "running", 1.0).await).await;
    assert!(text.contains("none up to 2024-11-13 11:22:00 UTC; the hour after it is not complete"), "{text}");
}

#[tokio::test]
async fn the_advice_follows_the_verdict() {
    let advice = async |end: i64, status: &str, after: f64| {
        let (_, json) = told(&store(end, status, after).await).await;
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (text(&json["impact"]["overall_status"]), text(&json["recommendation"]))
    };
    let expect = |verdict: &str, advice: &str| (verdict.to_owned(), advice.to_owned());
    assert_eq!(
        advice(-90, "success", 1.6).await,
        expect("failed", "Put it back, or fix it now: latency changed by +60.0%.")
    );
    assert_eq!(
        advice(-90, "success", 1.3).await,
        expect("degraded", "Watch it, and put it back if it does not recover: latency changed by +30.0%.")
    );
    let (verdict, pending) = advice(-3, "success", 1.0).await;
    assert!(
        verdict == "pending" && pending.starts_with("Not judged: metrics reach only 3m after its end"),
        "{pending}"
    );
    assert_eq!(
        advice(-90, "running", 1.0).await,
        expect("pending", "No end has been reported: see what the tool that started it says.")
    );
    assert_eq!(
        advice(-90, "rolled_back", 1.0).await,
        expect("failed", "It was put back: find the cause before v2.1.0 is deployed again.")
    );
    assert_eq!(
        advice(-90, "failed", 1.0).await,
        expect("failed", "The deployment itself failed: see what its tool says before it is repeated.")
    );
}

#[tokio::test]
async fn reading_ends_among_very_many_events_and_says_where() {
    let mut store = store(-90, "success", 1.0).await;
    let noise = |number: i64| Event {
        colony_id: "other".to_owned(),
        timestamp: at(-98) + number * 60,
        ..event(0, &format!("n{number}"), "note", Severity::Info)
    };
    let mut events: Vec<Event> = (0..51_000).map(noise).collect();
    events.extend([event(-80, "near", "crash", Severity::Error), event(-44, "far", "crash", Severity::Error)]);
    store.commit(&commit_of(2, Rows { events, ..Rows::default() })).await.unwrap();
    let (text, json) = told(&store).await;
    assert!(text.contains("  - crash near (18m after deploy, in time only)\n  (up to 2024-11-13 11:1"), "{text}");
    assert_eq!((&json["impact"]["incidents_total"], &json["impact"]["incidents_complete"]), (&1.into(), &false.into()));
}

#[tokio::test]
async fn an_incident_of_a_pattern_is_found_days_later_and_what_lies_between_is_not() {
    let mut store = store(-90, "success", 1.0).await;
    let days = 3 * 24 * 60;
    let events =
        vec![event(days, "spike", "error_spike", Severity::Error), event(600, "between", "crash", Severity::Error)];
    let mut pattern = finding("deploy", 0.87, &[("e-9", "spike")]);
    pattern.correlation.key.source.colony_id = "my-shop-production".to_owned();
    pattern.correlation.key.target.colony_id = "my-shop-production".to_owned();
    pattern.evidence[0].target_timestamp = at(days);
    let commit = Commit { findings: vec![pattern], ..commit_of(2, Rows { events, ..Rows::default() }) };
    store.commit(&commit).await.unwrap();
    let (_, json) = told(&store).await;
    let incidents = json["impact"]["incidents"].as_array().unwrap();
    assert_eq!((incidents.len(), &incidents[0]["event_id"]), (1, &"spike".into()));
    assert_eq!(incidents[0]["correlation_score"], 0.87);
}
