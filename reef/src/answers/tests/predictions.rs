//! What patterns expect next, what became of it, and how good they are.

use super::*;
use crate::answers::predictions::PredictionsQuestion;
use crate::answers::status::StatusQuestion;
use model::time::DAY_MS;

const PATTERN: &str = "c-0123456789abcdef0123";

/// A prediction of a day before noon of the newest one: `(days before, outcome, minutes to the target)`.
fn prediction(pattern: &str, days_before: i64, outcome: &str, lead_minutes: Option<i64>) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let issued = NOON - days_before * DAY_MS;
    let mut row = vec![text(&format!("p-{pattern}-{days_before}")), text(pattern)];
    let source = format!("deploy-{days_before}");
    row.extend(["my-shop-staging", source.as_str(), "my-shop-production", "checkout", "error_spike"].map(text));
    row.extend([0, 125, 155, 165].map(|minute| Value::Time(issued + minute * MINUTE_MS)));
    let lead = lead_minutes.map(|minutes| Value::Time(issued + minutes * MINUTE_MS));
    row.extend([Value::Real(Real(0.86)), text(outcome), Value::Null, lead.unwrap_or(Value::Null)]);
    row.extend(["checkout", "deploy", "my-shop", "staging", "my-shop", "production"].map(text));
    row.push(Value::Real(Real(0.02)));
    row
}

fn day(pattern: &str, days_before: i64, targets: u64, muted: Option<&str>) -> Vec<Value> {
    let mut row = vec![Value::Text(pattern.to_owned()), Value::Time((NOON - days_before * DAY_MS).floor_to(DAY_MS))];
    row.extend([Value::Real(Real(0.86)), Value::Real(Real(0.02))]);
    row.extend([7_500, 9_300, targets].map(Value::Count));
    row.push(muted.map_or(Value::Null, |muted| Value::Text(muted.to_owned())));
    row
}

async fn store(predictions: Vec<Vec<Value>>, days: Vec<Vec<Value>>) -> MemoryStore {
    let change = |table: &str, upserts| DerivedChange { table: table.to_owned(), upserts, removed: Vec::new() };
    let derived = vec![change("predictions", predictions), change("prediction_days", days)];
    let rows = Rows {
        colonies: vec![status("production", "healthy", 20, ""), status("staging", "healthy", 20, "")],
        ..Rows::default()
    };
    let mut store = MemoryStore::new();
    store.commit(&Commit { derived, ..commit_of(1, rows) }).await.unwrap();
    store
}

async fn asked(store: &MemoryStore, question: PredictionsQuestion) -> Result<Answered, Refusal> {
    match Question::Predictions(question).answer(store.reader().as_ref(), &Scope::default()).await {
        Ok(answer) => Ok(answer),
        Err(AnswerError::Refused(refusal)) => Err(refusal),
        Err(AnswerError::Store(error)) => panic!("{error}"),
    }
}

fn rows() -> (Vec<Vec<Value>>, Vec<Vec<Value>>) {
    let predictions = vec![
        prediction(PATTERN, 0, "open", None),
        prediction(PATTERN, 1, "hit", Some(137)),
        prediction(PATTERN, 2, "void", None),
        prediction(PATTERN, 3, "miss", Some(165)),
        prediction(PATTERN, 4, "hit", Some(141)),
        prediction("c-ffff", 40, "miss", Some(165)),
    ];
    let days = vec![
        day(PATTERN, 0, 0, None),
        day(PATTERN, 1, 1, None),
        day(PATTERN, 4, 3, None),
        day("c-ffff", 0, 2, Some("no longer true: 0 of the last 7 cases came true")),
    ];
    (predictions, days)
}

async fn known() -> MemoryStore {
    let (predictions, days) = rows();
    store(predictions, days).await
}

/// The rows of the tests of answers, with predictions of two patterns: one open, two hits, two misses, one void.
pub(crate) async fn foreseen() -> MemoryStore {
    let (predictions, days) = rows();
    let change = |table: &str, upserts| DerivedChange { table: table.to_owned(), upserts, removed: Vec::new() };
    let derived = vec![change("predictions", predictions), change("prediction_days", days)];
    let mut store = super::store().await;
    store.commit(&Commit { derived, ..commit_of(2, Rows::default()) }).await.unwrap();
    store
}

