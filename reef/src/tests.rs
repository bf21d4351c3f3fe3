//! Reports over the memory store.
#![allow(clippy::unwrap_used)]

use crate::{AsOf, Report, Rules, text};
use model::event::Event;
use model::pattern::{Finding, PatternState, SignalKind};
use model::position::Positions;
use model::real::Real;
use model::reject::{Reject, RejectReason};
use model::rows::Rows;
use model::time::{HOUR_MS, MINUTE_MS};
use sinks::compliance::commit_of;
use sinks::compliance::rows::{START, event, finding};
use sinks::memory::MemoryStore;
use sinks::{Commit, EVALUATED_NAME, StoreWriter};

async fn report(commit: Commit, most_candidates: usize) -> Report {
    let mut store = MemoryStore::new();
    store.commit(&commit).await.unwrap();
    Report::read(store.reader().as_ref(), "memory", most_candidates).await.unwrap()
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
    assert_eq!(report.explained, [("daily_cycle".to_owned(), 1)].into());
}

#[tokio::test]
async fn what_something_simpler_explains_is_counted_in_words_and_listed_only_when_asked_for() {
    let explained = |name: &str, by: &str| {
        let mut found = candidate(name, 0.5);
        found.correlation.explained_by = Some(by.into());
        found
    };
    let findings = vec![
        candidate("plain", 0.4),
        candidate("weak", 0.6),
        explained("tide", "daily_cycle"),
        explained("sun", "daily_cycle"),
        explained("load", "common_cause:shared_load"),
    ];
    let short = text::report(&report(with(findings.clone()), 1).await);
    assert!(short.starts_with("No pattern is confirmed; 2 candidates are not beyond chance yet.\n"), "{short}");
    assert!(short.contains("2 more move together with the daily cycle (coral-pipeline report --all)\n"), "{short}");
    assert!(short.contains("1 more follow a cause that both ends share (coral-pipeline report --all)\n"), "{short}");
    assert!(short.contains("1 more candidates are weaker"), "{short}");
    assert!(short.contains("api/plain ->") && !short.contains("api/tide"), "{short}");
    let long = text::full_report(&report(with(findings), usize::MAX).await);
    assert!(long.contains("api/tide ->") && long.contains("explained by: both follow the daily cycle\n"), "{long}");
    assert!(long.contains("explained by: a load that all of them share\n") && !long.contains("--all"), "{long}");
}

#[tokio::test]
async fn withdrawn_patterns_are_counted_and_listed_when_asked_for() {
    let mut gone = finding("gone", 0.9, &[]);
    gone.correlation.state = PatternState::Withdrawn;
    let report = report(with(vec![gone]), 5).await;
    let (short, long) = (text::report(&report), text::full_report(&report));
    assert!(short.contains("1 pattern withdrawn (report --all)") && !short.contains("api/gone"), "{short}");
    assert!(long.contains("withdrawn  gone is followed by error_spike"), "{long}");
}

#[tokio::test]
async fn json_has_every_column_and_rfc_3339_times() {
    let report = report(with(vec![finding("deploy", 0.9, &[("e", "f")])]), 5).await;
    let json = serde_json::to_value(&report).unwrap();
    let line = json["confirmed"][0].as_object().unwrap();
    assert_eq!(line.len(), 38, "every column but revision and updated_at, which belong to the run");
    assert_eq!(line["source_timestamp"], START.to_string());
    assert_eq!(line["lag_seconds"], 8_100);
    assert_eq!(line["explained_by"], serde_json::Value::Null);
    assert_eq!(json["totals"]["rows"]["federated_events"], 1);
}

#[tokio::test]
async fn a_report_says_as_of_when_its_patterns_hold_if_newer_rows_are_stored() {
    let evaluated = |minute: i64| {
        let part = ("events".to_owned(), (START + minute * MINUTE_MS).to_string());
        vec![(EVALUATED_NAME.to_owned(), Positions([part].into()))]
    };
    let rows = || Rows { events: vec![event("e", 0), event("f", 10 * MINUTE_MS)], ..Rows::default() };
    let as_of = async |minute| report(Commit { positions: evaluated(minute), ..commit_of(1, rows()) }, 5).await;
    let behind = as_of(9).await;
    let line = format!("\nAs of {} (events): newer rows are stored and not evaluated yet.\n", START + 9 * MINUTE_MS);
    assert!(text::report(&behind).contains(&line), "{}", text::report(&behind));
    let json = serde_json::to_value(&behind).unwrap();
    let expected = serde_json::json!({
        "events": (START + 9 * MINUTE_MS).to_string(), "metrics": null, "is_behind": true
    });
    assert_eq!(json["as_of"], expected);
    let current = as_of(10).await;
    assert!(!current.as_of.is_behind && !text::report(&current).contains("As of"), "{current:?}");
    let never = report(commit_of(1, rows()), 5).await;
    assert_eq!(never.as_of, AsOf::default(), "no evaluation has finished");
}

#[tokio::test]
async fn text_shows_the_sentence_first_and_what_leads_to_what() {
    let text = text::report(&report(with(vec![finding("deploy", 0.9, &[("e", "f")])]), 5).await);
    assert!(
        text.starts_with(
            "1 pattern is confirmed.\n\n\
             confirmed  deploy is followed by error_spike after 2h15m\n           \
             lag 2h15m (2h10m to 2h19m) · score 0.90 · confidence 0.9700 · 1 time · c-"
        ),
        "{text}"
    );
    assert!(text.contains("           shop/production/api/deploy -> shop/production/api/error_spike\n"), "{text}");
    let until = START + 14_400_000;
    let open =
        format!("\n           2 more cases are still open: each counts as followed or not by {until} at the latest\n");
    assert!(text.contains(&open), "{text}");
    assert!(text.contains("\nscore: how far") && text.contains("coral-pipeline show "), "{text}");
    assert!(text.ends_with("1 event, 0 metric rows of 1 colony, 0 late, 0 refused\nStored in memory\n"), "{text}");
}

