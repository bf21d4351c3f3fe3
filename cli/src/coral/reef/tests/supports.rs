//! One version that makes one metric worse in several environments: one statement, with each of them as a support.

use super::questions::{call, coral};
use crate::exit::Exit;
use crate::pipeline::CoralPipeline;
use model::time::{HOUR_MS, MINUTE_MS, TimeMs};
use serde_json::{Value, json};
use std::fmt::Write;

/// 2024-11-13 00:00.
const MIDNIGHT: TimeMs = TimeMs(1_731_456_000_000);
/// Where `v2.1.0` is deployed, with the hour: at no time two of them within each other's windows.
const DEPLOYED: [(&str, i64); 3] = [("dev", 2), ("staging", 6), ("production", 10)];

/// A reef over files that has been run: the version raises the p95 by 30 percent in the environments `worse`.
fn reef(worse: &[&str]) -> tempfile::TempDir {
    let mut events = String::new();
    let mut metrics = "colony_id,service_id,metric_name,timestamp,p95,count\n".to_owned();
    for (environment, hour) in DEPLOYED {
        let (colony_id, start) = (format!("my-shop-{environment}"), MIDNIGHT + hour * HOUR_MS);
        let event = json!({
            "event_id": format!("{environment}-1"), "colony_id": colony_id, "timestamp": start.to_string(),
            "event_type": "deploy", "service_id": "api", "metadata": { "version": "v2.1.0" },
        });
        writeln!(events, "{event}").unwrap();
        for minute in 0..12 * 60 {
            let at = MIDNIGHT + minute * MINUTE_MS;
            let value = if at >= start && worse.contains(&environment) { 260 } else { 200 };
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
    let config = folder.path().join("reef.toml");
    let (exit, streams) = call::<CoralPipeline>(&["coral-pipeline", "run", config.to_str().unwrap(), "--json"]);
    assert_eq!(exit, Exit::Ok, "{}", streams.stdout());
    folder
}

/// What is said of the deployment in production, for people and for programs.
fn told(worse: &[&str]) -> (String, Value) {
    let folder = reef(worse);
    let ask = |line: &str| {
        let (exit, streams) = coral(folder.path(), line);
        assert_eq!(exit, Exit::Ok, "{line}: {}", streams.stderr());
        streams.stdout()
    };
    let document: Value = serde_json::from_str(&ask("deployment production-1 --json")).unwrap();
    (ask("deployment production-1"), document["impact"].clone())
}

#[test]
fn a_version_that_is_slower_in_three_environments_is_one_statement_with_three_supports() {
    let impact = "Impact:\n  ⚠ Latency: Increase (p95: 200ms → 260ms, +30.0%)\n";
    let (page, json) = told(&["dev", "staging", "production"]);
    let three = "my-shop-production, my-shop-staging, my-shop-dev";
    let expected =
        format!("{impact}  latency got worse with this version in 3 colonies: {three}\n\nRelated incidents:\n");
    assert!(page.contains(&expected), "{page}");
    assert_eq!(json["also_worse_in"], json!(["my-shop-production", "my-shop-staging", "my-shop-dev"]));
    assert_eq!((&json["overall_status"], &json["changes"][0]["significance"]), (&"degraded".into(), &"warning".into()));

    let (page, json) = told(&["staging", "production"]);
    let two = "my-shop-production, my-shop-staging";
    let expected =
        format!("{impact}  latency got worse with this version in 2 colonies: {two}\n\nRelated incidents:\n");
    assert!(page.contains(&expected), "{page}");
    assert_eq!(json["also_worse_in"], json!(["my-shop-production", "my-shop-staging"]));
}

#[test]
fn a_version_that_is_slower_in_one_environment_or_in_none_has_no_support_elsewhere() {
    let (page, json) = told(&["production"]);
    assert!(page.contains("+30.0%") && !page.contains("with this version in"), "{page}");
    assert_eq!(json["also_worse_in"], json!(["my-shop-production"]));
    // it is worse elsewhere, and not here
    for worse in [&["dev", "staging"][..], &[]] {
        let (page, json) = told(worse);
        assert!(page.contains("  ✓ Latency: Stable (200ms)\n\nRelated incidents:\n"), "{worse:?}: {page}");
        assert_eq!((&json["also_worse_in"], &json["overall_status"]), (&json!([]), &"success".into()), "{worse:?}");
    }
}
