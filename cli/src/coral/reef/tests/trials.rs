//! Tests of patterns: what is expected and found, what is found instead, and files that say nothing sensible.

use super::super::trial::{self, TestArgs};
use super::parse;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use serde_json::Value;

/// Fourteen deployments at no fixed hour, each followed by an error in another colony after 135 minutes.
fn events() -> String {
    let mut rows = Vec::new();
    for day in 0..14 {
        let minutes = 360 + (day * day * 37 % 11) * 60 + day * 7;
        for (colony, event_type, after) in [("staging", "deploy", 0), ("production", "error_spike", 135)] {
            let minutes = day * 1_440 + minutes + after;
            let (day, hour, minute) = (minutes / 1_440 + 1, minutes / 60 % 24, minutes % 60);
            let at = format!("2024-11-{day:02}T{hour:02}:{minute:02}:00Z");
            rows.push(format!("  - {{at: '{at}', colony: {colony}, service: web, type: {event_type}}}\n"));
        }
    }
    // what happens at other times is no cause
    rows.push(
        "  - {at: '2024-11-01T00:30:00Z', colony: other, service: db, type: backup, every: 47h, times: 7}\n".into(),
    );
    format!("events:\n{}", rows.concat())
}

fn tried(text: &str) -> (Option<Failure>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("patterns.test.yaml");
    std::fs::write(&path, text).unwrap();
    let (output, captured) = Output::captured(true);
    let failure = trial::run(&parse::<TestArgs>(&format!("test {}", path.display())), &output).err();
    let printed = serde_json::from_str(&captured.stdout()).unwrap_or_default();
    let document = failure.as_ref().and_then(|failure| failure.report.clone()).unwrap_or(printed);
    (failure, document)
}

const PATTERN: &str = "source: staging/web/deploy, target: production/web/error_spike";

#[test]
fn what_is_expected_is_found() {
    let expect = format!(
        "expect:\n  - {{{PATTERN}, lag: 2h15m, within: 2m, occurrences: 14}}\n  - {{source: other/db/backup, target: \
         production/web/error_spike, state: unconfirmed}}\n"
    );
    let (failure, document) = tried(&(events() + &expect));
    assert_eq!(failure, None, "{document}");
    assert_eq!((&document["met"], &document["unmet"]), (&2.into(), &0.into()));
}

#[test]
fn what_is_found_instead_is_said_and_settings_count() {
    let expect = format!(
        "expect:\n  - {{{PATTERN}, lag: 1h}}\n  - {{{PATTERN}, occurrences: 3}}\n  - {{{PATTERN}, state: unconfirmed}}\n  \
         - {{{PATTERN}}}\n"
    );
    let (failure, document) = tried(&(events() + &expect));
    let failure = failure.unwrap();
    assert_eq!((failure.exit, failure.code), (Exit::Failed, "trial_unmet"));
    let problems: Vec<&Value> = document["expectations"].as_array().unwrap().iter().map(|it| &it["problem"]).collect();
    assert_eq!(problems[0], "its lag is 2h15m, not 1h");
    assert_eq!(problems[1], "it happened 14 times");
    assert!(problems[2].as_str().unwrap().starts_with("it is confirmed, 14 of 14") && problems[3].is_null());
    // the lag is longer than the longest that is looked at
    let text =
        format!("settings: [correlation.max_lag=1h]\n{}expect:\n  - {{{PATTERN}, state: unconfirmed}}\n", events());
    assert_eq!(tried(&text).0, None);
}

#[test]
fn a_file_that_is_no_test_says_what_is_wrong() {
    let set = |setting: &str| format!("settings: ['{setting}']\n{}expect:\n  - {{{PATTERN}}}\n", events());
    for (text, words) in [
        ("events: []\nexpect: []\n".to_owned(), "it expects nothing"),
        ("events: []\nexpects: []\n".to_owned(), "unknown field `expects`"),
        ("events: [\n".to_owned(), "patterns.test.yaml:"),
        (format!("events: []\nexpect:\n  - {{{PATTERN}, state: sure}}\n"), "state: \"sure\" is not one of confirmed"),
        (
            format!("events:\n  - {{at: soon, colony: c, service: s, type: t}}\nexpect:\n  - {{{PATTERN}}}\n"),
            "events[0].at",
        ),
        ("events: []\nexpect: [{source: a, target: b/c/d}]\n".to_owned(), "\"a\" is not colony/service/type"),
        (set("storage.path=other.duckdb"), "\"storage.path=other.duckdb\" is no setting of [correlation]"),
        (set("engine.hosts=other.example.com:2101"), "is no setting of [correlation]"),
        (set("max_lag=1h"), "\"max_lag=1h\" is no setting of [correlation]"),
    ] {
        let (failure, _) = tried(&text);
        let failure = failure.unwrap();
        assert_eq!((failure.exit, failure.code), (Exit::Usage, "trial_invalid"), "{text}");
        assert!(failure.details.iter().any(|detail| detail.contains(words)), "{words}: {failure:?}");
    }
    let (output, _captured) = Output::captured(false);
    let missing = trial::run(&parse::<TestArgs>("test none.yaml"), &output).unwrap_err();
    assert_eq!((missing.exit, missing.code), (Exit::NotFound, "file_missing"));
}