#[tokio::test]
async fn a_candidate_says_why_it_is_one() {
    let mut part = candidate("part", 0.2);
    part.correlation.reason = Some(format!("follows from {}", "x".repeat(200)));
    let report = report(with(vec![finding("sure", 0.9, &[]), candidate("deploy", 0.2), part]), 5).await;
    let text = text::report(&report);
    assert_eq!(text.matches("\n           not confirmed: 2 occurrences of the 3 needed\n").count(), 1, "{text}");
    assert!(text.contains("           not confirmed: follows from"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    let line = &report.candidates[0];
    assert_eq!((line.chance_level, line.judged_coefficient, line.open_count), (Some(0.31), Some(-0.25), 2));
}

#[tokio::test]
async fn metric_pairs_show_their_sign_and_no_direction_at_lag_zero() {
    let mut pair = finding("level", 0.83, &[]);
    for signal in [&mut pair.correlation.key.source, &mut pair.correlation.key.target] {
        signal.kind = SignalKind::Metric;
    }
    (pair.correlation.coefficient, pair.correlation.lag_seconds) = (Real(-0.83), 0);
    (pair.correlation.occurrence_count, pair.correlation.lag_low_seconds) = (288, -8_400);
    let text = text::report(&report(with(vec![pair.clone()]), 5).await);
    assert!(text.contains(" · 288 points · "), "{text}");
    assert!(text.contains("r=-0.83"), "{text}");
    assert!(text.contains("api/level <> shop"), "{text}");
    (pair.correlation.lag_seconds, pair.correlation.lag_high_seconds) = (300, 9_000);
    let text = text::report(&report(with(vec![pair]), 5).await);
    assert!(text.contains("lag 5m, unsure: from 2h20m before to 2h30m after"), "{text}");
}

#[tokio::test]
async fn confidence_is_never_shown_as_certainty() {
    for (confidence, shown) in [(0.9999, "0.9999"), (0.99996, ">0.9999"), (1.0, ">0.9999")] {
        let mut sure = finding("sure", 0.9, &[]);
        sure.correlation.confidence = Real(confidence);
        let text = text::report(&report(with(vec![sure]), 5).await);
        assert!(text.contains(&format!(" {shown} ")) && !text.contains("1.0000"), "{text}");
    }
}

#[tokio::test]
async fn long_names_are_cut_in_the_middle_and_control_characters_are_shown_harmless() {
    let mut long = finding(&format!("begin{}end", "x".repeat(500)), 0.9, &[]);
    long.correlation.explained_by = Some("common_cause:c-0123456789abcdef0123".into());
    let mut hostile = finding("a\u{1b}[31mred\nline\u{202e}npc", 0.8, &[]);
    (hostile.correlation.lag_low_seconds, hostile.correlation.lag_high_seconds) =
        (3 * 3_600 + 59 * 60, 3 * 3_600 + 59 * 60);
    let text = text::report(&report(with(vec![long, hostile]), 5).await);
    assert!(text.contains("…") && text.contains("xend ->"), "{text}");
    assert!(text.contains("a·[31mred·line·npc ->"), "{text}");
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 120, "{widest} columns:\n{text}");
}

#[tokio::test]
async fn an_empty_report_says_why_and_what_to_do() {
    let nothing = text::report(&report(Commit::default(), 5).await);
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
    let refused = text::report(&report(Commit { rejects: vec![reject], ..Commit::default() }, 5).await);
    assert!(refused.contains("Every row read was refused (1 in all)"), "{refused}");
    assert!(refused.contains("1 refused (malformed 1)"), "{refused}");
    let alone = text::report(&report(with(vec![]), 5).await);
    assert!(alone.contains("All rows are of one colony, shop-production."), "{alone}");
}

/// A commit with rows of two colonies, an hour apart.
fn of_two_colonies(findings: Vec<Finding>) -> Commit {
    let other = Event { colony_id: "shop-staging".into(), ..event("f", 60) };
    Commit { findings, ..commit_of(1, Rows { events: vec![event("e", 0), other], ..Rows::default() }) }
}

#[tokio::test]
async fn an_empty_report_does_not_say_more_than_is_known() {
    let rules = Rules { correlates: true, max_lag_ms: 4 * HOUR_MS, min_occurrences: 3 };
    let quiet = report(of_two_colonies(vec![]), 5).await.with_rules(rules);
    let newest = quiet.totals.newest_event.unwrap();
    let text = text::report(&quiet);
    assert!(text.contains("within 4h (max_lag) at least 3 times (min_occurrences)"), "{text}");
    assert!(text.contains(&format!("Events after {} are not older than max_lag (4h)", newest - 4 * HOUR_MS)), "{text}");
    assert!(!text.contains("more history"), "{text}");
    let unsure = text::report(&report(of_two_colonies(vec![candidate("a", 0.5)]), 5).await);
    assert!(unsure.contains("could still be chance"), "{unsure}");
    let off = text::report(&report(of_two_colonies(vec![]), 5).await.with_rules(Rules { correlates: false, ..rules }));
    assert!(off.contains("correlation.enabled is false"), "{off}");
}