/// The same with so many patterns of `batch` that each have an open prediction and had one that came true, and with
/// `c-z`, the last of them in every list: it is the most probable, and was wrong before.
pub(crate) async fn foreseen_often(count: usize) -> MemoryStore {
    let of = |pattern: &str, probability: f64, before: &str| {
        let mut open = prediction(pattern, 0, "open", None);
        open[11] = Value::Real(Real(probability));
        [open, prediction(pattern, 1, before, Some(137))]
    };
    let mut upserts = of("c-z", 0.99, "miss").to_vec();
    upserts.extend((0..count).flat_map(|number| of(&format!("c-{number:04}"), 0.5, "hit")));
    let derived = vec![DerivedChange { table: "predictions".to_owned(), upserts, removed: Vec::new() }];
    let pattern = |name: &str, service: &str, score: f64| {
        let mut found = finding(name, score, &[]);
        for end in [&mut found.correlation.key.source, &mut found.correlation.key.target] {
            end.colony_id = "my-shop-production".to_owned();
            end.service_id = service.to_owned();
        }
        found
    };
    let mut findings: Vec<_> = (0..count).map(|number| pattern(&format!("job_{number}"), "batch", 0.9)).collect();
    findings.push(pattern("restart", "mailer", 0.5));
    let mut store = super::store().await;
    store.commit(&Commit { derived, findings, ..commit_of(2, Rows::default()) }).await.unwrap();
    store
}

/// The question for all predictions.
fn all() -> PredictionsQuestion {
    PredictionsQuestion { outcome: Some("all".to_owned()), ..PredictionsQuestion::default() }
}

