//! Deployments ordered by their effect.

use super::*;
use crate::answers::deployments::deployments;

/// What the store says of a deployment: `(its id, minute, verdict, score)`. `new` is not judged yet.
const JUDGED: [(&str, i64, Option<&str>, Option<f64>); 7] = [
    ("new", -5, None, None),
    ("fine", -10, Some("success"), Some(0.0)),
    ("early", -20, Some("pending"), None),
    ("slight", -30, Some("degraded"), Some(0.2)),
    ("same", -40, Some("degraded"), Some(0.2)),
    ("worse", -50, Some("degraded"), Some(0.7)),
    ("broken", -60, Some("failed"), Some(0.1)),
];
/// The same, the greatest effect first.
pub(crate) const BY_EFFECT: [&str; 7] = ["broken", "worse", "slight", "same", "new", "early", "fine"];

/// Deployments of each verdict in one colony, of which the newer ones are the better ones.
pub(crate) async fn judged() -> MemoryStore {
    let row = |(id, minute, verdict, score): (&str, i64, Option<&str>, Option<f64>)| {
        let mut row =
            deployed(("production", id, "api", "v1", "v2", minute, Some(minute + 1), "success", "deployment"));
        row[10] = score.map_or(Value::Null, |score| Value::Real(Real(score)));
        row[16] = verdict.map_or(Value::Null, |verdict| Value::Text(verdict.to_owned()));
        row[17] = verdict.map_or(Value::Null, |verdict| Value::Text(format!("{verdict}, because")));
        row
    };
    let upserts = JUDGED.map(row).to_vec();
    let timeline = DerivedChange { table: "deployment_timeline".to_owned(), upserts, removed: Vec::new() };
    let rows = Rows {
        events: vec![event(0, "newest", "config_change", Severity::Info)],
        colonies: vec![status("production", "healthy", 20, "")],
        ..Rows::default()
    };
    let mut store = MemoryStore::new();
    store.commit(&Commit { derived: vec![timeline], ..commit_of(1, rows) }).await.unwrap();
    store
}

/// Stores one more deployment, newer than all of these.
pub(crate) async fn deploy_newest(store: &mut MemoryStore) {
    let upserts = vec![deployed(("production", "newest", "api", "v2", "v3", -1, None, "running", "deployment"))];
    let timeline = DerivedChange { table: "deployment_timeline".to_owned(), upserts, removed: Vec::new() };
    store.commit(&Commit { derived: vec![timeline], ..commit_of(2, Rows::default()) }).await.unwrap();
}

fn ordered(order: &str) -> DeploymentsQuestion {
    DeploymentsQuestion { order: Some(order.to_owned()), ..DeploymentsQuestion::default() }
}

#[tokio::test]
async fn the_worst_verdict_comes_first_then_the_greatest_effect_then_the_newest() {
    let store = judged().await;
    let (reader, scope) = (store.reader(), Scope::default());
    let ids = async |question: DeploymentsQuestion| -> Vec<String> {
        let answer = deployments(&question, reader.as_ref(), &scope).await.unwrap();
        answer.deployments.items.iter().map(|line| line.deployment_id.clone()).collect()
    };
    assert_eq!(ids(ordered("Effect")).await, BY_EFFECT);
    let by_time = JUDGED.map(|(id, ..)| id);
    assert_eq!(ids(ordered("time")).await, by_time);
    assert_eq!(ids(DeploymentsQuestion::default()).await, by_time);

    let answer = deployments(&ordered("effect"), reader.as_ref(), &scope).await.unwrap();
    let text = answer.text();
    assert!(text.starts_with("Deployments (7, the greatest effect first):\n  2024-11-13 11:00:00 UTC"), "{text}");
    assert!(text.contains("\n1 of these is not judged yet; without a verdict it is listed as pending.\n"), "{text}");
    assert!(!deployments(&ordered("time"), reader.as_ref(), &scope).await.unwrap().text().contains("not judged"));
}

#[tokio::test]
async fn a_page_by_effect_continues_after_the_last_one_and_keeps_its_order() {
    let mut store = judged().await;
    let (reader, scope) = (store.reader(), Scope::default());
    let page = async |order: &str, limit: usize, cursor: Option<String>| {
        let question = DeploymentsQuestion { part: Part { limit: Some(limit), cursor, skip: 0 }, ..ordered(order) };
        deployments(&question, reader.as_ref(), &scope).await.map(|answer| answer.deployments)
    };
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let part = page("effect", 2, cursor).await.unwrap();
        assert_eq!(part.total, BY_EFFECT.len());
        found.extend(part.items.iter().map(|line| line.deployment_id.clone()));
        cursor = part.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, BY_EFFECT);

    // a deployment that is worse than the first page is not in the rest
    let first = page("effect", 2, None).await.unwrap();
    let mut row = deployed(("production", "later", "api", "v2", "v3", -1, None, "failed", "deployment"));
    (row[10], row[16]) = (Value::Real(Real(1.0)), Value::Text("failed".to_owned()));
    row[17] = Value::Text("failed, because".to_owned());
    let timeline = DerivedChange { table: "deployment_timeline".to_owned(), upserts: vec![row], removed: Vec::new() };
    store.commit(&Commit { derived: vec![timeline], ..commit_of(2, Rows::default()) }).await.unwrap();
    let rest = page("effect", 200, first.next_cursor.clone()).await.unwrap();
    assert_eq!(rest.items.iter().map(|line| line.deployment_id.as_str()).collect::<Vec<_>>(), BY_EFFECT[2..]);
    let other = page("time", 200, first.next_cursor).await;
    assert!(matches!(other, Err(AnswerError::Refused(refusal)) if refusal.field.as_deref() == Some("cursor")));
}

#[tokio::test]
async fn an_unknown_order_is_refused_with_the_known_ones() {
    let refusal = ask_of(Question::Deployments(ordered("size")), &Scope::default()).await.unwrap_err();
    assert_eq!((refusal.kind, refusal.field.as_deref()), (RefusalKind::Invalid, Some("order")));
    assert_eq!(
        (refusal.message.as_str(), refusal.hint.as_str()),
        ("deployments have no order \"size\"", "one of: time, effect")
    );
}
