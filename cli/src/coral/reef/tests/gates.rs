//! The promotion gate from files to its exit code: versions that came to staging first, and to production hours later.

use super::questions::{call, coral};
use crate::exit::Exit;
use crate::pipeline::CoralPipeline;
use model::time::{HOUR_MS, MINUTE_MS, TimeMs};
use std::fmt::Write;

/// 2024-11-13 12:00.
const NOON: TimeMs = TimeMs(1_731_499_200_000);
/// From a version to the next; all are within three days, so that no daily course is known.
const APART_HOURS: i64 = 12;

/// A reef over files that has been run: versions `v1.0.0`, `v1.1.0`, … of `api`, and by how many percent each changes the
/// latency of staging and of production; the last one may not be in production.
fn reef(changes: &[(f64, Option<f64>)]) -> tempfile::TempDir {
    let (mut events, mut metrics) =
        (String::new(), "colony_id,service_id,metric_name,timestamp,p95,count\n".to_owned());
    for (environment, behind_hours) in [("staging", 0), ("production", APART_HOURS / 2)] {
        let colony_id = format!("my-shop-{environment}");
        let mut deployed = Vec::new();
        for (number, (staging, production)) in changes.iter().enumerate() {
            let change = if environment == "staging" { Some(*staging) } else { *production };
            let Some(change) = change else { continue };
            let at = NOON + (2 + number as i64 * APART_HOURS + behind_hours) * HOUR_MS;
            let event = serde_json::json!({
                "event_id": format!("{environment}-{number}"), "colony_id": colony_id, "timestamp": at.to_string(),
                "event_type": "deploy", "service_id": "api", "metadata": { "version": format!("v1.{number}.0") },
            });
            writeln!(events, "{event}").unwrap();
            deployed.push((at, 1.0 + change / 100.0));
        }
        for minute in 0..(changes.len() as i64 * APART_HOURS + 4) * 60 {
            let at = NOON + minute * MINUTE_MS;
            let so_far = deployed.iter().filter(|(start, _)| *start <= at);
            let value = so_far.fold(200.0, |value, (_, factor)| value * factor);
            writeln!(metrics, "{colony_id},api,latency,{at},{value},10").unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("events.ndjson", &events);
    write("metrics.csv", &metrics);
    write(
        "reef.toml",
        "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"events.ndjson\"]\nmetrics = [\"metrics.csv\"]\n\
         [storage]\ntype = \"duckdb\"\npath = \"reef.duckdb\"\n[engine]\nworkers = 1\n",
    );
    let reef = folder.path().join("reef.toml");
    let (exit, streams) = call::<CoralPipeline>(&["coral-pipeline", "run", reef.to_str().unwrap(), "--json"]);
    assert_eq!(exit, Exit::Ok, "{}", streams.stdout());
    folder
}

#[test]
fn a_gate_that_passes_ends_with_0_and_one_that_holds_with_10() {
    let good = [(2.0, Some(3.0)), (4.0, Some(6.0)), (-1.0, Some(2.0)), (3.0, Some(5.0)), (2.0, None)];
    let bad = [(0.0, Some(1.0)), (1.0, Some(2.0)), (0.0, Some(1.0)), (60.0, None)];
    for (changes, version, exit, verdict) in [
        (&good[..], "v1.4.0", Exit::Ok, "✓ pass (25% worse is excluded for latency)"),
        (&bad[..], "v1.3.0", Exit::Hold, "✗ hold (its deployment in staging is failed: latency changed by +60.0%)"),
    ] {
        let folder = reef(changes);
        let line = format!("gate api@{version} --from staging --to production");
        let (ended, streams) = coral(folder.path(), &line);
        let expected = format!("Gate: api {version} (staging → production)\nVerdict: {verdict}\n");
        assert!(streams.stdout().starts_with(&expected), "{}{}", streams.stdout(), streams.stderr());
        assert_eq!(ended, exit, "{}", streams.stderr());
        let (ended, streams) = coral(folder.path(), &format!("{line} --json"));
        let document: serde_json::Value = serde_json::from_str(&streams.stdout()).unwrap();
        assert_eq!((ended, &document["completeness"]["complete"]), (exit, &true.into()), "{document}");
        assert_eq!(document["verdict"], if exit == Exit::Ok { "pass" } else { "hold" });
    }
}