#[tokio::test]
async fn what_is_expected_comes_first_then_what_came_of_it_then_how_good_patterns_are() {
    let store = known().await;
    let text = asked(&store, all()).await.unwrap().text();
    let between = |day: &str| format!("between {day} 14:05:00 UTC and {day} 14:35:00 UTC");
    let because =
        |day: &str, id: &str| format!("because of deploy of checkout in staging at {day} 12:00:00 UTC ({id})");
    let told = |day: &str, id: &str| format!("{}, 86 %, {}", between(day), because(day, id));
    let target = "error spike in production checkout";
    let void = between("2024-11-11");
    let expected = format!(
        "1 open prediction:\n\n  … {target} expected {}\n\nEarlier ones, the newest first:\n\n  \
         ✓ {target} came at 2024-11-12 14:17:00 UTC, expected {}\n  \
         – {target} {void}: nothing was heard of my-shop-production, {}\n  \
         ✗ {target} did not come {}\n  \
         ✓ {target} came at 2024-11-09 14:21:00 UTC, expected {}\n  \
         ✗ {target} did not come {}\n\n\
         Patterns, over 30 days (over 90: --json):\n\n  \
         deploy of checkout in staging -> error spike in production checkout\n    \
         {PATTERN} · 2 of 3 came true, 67 % (21 to 94 %) · announced 50 % of 4 targets · skill 0.59 · 2h17m ahead · predicts with 86 %\n  \
         deploy of checkout in staging -> error spike in production checkout\n    \
         c-ffff · none decided · muted: no longer true: 0 of the last 7 cases came true\n\n\
         The rows behind a pattern: coral reef correlation <id>\n\n{COMPLETE}",
        told("2024-11-13", PATTERN),
        told("2024-11-12", PATTERN),
        because("2024-11-11", PATTERN),
        told("2024-11-10", PATTERN),
        told("2024-11-09", PATTERN),
        told("2024-10-04", "c-ffff"),
    );
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_question_may_be_narrowed_and_names_what_it_does_not_know() {
    let store = known().await;
    let open = asked(&store, PredictionsQuestion::default()).await.unwrap();
    let json = serde_json::to_value(&open).unwrap();
    assert_eq!((&json["total"], &json["open"]), (&1.into(), &1.into()));
    let first = &json["items"][0];
    assert_eq!(
        [&first["outcome"], &first["expected_from"], &first["source_event_id"]],
        ["open", "2024-11-13T14:05:00.000Z", "deploy-0"]
    );
    assert!(first["summary"].as_str().unwrap().starts_with("error spike in production checkout expected"), "{first}");
    let scores = &json["patterns"][0]["scores"];
    assert_eq!((&scores[0]["hits"], &scores[0]["misses"], &scores[1]["days"]), (&2.into(), &1.into(), &90.into()));

    let of = |id: &str| PredictionsQuestion { pattern: Some(id.to_owned()), ..all() };
    let json = serde_json::to_value(asked(&store, of("c-fff")).await.unwrap()).unwrap();
    assert_eq!((&json["total"], json["patterns"].as_array().unwrap().len()), (&1.into(), 1));
    assert_eq!(
        (&json["patterns"][0]["scores"][0]["misses"], &json["patterns"][0]["scores"][1]["misses"]),
        (&0.into(), &1.into())
    );
    let unknown = asked(&store, of("c-feff")).await.unwrap_err();
    let hint = "did you mean \"c-ffff\"?; list them: coral reef correlations";
    assert_eq!((unknown.kind, unknown.hint.as_str()), (RefusalKind::NotFound, hint));
    assert_eq!(asked(&store, of("c-")).await.unwrap_err().kind, RefusalKind::Ambiguous);

    let of =
        |outcome: &str| PredictionsQuestion { outcome: Some(outcome.to_owned()), ..PredictionsQuestion::default() };
    let json = serde_json::to_value(asked(&store, of("Miss")).await.unwrap()).unwrap();
    assert_eq!((&json["total"], &json["open"], &json["outcome"]), (&2.into(), &1.into(), &"miss".into()));
    let wrong = asked(&store, of("missed")).await.unwrap_err();
    assert_eq!((wrong.field.as_deref(), wrong.hint.as_str()), (Some("outcome"), "one of: open, hit, miss, void, all"));
    let in_environment =
        |environment: &str| PredictionsQuestion { filter: super::in_environment(environment), ..all() };
    let json = serde_json::to_value(asked(&store, in_environment("staging")).await.unwrap()).unwrap();
    assert_eq!((&json["total"], &json["pattern_count"]), (&0.into(), &0.into()), "their targets are in production");

    let of = |id: &str| PredictionsQuestion { pattern: Some(id.to_owned()), ..all() };
    let long = asked(&store, of(&"c".repeat(257))).await.unwrap_err();
    assert_eq!((long.kind, long.field.as_deref()), (RefusalKind::Invalid, Some("correlation_id")));

    let named = |service: &str| PredictionsQuestion {
        filter: Filter { service: Some(service.to_owned()), ..Filter::default() },
        ..all()
    };
    let json = serde_json::to_value(asked(&store, named("Check")).await.unwrap()).unwrap();
    assert_eq!((&json["total"], &json["open"]), (&6.into(), &1.into()));
    let unknown = asked(&store, named("search")).await.unwrap_err();
    let message = "no prediction, no pattern and no topology names a service \"search\"";
    assert_eq!((unknown.kind, unknown.message.as_str()), (RefusalKind::NotFound, message));
}

#[tokio::test]
async fn the_next_part_begins_after_the_last_prediction_whatever_came_since() {
    let mut store = known().await;
    let part = |limit: usize, cursor: Option<String>| PredictionsQuestion {
        part: Part { limit: Some(limit), cursor, ..Part::default() },
        ..all()
    };
    let ids = |json: &serde_json::Value| -> Vec<String> {
        let items = json["items"].as_array().unwrap().iter();
        items.map(|item| item["source_event_id"].as_str().unwrap().to_owned()).collect()
    };
    let first = serde_json::to_value(asked(&store, part(2, None)).await.unwrap()).unwrap();
    assert_eq!((ids(&first), &first["total"]), (vec!["deploy-0".to_owned(), "deploy-1".to_owned()], &6.into()));
    // another one is made meanwhile, and the open one came true
    let upserts = vec![prediction("c-ffff", 0, "open", None), prediction(PATTERN, 0, "hit", Some(140))];
    let derived = vec![DerivedChange { table: "predictions".to_owned(), upserts, removed: Vec::new() }];
    store.commit(&Commit { derived, ..commit_of(2, Rows::default()) }).await.unwrap();
    let cursor = first["next_cursor"].as_str().map(str::to_owned);
    let rest = serde_json::to_value(asked(&store, part(200, cursor.clone())).await.unwrap()).unwrap();
    assert_eq!(ids(&rest), ["deploy-2", "deploy-3", "deploy-4", "deploy-40"]);
    assert_eq!((&rest["total"], &rest["next_cursor"]), (&6.into(), &serde_json::Value::Null));
    let of_another = PredictionsQuestion { outcome: None, ..part(2, cursor) };
    assert_eq!(asked(&store, of_another).await.unwrap_err().field.as_deref(), Some("cursor"));
}

#[tokio::test]
async fn without_predictions_it_is_said_when_there_will_be_some() {
    let store = store(Vec::new(), Vec::new()).await;
    let text = asked(&store, all()).await.unwrap().text();
    let expected =
        "No open prediction.\n\nNo pattern predicts yet: it must be confirmed at the end of a day (UTC) first.\n\n";
    assert_eq!(text, format!("{expected}{COMPLETE}"));
}

#[tokio::test]
async fn a_pattern_says_what_became_of_its_predictions() {
    let pattern = finding("deploy", 0.87, &[("e-3", "spike-1")]);
    let id = pattern.correlation.key.correlation_id();
    let rows = vec![
        prediction(&id, 0, "open", None),
        prediction(&id, 1, "hit", Some(137)),
        prediction(PATTERN, 2, "hit", Some(9)),
    ];
    let mut store = store(rows, Vec::new()).await;
    store.commit(&Commit { findings: vec![pattern], ..commit_of(2, Rows::default()) }).await.unwrap();
    let question = Question::Correlation(CorrelationQuestion { id });
    let answer = question.answer(store.reader().as_ref(), &Scope::default()).await.unwrap();
    assert!(answer.text().contains("           predicted 2 times: 1 hit, 1 open\n"), "{}", answer.text());
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["predicted"], serde_json::json!({ "open": 1, "hits": 1, "misses": 0, "voids": 0 }));
}

