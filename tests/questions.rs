//! What a reef is for: the questions and example answers of RFD 003 that need no model, as text and JSON on both stores.

use crate::clickhouse::InDatabase;
use crate::stores::clickhouse_storage;
use crate::support::clickhouse::Server;
use crate::support::colonies::coral;
use crate::support::{Reef, files_source};
use serde_json::Value;
use sinks::StoreWriter;
use sinks::clickhouse::{ClickHouseConfig, ClickHouseStore};
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use std::path::Path;

mod early;
mod evidence;
mod faces;
mod fleet;
mod words;

/// The id of the reefs of `support`.
const REEF_ID: &str = "test-reef-a1b2c3";
const COMPLETE: &str = "Complete to 2024-11-13 12:00:00 UTC for all 4 colonies.\n";
/// Every question.
const LINES: [&str; 12] = [
    "status",
    "health",
    "compare production staging --metric latency",
    "compare production staging",
    "deployments",
    "deployment web-310",
    "deployment pay-130",
    "correlations --state all",
    "affected pay-130",
    "versions",
    "versions --behind",
    "topology",
];

/// An answer of the real program.
#[derive(Debug, PartialEq)]
struct Answer {
    text: String,
    json: Value,
}

/// A reef over no input: its rows are written by the tests. Its configuration names no language model.
fn unread() -> String {
    files_source(&[Path::new("unread.ndjson")], &[])
}

/// Writes the rows of the fleet, and closes the store.
async fn fill(mut store: Box<dyn StoreWriter>) {
    store.commit(&fleet::commit()).await.unwrap();
    store.close().await.unwrap();
}

/// A stopped reef on DuckDB with the rows of the fleet.
fn on_duckdb() -> Reef {
    on_duckdb_with(&unread())
}

/// The same with this configuration.
fn on_duckdb_with(body: &str) -> Reef {
    let reef = Reef::new(body);
    let config = DuckDbConfig { reef_id: Some(REEF_ID.to_owned()), ..DuckDbConfig::at(reef.store()) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { fill(Box::new(DuckDbStore::open(config).await.unwrap())).await });
    reef
}

