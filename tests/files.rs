//! Whole runs over files: real data with ground truth, a decoy of it, and what a second run changes (nothing).

use crate::support::{Reef, files_source, ground_truth, shared_data};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("{key} missing in {row}"))
}

/// (source colony, target colony) to (lag in seconds, state) over the event patterns of a report.
fn event_patterns(report: &Value, list: &str) -> BTreeMap<(String, String), f64> {
    let patterns = report["report"][list].as_array().unwrap();
    patterns
        .iter()
        .filter(|row| text(row, "source_kind") == "event")
        .map(|row| {
            let ends = (text(row, "source_colony_id").to_owned(), text(row, "target_colony_id").to_owned());
            (ends, row["lag_seconds"].as_f64().unwrap())
        })
        .collect()
}

/// Relations of the truth that are confirmed with a lag inside the truth's quartiles, widened by one minute.
pub fn releases_found(report: &Value, truth: &Value) -> usize {
    let confirmed = event_patterns(report, "confirmed");
    truth["relations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|relation| {
            let ends = (text(relation, "source_colony").to_owned(), text(relation, "target_colony").to_owned());
            let quartile = |i: usize| relation["lag_iqr_minutes"][i].as_f64().unwrap() * 60.0;
            confirmed.get(&ends).is_some_and(|lag| (quartile(0) - 60.0..=quartile(1) + 60.0).contains(lag))
        })
        .count()
}

#[test]
fn releases_relations_are_confirmed_with_the_right_lag() {
    let Some(data) = shared_data("releases") else { return };
    let reef = Reef::new(&files_source(&[&data.join("events.ndjson")], &[]));
    let report = reef.run();
    let found = releases_found(&report, &ground_truth(&data));
    assert!(found >= 13, "{found} of 15 relations: {report:#}");
}

#[test]
fn releases_shifted_by_weeks_confirm_nothing() {
    let Some(data) = shared_data("releases") else { return };
    let folder = tempfile::tempdir().unwrap();
    let decoy = folder.path().join("events.ndjson");
    shift_weeks(&data.join("events.ndjson"), &decoy);
    let reef = Reef::new(&files_source(&[&decoy], &[]));
    let report = reef.run();
    assert_eq!(report["report"]["confirmed"].as_array().unwrap().len(), 0, "{report:#}");
    assert!(report["summary"]["event_pairs_tested"].as_u64().unwrap() > 0, "pairs were tested");
}

/// Moves each colony's timeline by a different number of weeks: every relation becomes false.
fn shift_weeks(from: &Path, to: &Path) {
    let mut weeks: BTreeMap<String, i64> = BTreeMap::new();
    let mut out = String::new();
    for line in std::fs::read_to_string(from).unwrap().lines() {
        let mut event: Value = serde_json::from_str(line).unwrap();
        let next = weeks.len() as i64 + 1;
        let shift = *weeks.entry(text(&event, "colony_id").to_owned()).or_insert(next);
        let at = model::time::TimeMs::parse_rfc3339(text(&event, "timestamp")).unwrap();
        event["timestamp"] = Value::String((at - shift * 7 * model::time::DAY_MS).to_string());
        out += &(event.to_string() + "\n");
    }
    std::fs::write(to, out).unwrap();
}

#[test]
fn delta_best_lags_are_within_a_quarter_of_an_hour() {
    let Some(data) = shared_data("delta") else { return };
    let reef = Reef::new(&files_source(&[], &[&data.join("metrics.parquet")]));
    reef.run();
    let truth = ground_truth(&data);
    let db = duckdb::Connection::open(reef.store()).unwrap();
    let mut good = 0;
    for relation in truth["relations"].as_array().unwrap() {
        // the best row of the unordered pair: its lag with the truth's direction as positive
        let best: Result<f64, _> = db.query_row(
            "SELECT CASE WHEN source_colony_id = ? THEN lag_seconds ELSE -lag_seconds END FROM correlations
             WHERE source_signal = ? AND target_signal = source_signal AND state IN ('candidate', 'confirmed')
               AND source_colony_id IN (?, ?) AND target_colony_id IN (?, ?)
             ORDER BY correlation_score DESC LIMIT 1",
            duckdb::params![
                text(relation, "source_colony"),
                text(relation, "source_metric"),
                text(relation, "source_colony"),
                text(relation, "target_colony"),
                text(relation, "source_colony"),
                text(relation, "target_colony"),
            ],
            |row| row.get(0),
        );
        let expected = relation["expected_lag_minutes"].as_f64().unwrap() * 60.0;
        good += usize::from(best.is_ok_and(|lag| (lag - expected).abs() <= 900.0));
    }
    assert!(good >= 60, "{good} of 66");
    let trap = reef.query(
        "SELECT coefficient < -0.7, state, explained_by LIKE 'mirror:%' FROM correlations
         WHERE source_colony_id = 'gauge-fpx-production' AND target_colony_id = 'gauge-srv-production'
           AND source_signal = 'stage_ft' AND target_signal = 'stage_ft'",
    );
    assert_eq!(trap, "true\tcandidate\ttrue\n", "the half-tide trap is reported with its sign, as a mirror");
}

/// Confirmed metric pairs, pairs whose explanation is the load that all services share, and pairs tested.
fn boutique(data: &Path, correlation: &str) -> (String, u64, u64) {
    let source = files_source(&[&data.join("events.ndjson")], &[&data.join("metrics.parquet")]);
    let reef = Reef::new(&(source + correlation));
    let report = reef.run();
    let confirmed = reef.query("SELECT * FROM correlations WHERE source_kind = 'metric' AND state = 'confirmed'");
    let explained = reef.query("SELECT count(*) FROM correlations WHERE explained_by = 'common_cause:shared_load'");
    (confirmed, explained.trim().parse().unwrap(), report["summary"]["metric_pairs_tested"].as_u64().unwrap())
}

#[test]
fn boutique_confirms_no_pair_that_only_shares_the_load() {
    let Some(data) = shared_data("boutique") else { return };
    // the recording has a gap of twelve hours: no window of a day is complete at its end, only at the end of its first day
    let (confirmed, _, tested) = boutique(&data, "");
    assert_eq!(confirmed, "");
    assert!(tested > 1_000, "{tested} pairs tested");
    // a shorter window shows the shared load, and names it
    let (confirmed, explained, tested) = boutique(&data, "[correlation]\nmetric_window = \"8h\"\n");
    assert_eq!(confirmed, "");
    assert!(explained > 0);
    assert!(tested > 1_000, "{tested} pairs tested");
}

#[test]
fn a_second_run_over_the_same_files_changes_nothing() {
    let Some(data) = shared_data("releases") else { return };
    let reef = Reef::new(&files_source(&[&data.join("events.ndjson")], &[]));
    reef.run();
    let first = reef.correlations();
    let events = reef.query("SELECT count(*) FROM federated_events");
    reef.run();
    assert_eq!(reef.correlations(), first);
    assert_eq!(reef.query("SELECT count(*) FROM federated_events"), events);
    assert_eq!(reef.query("SELECT max(revision) FROM correlations"), "1\n", "no row was revised");
}
