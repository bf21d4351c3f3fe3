//! Reports over the memory store.
#![allow(clippy::unwrap_used)]

use crate::Report;
use model::pattern::{Finding, PatternState, SignalKind};
use model::real::Real;
use model::reject::{Reject, RejectReason};
use model::rows::Rows;
use sinks::compliance::commit_of;
use sinks::compliance::rows::{START, event, finding};
use sinks::memory::MemoryStore;
use sinks::{Commit, Store};

async fn report(commit: Commit, most_candidates: usize) -> Report {
    let mut store = MemoryStore::new();
    store.commit(&commit).await.unwrap();
    Report::read(&mut store, "memory", most_candidates).await.unwrap()
}

fn candidate(name: &str, q_value: f64) -> Finding {
    let mut found = finding(name, 0.4, &[]);
    found.correlation.state = PatternState::Candidate;
    (found.correlation.q_value, found.correlation.confidence) = (Real(q_value), Real(1.0 - q_value));
    found
}

fn with(findings: Vec<Finding>) -> Commit {
    Commit { findings, ..commit_of(1, Rows { events: vec![event("e", 0)], ..Rows::default() }) }
}

#[tokio::test]
async fn candidates_come_best_first_and_explained_ones_last() {
    let mut explained = candidate("explained", 0.01);
    explained.correlation.explained_by = Some("daily_cycle".into());
    let findings =
        vec![candidate("c", 0.4), explained, candidate("a", 0.2), candidate("b", 0.3), finding("sure", 0.9, &[])];
    let report = report(with(findings), 3).await;
    let names: Vec<&str> = report.candidates.iter().map(|line| line.source_signal.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!((report.counts.confirmed, report.counts.candidates, report.counts.withdrawn), (1, 4, 0));
    assert_eq!(report.confirmed[0].source_signal, "sure");
    assert!(report.to_text().contains("4, the best 3"));
}

#[tokio::test]
async fn json_has_every_column_and_rfc_3339_times() {
    let report = report(with(vec![finding("deploy", 0.9, &[("e", "f")])]), 5).await;
    let json = serde_json::to_value(&report).unwrap();
    let line = json["confirmed"][0].as_object().unwrap();
    assert_eq!(line.len(), 31, "every column but revision and updated_at, which belong to the run");
    assert_eq!(line["source_timestamp"], START.to_string());
    assert_eq!(line["lag_seconds"], 8_100);
    assert_eq!(line["explained_by"], serde_json::Value::Null);
    assert_eq!(json["totals"]["rows"]["federated_events"], 1);
}

#[tokio::test]
async fn text_shows_what_leads_to_what() {
    let text = report(with(vec![finding("deploy", 0.9, &[("e", "f")])]), 5).await.to_text();
    assert!(text.contains("confirmed  2h15m (2h10m to 2h19m)         0.90      0.9700      1  c-"), "{text}");
    assert!(text.contains("           shop/production/api/deploy -> shop/production/api/error_spike\n"), "{text}");
    assert!(text.contains("1 events, 0 metric rows, 0 late, 0 refused\nStored in memory\n"), "{text}");
}

#[tokio::test]
async fn metric_pairs_show_their_sign_and_no_direction_at_lag_zero() {
    let mut pair = finding("level", 0.83, &[]);
    for signal in [&mut pair.correlation.key.source, &mut pair.correlation.key.target] {
        signal.kind = SignalKind::Metric;
    }
    (pair.correlation.coefficient, pair.correlation.lag_seconds) = (Real(-0.83), 0);
    let text = report(with(vec![pair]), 5).await.to_text();
    assert!(text.contains("r=-0.83"), "{text}");
    assert!(text.contains("api/level <> shop"), "{text}");
}

#[tokio::test]
async fn confidence_is_never_shown_as_certainty() {
    for (confidence, shown) in [(0.9999, "0.9999"), (0.99996, ">0.9999"), (1.0, ">0.9999")] {
        let mut sure = finding("sure", 0.9, &[]);
        sure.correlation.confidence = Real(confidence);
        let text = report(with(vec![sure]), 5).await.to_text();
        assert!(text.contains(&format!(" {shown} ")) && !text.contains("1.0000"), "{text}");
    }
}

#[tokio::test]
async fn long_names_are_cut_in_the_middle_and_control_characters_are_shown_harmless() {
    let mut long = finding(&format!("begin{}end", "x".repeat(500)), 0.9, &[]);
    long.correlation.explained_by = Some("common_cause:c-0123456789abcdef0123".into());
    let mut hostile = finding("a\u{1b}[31mred\nline", 0.8, &[]);
    (hostile.correlation.lag_low_seconds, hostile.correlation.lag_high_seconds) =
        (3 * 3_600 + 59 * 60, 3 * 3_600 + 59 * 60);
    let text = report(with(vec![long, hostile]), 5).await.to_text();
    assert!(text.contains("…") && text.contains("xend ->"), "{text}");
    assert!(text.contains("a·[31mred·line"), "{text}");
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 120, "{widest} columns:\n{text}");
}

#[tokio::test]
async fn an_empty_report_says_why_and_what_to_do() {
    let nothing = report(Commit::default(), 5).await.to_text();
    assert!(nothing.contains("holds no events and no metrics") && nothing.contains("validate"), "{nothing}");
    let reject = Reject {
        source: "files".into(),
        place: "a:1".into(),
        colony_id: None,
        reason: RejectReason::Malformed,
        detail: String::new(),
        raw: String::new(),
        rejected_at: START,
    };
    let refused = report(Commit { rejects: vec![reject], ..Commit::default() }, 5).await.to_text();
    assert!(refused.contains("Every row read was refused (1 in all)"), "{refused}");
    assert!(refused.contains("1 refused (malformed 1)"), "{refused}");
    let quiet = report(with(vec![]), 5).await.to_text();
    assert!(quiet.contains("Nothing repeated often enough"), "{quiet}");
    let unsure = report(with(vec![candidate("a", 0.5)]), 5).await.to_text();
    assert!(unsure.contains("not yet distinguishable from chance"), "{unsure}");
}
