//! Neighbours of a deployment: affected, not affected, not known.

use super::*;
use crate::answers::affected::AffectedQuestion;

/// Minutely latency of a service, which from minute `from` on is `factor` times as high.
fn latency(colony_id: &str, service_id: &str, from: i64, factor: f64) -> Vec<MetricPoint> {
    metric_of((colony_id, service_id, "latency"), (from, factor), 1.0)
}

/// The same of any metric, whose values move by 3 times `noise` to both sides.
fn metric_of(
    (colony_id, service_id, metric_name): (&str, &str, &str),
    (from, factor): (i64, f64),
    noise: f64,
) -> Vec<MetricPoint> {
    let names = SeriesRef {
        colony_id,
        application_name: "",
        environment: "production",
        service_id,
        metric_name,
        interval_seconds: Some(60),
    };
    let series = SeriesId::of(names);
    let point = |minute: i64| {
        let level = if minute < from { 100.0 } else { 100.0 * factor };
        let value = level + noise * (minute.rem_euclid(7) - 3) as f64;
        MetricPoint { series, timestamp: at(minute), p95: Some(Real(value)), count: Some(10), ..MetricPoint::default() }
    };
    (-480..240).map(point).collect()
}

/// `web` calls `api`, which calls `db` and `cache`; `api` is deployed at -90, and a pattern leads to another application.
pub(crate) async fn store() -> MemoryStore {
    let shop = "my-shop-production";
    let call = |from_service: &str, to_service: &str| ServiceEdge {
        colony_id: shop.to_owned(),
        from_service: from_service.to_owned(),
        to_service: to_service.to_owned(),
        protocol: "grpc".to_owned(),
        request_count: 9,
        seen_at: NOON,
    };
    let mut metrics = latency(shop, "web", -82, 1.0);
    metrics.extend(latency(shop, "db", -82, 1.4));
    metrics.extend(latency("pay-production", "checkout", 50, 1.0));
    let rows = Rows {
        metrics: metrics.into(),
        events: vec![
            event(-90, "e-3", "deploy", Severity::Info),
            Event { colony_id: "pay-production".to_owned(), ..event(45, "spike", "error_spike", Severity::Error) },
        ],
        edges: vec![call("web", "api"), call("api", "db"), call("api", "cache"), call("web", "cache")],
        ..Rows::default()
    };
    let mut pattern = finding("deploy", 0.87, &[("e-3", "spike")]);
    pattern.correlation.key.source.colony_id = shop.to_owned();
    pattern.correlation.key.target.colony_id = "pay-production".to_owned();
    pattern.correlation.key.target.service_id = "checkout".to_owned();
    pattern.correlation.lag_seconds = 135 * 60;
    let row = ("production", "e-3", "api", "v2.0.0", "v2.1.0", -90, Some(-82), "success", "deployment");
    let timeline =
        DerivedChange { table: "deployment_timeline".to_owned(), upserts: vec![deployed(row)], removed: Vec::new() };
    let mut store = MemoryStore::new();
    store.commit(&Commit { findings: vec![pattern], derived: vec![timeline], ..commit_of(1, rows) }).await.unwrap();
    store
}

#[tokio::test]
async fn neighbours_by_calls_and_patterns_are_affected_or_not_with_what_would_have_been_seen() {
    let store = store().await;
    for (id, kind) in [("e-3", "deployment"), ("my-shop-production/e-3", "deployment")] {
        let question = Question::Affected(AffectedQuestion { id: id.to_owned() });
        let answer = question.answer(store.reader().as_ref(), &Scope::default()).await.unwrap();
        let json = serde_json::to_value(&answer).unwrap();
        let names = |list: &str| -> Vec<String> {
            let list = json[list].as_array().unwrap().iter();
            list.map(|one| format!("{} {}", one["service_id"].as_str().unwrap(), one["relation"].as_str().unwrap()))
                .collect()
        };
        assert_eq!(json["kind"], kind);
        assert_eq!(names("affected"), ["db called_by_it", "checkout pattern"]);
        assert_eq!(
            (names("not_affected"), names("not_known")),
            (vec!["web calls_it".to_owned()], vec!["cache called_by_it".to_owned()])
        );
        let db = &json["affected"][0];
        assert!((db["change"].as_f64().unwrap() - 40.0).abs() < 1.0 && db["score"].as_f64().unwrap() > 0.5, "{db}");
        let checkout = &json["affected"][1];
        assert_eq!(checkout["events"], serde_json::json!(["spike"]));
        assert_eq!(
            (&checkout["correlation_score"], &db["correlation_score"]),
            (&0.87.into(), &serde_json::Value::Null)
        );
        let visible = json["not_affected"][0]["visible_from"].as_f64().unwrap();
        // values 97 to 103 around 100: the 95 % interval of the shift is -1 to 1, its standard error 1/1.96 = 0.5102 %.
        // Chance alone would need (2.2414 + 1.2816) 0.5102 = 1.80 %; an estimate of 5 % in 9 of 10 cases needs
        // 5 + 1.2816 * 0.5102 = 5.654 %
        assert!((visible - 5.654).abs() < 0.001, "{visible}");
        let text = answer.text();
        let begin = "Effect of deployment e-3 of api in my-shop-production (2024-11-13 10:30:00 UTC) on its neighbours:\n\n\
                     Affected (2):\n  ✗ affected  my-shop-production  db        called by it";
        assert!(text.starts_with(begin), "{text}");
        let score = |list: &str| format!("score {:.2}", json[list][0]["score"].as_f64().unwrap());
        for line in [
            format!("  {:16}  latency +", score("affected")),
            "pattern, 2h15m later  correlation 0.87  error_spike followed as before\n".to_owned(),
            format!("web  calls it  {}  a change of latency by 6% would have been seen\n", score("not_affected")),
            "cache  called by it  –  no metric is known before and after it\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line}: {text}");
        }
    }
}

