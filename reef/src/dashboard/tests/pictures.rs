//! The differential test of pictures: what a graph or a histogram says is counted again in the JSON of the same rows.

use super::*;
use crate::answers::Question;
use crate::answers::correlations::{CorrelationQuestion, CorrelationsQuestion};
use crate::dashboard::shown;
use serde_json::Value;

/// What the marks of a picture carry: the values of an attribute.
fn carried(body: &str, attribute: &str) -> Vec<f64> {
    let begin = format!(" data-{attribute}=\"");
    let values = body.split(begin.as_str()).skip(1).filter_map(|rest| rest.split('"').next());
    values.map(|value| value.parse().unwrap()).collect()
}

/// The texts of a picture that are numbers.
fn written(body: &str, class: &str) -> Vec<f64> {
    let (_, picture) = body.split_once(&format!("<svg class=\"{class}\"")).unwrap();
    let (picture, _) = picture.split_once("</svg>").unwrap();
    let texts = picture.split("<text ").skip(1).filter_map(|rest| rest.split_once('>'));
    texts.filter_map(|(_, rest)| rest.split('<').next()?.parse().ok()).collect()
}

/// A number of a document; 64 bits are text.
fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap()
}

/// Three patterns between the same two services, each with lags of two sizes.
async fn three() -> MemoryStore {
    let findings = ["deploy", "restart", "rollout"].map(|name| {
        let mut found = finding(name, 0.9, &[("a", "b"), ("c", "d"), ("e", "f")]);
        found.correlation.source_environment = "staging".to_owned();
        for (row, lag_ms) in found.evidence.iter_mut().zip([60_000, 61_000, 7_200_000]) {
            row.lag_ms = lag_ms;
        }
        found
    });
    let rows = Rows { events: vec![happened("shop-production", "first", 0, "crash")], ..Rows::default() };
    let mut store = MemoryStore::new();
    store.commit(&Commit { findings: findings.into(), ..commit_of(1, rows) }).await.unwrap();
    store
}

async fn document(store: &MemoryStore, question: Question) -> Value {
    let answer = question.answer(store.reader().as_ref(), &Scope::default()).await.unwrap();
    crate::rpc::document(answer).unwrap()
}

#[tokio::test]
async fn each_bar_has_as_many_rows_as_the_json_has_between_its_ends() {
    let store = three().await;
    let opened = Opened::over(&store, false).await;
    let id = patterns_of(&opened.get("/patterns?state=all").await.body).first().unwrap().clone();
    let page = opened.get(&format!("/pattern?id={id}")).await.body;
    let json = document(&store, Question::Correlation(CorrelationQuestion { id })).await;
    let lags: Vec<f64> = json["evidence"].as_array().unwrap().iter().map(|row| number(&row["lag_ms"])).collect();
    let [from, to, counts] = ["from", "to", "count"].map(|attribute| carried(&page, attribute));
    assert_eq!(lags.len(), 3, "{json}");
    assert_eq!((from.len(), to.len(), counts.iter().sum::<f64>()), (2, 2, 3.0), "{page}");
    for ((from, to), count) in from.iter().zip(&to).zip(&counts) {
        let within = lags.iter().filter(|lag| (from..to).contains(lag)).count();
        assert_eq!(within as f64, *count, "{from} to {to}: {lags:?}");
    }
    assert_eq!(written(&page, "histogram"), counts, "{page}");
}

#[tokio::test]
async fn each_edge_has_the_lag_of_its_pattern_and_all_edges_have_all_patterns() {
    let store = three().await;
    let opened = Opened::over(&store, false).await;
    let page = opened.get("/patterns?state=all").await.body;
    let question = CorrelationsQuestion { state: Some("all".to_owned()), ..CorrelationsQuestion::default() };
    let json = document(&store, Question::Correlations(question)).await;
    let patterns = json["correlations"].as_array().unwrap();
    let [lags, confidences, more] = ["lag", "confidence", "more"].map(|attribute| carried(&page, attribute));
    assert_eq!((lags.as_slice(), confidences.as_slice()), (&[8_100.0][..], &[0.97][..]), "{page}");
    let is_there = |one: &Value| number(&one["lag_seconds"]) == lags[0] && number(&one["confidence"]) == confidences[0];
    assert!(patterns.iter().any(is_there), "{json}");
    assert_eq!(more.iter().map(|more| more + 1.0).sum::<f64>(), patterns.len() as f64, "{page}");
    let label = format!("{} · 97 % +2</text>", shown::span(8_100_000));
    assert!(page.contains(&label), "{label}: {page}");
}
