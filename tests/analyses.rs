//! Evidence of analyses, run again on the store: its statements give the values that the answers have.

use crate::support::{Reef, files_source, json, program};
use duckdb::Connection;
use model::time::TimeMs;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

const SERVICES: [&str; 4] = ["api", "checkout", "payments", "web"];
/// Evidence that is run again.
const EVIDENCE_MIN: usize = 100;

/// Ten hours of metrics of two environments, deployments that change some of them, incidents.
fn reef(folder: &Path) -> Reef {
    let mut metrics = "colony_id,service_id,metric_name,timestamp,p95,count\n".to_owned();
    let mut events = String::new();
    for (place, service) in SERVICES.iter().enumerate() {
        for (environment, base) in [("production", 200.0), ("staging", 150.0)] {
            for minute in 0..600_usize {
                let time = format!("2024-11-13T{:02}:{:02}:00Z", 4 + minute / 60, minute % 60);
                let noise = ((minute * 7_919 + place * 104_729) % 97) as f64 / 97.0;
                let shift = if environment == "production" && minute > 300 + place * 20 { 1.3 } else { 1.0 };
                for (metric, value) in [
                    ("latency", (base + 20.0 * noise + place as f64) * shift),
                    ("error_rate", 0.001 * (1.0 + noise) * shift * shift),
                    ("throughput", 400.0 - 30.0 * noise),
                    ("db.pool.utilization", base / 4.0 + 5.0 * noise),
                ] {
                    writeln!(metrics, "my-shop-{environment},{service},{metric},{time},{value:.4},10").unwrap();
                }
            }
            let at = |minute: usize| format!("2024-11-13T{:02}:{:02}:00Z", 4 + minute / 60, minute % 60);
            let mut event = |id: &str, minute: usize, kind: &str, severity: &str, version: &str| {
                writeln!(
                    events,
                    r#"{{"event_id":"{id}-{service}-{environment}","colony_id":"my-shop-{environment}","timestamp":"{}","event_type":"{kind}","service_id":"{service}","severity":"{severity}","description":"it's {service}; DROP","metadata":{{{version}}}}}"#,
                    at(minute)
                )
                .unwrap();
            };
            event("d1", 10, "deploy", "info", r#""version":"v1.0.0""#);
            event("d2", 300 + place * 20, "deploy", "info", r#""version":"v1.1.0""#);
            event("i1", 320 + place * 20, "error_spike", "error", "");
            event("i2", 325 + place * 20, "alert", "warning", "");
            event("i3", 330 + place * 20, "error_spike", "critical", "");
        }
    }
    let (file, points) = (folder.join("events.ndjson"), folder.join("metrics.csv"));
    std::fs::write(&file, events).unwrap();
    std::fs::write(&points, metrics).unwrap();
    let reef = Reef::new(&files_source(&[&file], &[&points]));
    reef.run();
    reef
}

/// The evidence of many questions, as the command line prints it.
fn evidence(reef: &Reef) -> Vec<Value> {
    let mut questions: Vec<String> =
        SERVICES.iter().map(|service| format!("what did the deploy of {service} v1.1.0 in production do?")).collect();
    for window in ["", " in the last 2 hours", " in the last 6 hours", " today", " since 09:00"] {
        questions.extend([
            format!("why is production slower than staging{window}?"),
            format!("compare error rate of stage vs prod{window}"),
            format!("any issues in staging{window}?"),
            format!("any issues in production{window}?"),
            format!("which deployments went wrong{window}?"),
        ]);
    }
    let ask = |words: &String| {
        let mut command = Command::new(program("coral"));
        command.args(["reef", "analyze", words, "--json", "--reef"]).arg(reef.config());
        let answer = json(&command.env("CORAL_HOME", reef.folder.path()).output().unwrap());
        answer["evidence"].as_array().unwrap().clone()
    };
    questions.iter().flat_map(ask).collect()
}

/// The one row of a statement, each value as DuckDB prints it.
pub fn row(db: &Connection, query: &str) -> BTreeMap<String, String> {
    let names: Vec<String> = {
        let mut statement = db.prepare(&format!("DESCRIBE {query}")).unwrap_or_else(|error| panic!("{error}: {query}"));
        let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        names.map(Result::unwrap).collect()
    };
    let casts: Vec<String> = names.iter().map(|name| format!("coalesce(\"{name}\"::VARCHAR, 'NULL')")).collect();
    let mut statement = db.prepare(&format!("SELECT {} FROM ({query})", casts.join(", "))).unwrap();
    let mut rows = statement.query([]).unwrap();
    let first = rows.next().unwrap().unwrap_or_else(|| panic!("no row: {query}"));
    let values = (0..names.len()).map(|place| first.get::<_, String>(place).unwrap()).collect::<Vec<_>>();
    assert!(rows.next().unwrap().is_none(), "more than one row: {query}");
    names.into_iter().zip(values).collect()
}

/// Whether a value is the stored one, as text.
pub fn is_equal(said: &str, stored: &str) -> bool {
    if let (Ok(said), Ok(stored)) = (said.parse::<f64>(), stored.parse::<f64>()) {
        // sums of floats in another order
        return (said - stored).abs() <= 1e-9 * said.abs().max(stored.abs());
    }
    let time = |text: &str| TimeMs::parse_rfc3339(&format!("{}Z", text.trim_end_matches('Z').replace(' ', "T")));
    said == stored || (time(said).is_some() && time(said) == time(stored))
}

#[test]
fn a_hundred_pieces_of_evidence_run_again_give_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let reef = reef(folder.path());
    let evidence = evidence(&reef);
    let distinct: BTreeSet<&str> = evidence.iter().map(|one| one["query"].as_str().unwrap()).collect();
    assert!(distinct.len() >= EVIDENCE_MIN, "{} statements", distinct.len());
    let db = Connection::open(reef.store()).unwrap();
    for one in &evidence {
        let stored = row(&db, one["query"].as_str().unwrap());
        let data = one["data"].as_object().unwrap();
        for (name, said) in data {
            let said = said.as_str().unwrap();
            assert!(is_equal(said, &stored[name]), "{name}: {said} against {}: {one:#}", stored[name]);
        }
        assert_eq!(stored.len(), data.len(), "{one:#}");
    }
    let kinds: BTreeSet<&str> = evidence.iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert!(kinds.contains("metric") && kinds.contains("event"), "{kinds:?}");
}
