//! A colony that is behind: answers of which it is a part say so, and fail where completeness is required.

use super::questions::{coral, foreseen, reef_until};
use crate::exit::Exit;
use serde_json::Value;
use std::path::Path;

/// Asks with and without --require-complete, for people and for programs.
fn says_what_is_missing(folder: &Path, line: &str, since: &str) {
    let (_, streams) = coral(folder, line);
    let told = format!("my-shop-production {since}");
    assert!(streams.stdout().contains("⚠ Incomplete: 1 of "), "{line}: {}{}", streams.stdout(), streams.stderr());
    assert!(streams.stdout().contains(&told), "{told}: {line}: {}", streams.stdout());
    let (exit, streams) = coral(folder, &format!("{line} --require-complete"));
    assert_eq!((exit, exit.code()), (Exit::Incomplete, 5), "{line}: {}", streams.stderr());
    assert!(streams.stderr().contains("\n  my-shop-production: "), "{line}: {}", streams.stderr());
    assert!(streams.stdout().contains(&told), "the answer is printed too: {line}: {}", streams.stdout());
    let (exit, streams) = coral(folder, &format!("{line} --require-complete --json"));
    let document: Value = serde_json::from_str(&streams.stdout()).unwrap();
    assert_eq!((exit, &document["error"]["code"]), (Exit::Incomplete, &"incomplete".into()), "{line}: {document}");
    assert_eq!(document["error"]["report"]["completeness"]["complete"], false, "{line}: {document}");
}

#[test]
fn every_answer_about_a_colony_that_is_behind_says_so_and_fails_where_completeness_is_required() {
    // the metrics of production end at 12:00 and its events at 15:30, those of staging at 16:00
    let folder = reef_until(240);
    for line in [
        "health",
        "versions",
        "topology",
        "deployments",
        "deployment p2",
        // its verdict subtracts what changed in production
        "deployment s2",
        "affected p3",
        "compare production staging",
        "gate api@v2.1.0 --from staging --to production",
        "correlations --state all",
        "predictions",
        "analyze Why is production slower than staging",
    ] {
        says_what_is_missing(folder.path(), line, "late (nothing since 2024-11-13 15:30:00 UTC)");
    }
    // of what it is no part
    for line in ["health --environment staging", "deployments --environment staging"] {
        let (exit, streams) = coral(folder.path(), &format!("{line} --require-complete"));
        assert_eq!(exit, Exit::Ok, "{line}: {}", streams.stderr());
    }
}

#[test]
fn a_pattern_of_a_colony_that_is_behind_says_so_too() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = folder.path().join("metrics.csv");
    let row = |environment: &str| format!("my-shop-{environment},checkout,latency,2024-11-02T00:00:00Z,100,10\n");
    let heading = "colony_id,service_id,metric_name,timestamp,p95,count\n";
    std::fs::write(&metrics, [heading, &row("staging"), &row("production")].concat()).unwrap();
    // a colony that sends metrics is expected to continue
    let folder = foreseen(&format!("metrics = [\"{}\"]\n", metrics.display()));
    let (_, streams) = coral(folder.path(), "correlations --json");
    let listed: Value = serde_json::from_str(&streams.stdout()).unwrap();
    let one = format!("correlation {}", listed["correlations"][0]["correlation_id"].as_str().unwrap());
    // what followed the deployment in production is not known
    for line in [one.as_str(), "predictions --outcome open", "deployment s13"] {
        says_what_is_missing(folder.path(), line, "stale (nothing since 2024-11-13 ");
    }
}