#[tokio::test]
async fn an_event_has_neighbours_too_and_an_unknown_id_is_refused() {
    let store = store().await;
    let asked = async |id: &str| {
        let question = Question::Affected(AffectedQuestion { id: id.to_owned() });
        question.answer(store.reader().as_ref(), &Scope::default()).await
    };
    let json = serde_json::to_value(asked("spike").await.unwrap()).unwrap();
    assert_eq!((&json["kind"], &json["colony_id"]), (&"event".into(), &"pay-production".into()));
    assert!(json["summary"].as_str().unwrap().contains("has no neighbour"), "{json}");
    let Err(AnswerError::Refused(refusal)) = asked("e-99").await else { panic!("nothing has this id") };
    assert_eq!(
        (refusal.kind, refusal.message.as_str()),
        (
            RefusalKind::NotFound,
            "there is no deployment and no event \"e-99\"; events were searched back to 2024-08-15 12:45:00 UTC"
        )
    );
}

#[tokio::test]
async fn what_would_have_been_seen_depends_on_the_number_of_all_metrics() {
    let shop = "my-shop-production";
    let visible_from = async |others: &[&str]| {
        let mut metrics = metric_of((shop, "cache", "latency"), (0, 1.0), 8.0);
        for &name in others {
            metrics.extend(metric_of((shop, "cache", name), (0, 1.0), 8.0));
        }
        let mut store = store().await;
        let rows = Rows { metrics: metrics.into(), ..Rows::default() };
        store.commit(&commit_of(2, rows)).await.unwrap();
        let question = Question::Affected(AffectedQuestion { id: "e-3".to_owned() });
        let answer = question.answer(store.reader().as_ref(), &Scope::default()).await.unwrap();
        let json = serde_json::to_value(&answer).unwrap();
        let mut found = json["not_affected"].as_array().unwrap().iter();
        let cache = found.find(|one| one["service_id"] == "cache").unwrap();
        assert_eq!(cache["metric_name"], "latency", "{json}");
        cache["visible_from"].as_f64().unwrap()
    };
    // 8 is the half width of the 95 % interval, in percent of 100;
    // z(0.0125) = 2.2414, z(0.0125/5) = 2.8070, z(0.1) = 1.2816
    let expected = |threshold: f64| (threshold + 1.2816) * 8.0 / 1.95996;
    let alone = visible_from(&[]).await;
    assert!((alone - expected(2.2414)).abs() < 0.01, "{alone}");
    // neither direction of these is known to be better
    let among = visible_from(&["alpha", "beta", "gamma", "delta"]).await;
    assert!((among - expected(2.8070)).abs() < 0.01, "{among}");
}

#[tokio::test]
async fn an_event_may_have_the_id_of_another_on_another_day_and_a_withdrawn_one_is_none() {
    let day = 24 * 60;
    let of_pay = |minute: i64, id: &str| Event {
        colony_id: "pay-production".to_owned(),
        ..event(minute, id, "alert", Severity::Error)
    };
    let events = vec![
        of_pay(40, "twice"),
        event(40 - 2 * day, "twice", "alert", Severity::Error),
        Event { withdrawn: true, ..of_pay(41, "gone") },
    ];
    let mut store = store().await;
    store.commit(&commit_of(2, Rows { events, ..Rows::default() })).await.unwrap();
    let asked = async |id: &str| {
        let question = Question::Affected(AffectedQuestion { id: id.to_owned() });
        question.answer(store.reader().as_ref(), &Scope::default()).await
    };
    let Err(AnswerError::Refused(refusal)) = asked("twice").await else { panic!("two colonies have this id") };
    assert_eq!(refusal.kind, RefusalKind::Ambiguous);
    assert_eq!(refusal.hint, "one of: pay-production/twice, my-shop-production/twice");
    let json = serde_json::to_value(asked("my-shop-production/twice").await.unwrap()).unwrap();
    assert_eq!((&json["kind"], &json["colony_id"]), (&"event".into(), &"my-shop-production".into()));
    let Err(AnswerError::Refused(refusal)) = asked("gone").await else { panic!("the event was withdrawn") };
    assert_eq!(refusal.kind, RefusalKind::NotFound);
    assert!(refusal.message.starts_with("there is no deployment and no event \"gone\""), "{refusal}");
}