#[tokio::test]
async fn the_status_names_what_is_open() {
    let status = async |store: &MemoryStore| {
        let question = Question::Status(StatusQuestion::default());
        question.answer(store.reader().as_ref(), &Scope::default()).await.unwrap()
    };
    let answer = status(&known().await).await;
    let expected = "\nExpected Next:\n  - error spike in production checkout expected between 2024-11-13 14:05:00 UTC \
                    and 2024-11-13 14:35:00 UTC, 86 %, because of deploy of checkout in staging at 2024-11-13 12:00:00 \
                    UTC (c-0123456789abcdef0123)\n\n";
    assert!(answer.text().contains(expected), "{}", answer.text());
    let many = (0..7).map(|number| prediction(&format!("c-{number}"), 0, "open", None)).collect();
    let answer = status(&store(many, Vec::new()).await).await;
    assert!(answer.text().contains("\n  2 more: coral reef predictions\n"), "{}", answer.text());
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!((json["open_predictions"].as_array().unwrap().len(), &json["open_prediction_count"]), (5, &7.into()));
    assert!(!status(&store(Vec::new(), Vec::new()).await).await.text().contains("Expected Next"));
}

/// Open from noon of the newest day on, a miss an hour later, and a hit once the target came late.
#[tokio::test]
async fn the_list_of_predictions_is_what_the_reef_knew_then() {
    use sinks::prediction_revisions::{PREDICTION_REVISIONS, listed, removed};
    let mut store = known().await;
    let of = |outcome: &str, lead: Option<i64>| prediction(PATTERN, 0, outcome, lead);
    let upserts = vec![
        listed(&prediction("c-ffff", 1, "open", None), at(0)),
        removed("p-c-ffff-1", at(90)),
        listed(&of("open", None), at(0)),
        listed(&of("miss", Some(165)), at(60)),
        listed(&of("hit", Some(140)), at(120)),
    ];
    let derived = vec![DerivedChange { table: PREDICTION_REVISIONS.to_owned(), upserts, removed: Vec::new() }];
    store.commit(&Commit { derived, ..commit_of(2, Rows::default()) }).await.unwrap();
    let then = |minute: i64| PredictionsQuestion { as_of: Some(at(minute)), ..all() };
    let expected: [(i64, &[&str]); 5] =
        [(-1, &[]), (0, &["open", "open"]), (60, &["open", "miss"]), (90, &["miss"]), (120, &["hit"])];
    for (minute, outcomes) in expected {
        let json = serde_json::to_value(asked(&store, then(minute)).await.unwrap()).unwrap();
        let items = json["items"].as_array().unwrap();
        let found: Vec<&str> = items.iter().map(|item| item["outcome"].as_str().unwrap()).collect();
        assert_eq!(found, outcomes, "{minute}");
        assert_eq!(json["as_of"], at(minute).to_string());
    }
    let text = asked(&store, then(120)).await.unwrap().text();
    let head = format!("No open prediction, as the reef knew them at {}.\n", at(120));
    let came = "✓ error spike in production checkout came at 2024-11-13 14:20:00 UTC, expected";
    assert!(text.starts_with(&head) && text.contains(came), "{text}");
    assert!(text.contains("1 of 1 came true") && !text.contains("at present"), "{text}");
    let text = asked(&store, then(-1)).await.unwrap().text();
    assert!(text.contains("\nNo pattern had predicted anything by then"), "{text}");
    // what it knows now is not touched by it
    let json = serde_json::to_value(asked(&store, all()).await.unwrap()).unwrap();
    assert_eq!((&json["total"], &json["as_of"]), (&6.into(), &serde_json::Value::Null));
    let late = PredictionsQuestion { as_of: Some(TimeMs(i64::MAX)), ..all() };
    assert_eq!(asked(&store, late).await.unwrap_err().field.as_deref(), Some("as_of"));
}