/// Asks `coral reef LINE` for people and for programs.
fn ask(reef: &Reef, line: &str) -> Answer {
    let call = |more: &[&str]| {
        let mut command = coral(reef.folder.path());
        command.env_remove("CORAL_REEF").arg("reef").args(line.split(' ')).arg("--reef").arg(reef.config()).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (text, json) = (call(&[]), call(&["--json"]));
    let json = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{line}: {error}: {json}"));
    Answer { text, json }
}

/// Names in a list of an answer.
fn names(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn both_stores_give_the_same_answers() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let config = ClickHouseConfig { reef_id: Some(REEF_ID.to_owned()), ..fixture.config() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { fill(Box::new(ClickHouseStore::open(config).await.unwrap())).await });
    let on_clickhouse = Reef::with_storage(&unread(), &clickhouse_storage(&server, fixture.name()));
    let on_duckdb = on_duckdb();
    for line in LINES {
        let (found, expected) = (ask(&on_clickhouse, line), ask(&on_duckdb, line));
        assert_eq!(found, expected, "{line}");
        assert_eq!(found.json["completeness"]["complete"], true, "{line}: {}", found.json);
    }
}

/// The commands that a page names, without those for which an id is to be filled in.
fn commands(page: &str) -> Vec<String> {
    let command = |line: &str| {
        let (_, rest) = line.split_once("coral reef ")?;
        let words = rest.split(". ").next()?.trim_end_matches('.');
        (!words.contains('<')).then(|| words.to_owned())
    };
    page.lines().filter_map(command).collect()
}

/// usability 4.1.13
#[test]
fn every_finding_names_the_command_that_shows_more() {
    let reef = on_duckdb();
    let mut named = 0;
    for line in LINES {
        let page = ask(&reef, line).text;
        assert!(page.contains("coral reef "), "{line}: {page}");
        for command in commands(&page) {
            ask(&reef, &command);
            named += 1;
        }
    }
    assert!(named >= 11, "{named} commands are named");
}

/// usability 4.1.5: what a sign means can be searched for
#[test]
fn a_sign_stands_beside_a_word() {
    const WORDS: [&str; 21] = [
        "affected",
        "behind",
        "changed",
        "complete",
        "critical",
        "decrease",
        "degraded",
        "differs",
        "failed",
        "healthy",
        "hold",
        "increase",
        "newest",
        "pass",
        "rolled back",
        "stable",
        "success",
        "unreachable",
        "unhealthy",
        "warning",
        "no significant change",
    ];
    let reef = on_duckdb();
    let mut seen = 0;
    for line in LINES {
        for shown in ask(&reef, line).text.lines().filter(|shown| shown.contains(['✓', '⚠', '✗'])) {
            let words = shown.to_lowercase();
            assert!(WORDS.iter().any(|word| words.contains(word)), "{line}: {shown}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen} signs are shown");
}

/// Times of day such as `17:30:00` on a page that are not followed by the zone.
fn without_zone<'a>(page: &'a str, zone: &str) -> Vec<&'a str> {
    let is_clock = |word: &str| {
        let parts: Vec<&str> = word.trim_matches(|c: char| "(),.;:".contains(c)).split(':').collect();
        let is_number = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        (2..=3).contains(&parts.len()) && parts.iter().all(is_number)
    };
    let words: Vec<&str> = page.split_whitespace().collect();
    let is_bare = |place: usize| words.get(place + 1).is_none_or(|next| !next.starts_with(zone));
    words.iter().enumerate().filter(|(place, word)| is_clock(word) && is_bare(*place)).map(|(_, word)| *word).collect()
}

/// For people in the zone of who asks, for programs in UTC.
#[test]
fn times_of_an_answer_are_local_for_people() {
    let reef = on_duckdb();
    let in_zone = |line: &str, more: &[&str]| {
        let mut command = coral(reef.folder.path());
        command.env_remove("CORAL_REEF").env("TZ", "IST-5:30").arg("reef").args(line.split(' ')).arg("--reef");
        String::from_utf8(command.arg(reef.config()).args(more).output().unwrap().stdout).unwrap()
    };
    for line in LINES.into_iter().chain(["predictions"]) {
        let (text, json) = (in_zone(line, &[]), in_zone(line, &["--json"]));
        assert!(text.contains("Complete to 2024-11-13 17:30:00 +05:30 for "), "{line}: {text}");
        assert!(!text.contains(" UTC"), "{line}: {text}");
        assert_eq!(without_zone(&text, "+05:30"), Vec::<&str>::new(), "{line}: {text}");
        assert!(json.contains("2024-11-13T12:00:00Z") && !json.contains("+05:30"), "{line}: {json}");
    }
}

#[test]
fn why_is_production_slower_than_staging() {
    let answer = ask(&on_duckdb(), "compare production staging --metric latency");
    let expected = format!(
        "Comparing production vs staging (last 24h):\n\nLatency (p95):\n  Production: 245ms\n  Staging:    175ms\n  Difference: \
         +40.0% slower  ✗ critical\n\nRecommendation:\n  Production shows higher db.pool.utilization (95% against 60% in \
         staging).\n\nWhat was deployed there: coral reef deployments --environment production\n\np95: the mean of the p95 \
         of all buckets, weighted by samples, over the 8 hours to \
         2024-11-13T12:00:00.000Z in which both\nwere observed. A value that is worse in 3 of 4 hours is a warning, by 25% in \
         9 of 10 critical.\n{}",
        "Complete to 2024-11-13 12:00:00 UTC for all 2 colonies.\n"
    );
    assert_eq!(answer.text, expected);
    assert_eq!(answer.json["summary"], "Production is 40.0% slower than staging (latency)");
    let difference = &answer.json["differences"][0];
    assert_eq!((difference["value_a"].as_f64(), difference["value_b"].as_f64()), (Some(245.0), Some(175.0)));
    assert_eq!((&difference["significance"], &difference["hours"]), (&"critical".into(), &8.into()));
    assert_eq!(answer.json["application_name"], "my-shop");
}

#[test]
fn did_the_staging_deploy_cause_errors_in_production_two_hours_later() {
    let reef = on_duckdb();
    let pattern = fleet::from_staging_to_production();
    let id = pattern.correlation.key.correlation_id();
    let listed = ask(&reef, "correlations");
    assert!(listed.text.starts_with("2 confirmed patterns, best first:\n\n"), "{}", listed.text);
    for words in
        ["deploy of web in staging is followed by error_spike of web in production", "lag 2h15m", "-> my-shop/"]
    {
        assert!(listed.text.contains(words), "{words}: {}", listed.text);
    }
    assert!(listed.text.contains("\nThe rows behind one of them: coral reef correlation <id>\n"), "{}", listed.text);
    let patterns = listed.json["correlations"].as_array().unwrap();
    let found = patterns.iter().find(|one| one["correlation_id"] == id.as_str()).unwrap();
    assert_eq!((&found["state"], &found["lag_seconds"]), (&"confirmed".into(), &8_100.into()));
    assert_eq!(
        (&found["source_colony_id"], &found["target_colony_id"]),
        (&"my-shop-staging".into(), &"my-shop-production".into())
    );
}

/// RFD 003: "what was the impact of the last staging deploy?"
#[test]
fn what_was_the_impact_of_the_last_staging_deploy() {
    let reef = on_duckdb();
    let id = fleet::from_staging_to_production().correlation.key.correlation_id();
    let last = ask(&reef, "deployments --environment staging --limit 1");
    assert_eq!(names(&last.json["deployments"], "deployment_id"), ["web-310"]);
    let answer = ask(&reef, "deployment web-310");
    let expected = format!(
        "Analyzing deployment: web v3.1.0 (staging)\nStarted: 2024-11-13 08:00:00 UTC\nStatus: Success\nTook: 8m\nVersion \
         before: v3.0.0\nVerdict: Success (nothing got worse within 60 minutes)\n\nImpact:\n  ⚠ Page latency: Slight \
         increase (p95: 180ms → 207ms, +15.0%)\n\nRelated incidents:\n  - error_spike spike-310 in my-shop-production (2h15m after \
         deploy, correlation: 0.89)\n\nThe same version elsewhere:\n  2024-11-12 19:20:00 UTC  ⚠ rolled back  my-shop-dev  \
         web  v3.0.0 → v3.1.0\n\nRecommendation:\n  A confirmed pattern joins it with what followed: coral reef correlation \
         {id}. The same version was not kept in dev before.\n\nIts neighbours: coral reef affected \
         my-shop-staging/web-310\n\nComplete to 2024-11-13 12:00:00 UTC for all 3 colonies.\n"
    );
    assert_eq!(answer.text, expected);
    let impact = &answer.json["impact"];
    assert_eq!((&impact["overall_status"], &impact["incidents_total"]), (&"success".into(), &1.into()));
    assert_eq!(names(&impact["changes"], "significance"), ["info"]);
    assert_eq!(names(&answer.json["similar"], "deployment_id"), ["web-dev"]);
}

/// RFD 003: "is payment-api affecting other services?"
#[test]
fn is_the_payment_api_affecting_other_services() {
    let answer = ask(&on_duckdb(), "affected pay-130");
    let begin = "Effect of deployment pay-130 of payment-api in payments-production (2024-11-13 10:30:00 UTC) on its \
                 neighbours:\n\nAffected (2):\n  ✗ affected  payments-production  ledger    called by it";
    assert!(answer.text.starts_with(begin), "{}", answer.text);
    assert!(
        answer.text.contains("checkout  pattern, 15s later  correlation 0.95  timeout_spike followed as before\n"),
        "{}",
        answer.text
    );
    let (affected, not_affected) = (&answer.json["affected"], &answer.json["not_affected"]);
    let line = format!(
        "\n\nNot affected (1):\n  ✓ not affected  payments-production  gateway  calls it  score {:.2}  a change of latency by \
         6% would have been seen\n",
        not_affected[0]["score"].as_f64().unwrap()
    );
    assert!(answer.text.contains(&line), "{}", answer.text);
    assert_eq!((&affected[1]["score"], &affected[1]["correlation_score"]), (&Value::Null, &0.95.into()));
    assert_eq!(names(affected, "service_id"), ["ledger", "checkout"]);
    assert_eq!(names(affected, "application_name"), ["payments", "my-shop"]);
    assert_eq!(names(affected, "relation"), ["called_by_it", "pattern"]);
    assert_eq!(affected[1]["events"], serde_json::json!(["timeout-130"]));
    assert!((affected[0]["change"].as_f64().unwrap() - 40.0).abs() < 1.0, "{affected}");
    assert_eq!(names(not_affected, "service_id"), ["gateway"]);
    assert!(not_affected[0]["visible_from"].as_f64().unwrap() > 5.0, "{not_affected}");
}

#[test]
fn which_services_run_old_versions() {
    let answer = ask(&on_duckdb(), "versions --behind");
    let expected = "Versions (2, 2 behind, 0 differ):\n  \
                    my-shop  api  production  v2.0.0  ⚠ behind v2.1.0\n  \
                    my-shop  web  dev         v3.0.0  ⚠ behind v3.1.0\n\n\
                    How they came there: coral reef deployments --service api\n";
    assert_eq!(answer.text, format!("{expected}{COMPLETE}"));
    assert_eq!(names(&answer.json["services"], "service_id"), ["api", "web"]);
    assert_eq!(names(&answer.json["services"], "newest"), ["v2.1.0", "v3.1.0"]);
}

/// RFD 003: "compare health across all environments"
#[test]
fn how_healthy_are_all_environments() {
    let answer = ask(&on_duckdb(), "health");
    let expected = "Colonies (4):\n  \
                    ⚠ my-shop-dev          [degraded]  17 services, – agents\n  \
                    ⚠ my-shop-production   [degraded]  20 services, 45 agents\n  \
                    ✓ my-shop-staging      [healthy]   20 services, – agents\n  \
                    ✓ payments-production  [healthy]   4 services, – agents\n\nEnvironments:\n  \
                    Dev:         88% healthy of 17 services (web: restarting, worker: restarting)\n  \
                    Production:  95% healthy of 24 services (payment-processor: degraded)\n  \
                    Staging:     100% healthy of 20 services\n\n\
                    The services of my-shop-dev: coral reef topology --colony my-shop-dev\n";
    assert_eq!(answer.text, format!("{expected}{COMPLETE}"));
    let environments = &answer.json["environments"];
    assert_eq!(names(environments, "name"), ["dev", "production", "staging"]);
    assert_eq!(environments[2]["healthy_percent"], 100.0);
    assert_eq!(environments[1]["troubled"], serde_json::json!(["payment-processor: degraded"]));
    let applications = &answer.json["applications"];
    assert_eq!(names(applications, "name"), ["my-shop", "payments"]);
    assert_eq!((&applications[0]["services"], &applications[1]["services"]), (&57.into(), &4.into()));
}

#[test]
fn the_status_of_a_reef_that_is_stopped_is_as_rfd_003_shows_it() {
    let answer = ask(&on_duckdb(), "status");
    let [first, second] = [fleet::from_staging_to_production(), fleet::from_payments_to_checkout()];
    let recent = |pattern: &model::pattern::Finding, lag: &str| {
        let (words, id) = (&pattern.correlation.pattern_description, pattern.correlation.key.correlation_id());
        format!("  - {words} (lag: {lag}, confidence: 0.97)\n    more: coral reef correlation {id}\n")
    };
    let expected = format!(
        "Reef: {REEF_ID}\nStatus: Stopped\n\nColonies (4):\n  \
         ⚠ my-shop-dev          [degraded]  17 services, – agents\n  \
         ⚠ my-shop-production   [degraded]  20 services, 45 agents\n  \
         ✓ my-shop-staging      [healthy]   20 services, – agents\n  \
         ✓ payments-production  [healthy]    4 services, – agents\n\nRecent Correlations:\n{}{}\n{COMPLETE}",
        recent(&first, "2h 15m"),
        recent(&second, "15s"),
    );
    assert_eq!(answer.text, expected);
    assert_eq!((&answer.json["state"], &answer.json["uptime_seconds"]), (&"stopped".into(), &0.into()));
    assert_eq!(answer.json["colonies"][1]["agents"], 45);
}

#[test]
fn the_timeline_of_deployments_has_the_columns_of_rfd_003() {
    let reef = on_duckdb();
    let columns =
        reef.query("SELECT column_name FROM information_schema.columns WHERE table_name = 'deployment_timeline'");
    let columns: Vec<&str> = columns.lines().collect();
    for column in [
        "deployment_id",
        "colony_id",
        "application_name",
        "environment",
        "service_id",
        "from_version",
        "to_version",
        "started_at",
        "completed_at",
        "status",
        "impact_score",
        "issues_detected",
        "related_events",
    ] {
        assert!(columns.contains(&column), "{column}: {columns:?}");
    }
}
