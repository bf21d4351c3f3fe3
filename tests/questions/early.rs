//! The early warning of RFD 003, the gate before a promotion, and the rows behind a pattern: answers that need a history of
//! predictions and of versions.

use super::{COMPLETE, REEF_ID, ask, fleet, names, unread};
use crate::clickhouse::InDatabase;
use crate::stores::clickhouse_storage;
use crate::support::Reef;
use crate::support::clickhouse::Server;
use model::derived::{DerivedChange, Value as Cell};
use model::metric::MetricPoint;
use model::real::Real;
use model::rows::Rows;
use model::series::{SeriesId, SeriesRef};
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use sinks::clickhouse::{ClickHouseConfig, ClickHouseStore};
use sinks::compliance::commit_of;
use sinks::duckdb::{DuckDbConfig, DuckDbStore};
use sinks::{Commit, StoreWriter};

/// 2024-11-13 12:00.
const NOON: TimeMs = TimeMs(1_731_499_200_000);
/// Metrics of `billing` begin so many minutes before it; its versions come to staging every 12 hours, and to production 6
/// hours later.
const SINCE_MIN: i64 = 64 * 60;
/// What versions v1.0.0 to v1.4.0 change in staging and in production, in percent; the last one is not in production.
const CHANGES: [(f64, Option<f64>); 5] =
    [(2.0, Some(3.0)), (4.0, Some(6.0)), (-1.0, Some(2.0)), (3.0, Some(5.0)), (2.0, None)];
const GATE: &str = "gate billing@v1.4.0 --from staging --to production";

/// The pattern that predicts.
fn pattern() -> String {
    fleet::from_staging_to_production().correlation.key.correlation_id()
}

/// A prediction of the pattern, so many days before noon; the minutes to its target, if that came.
fn prediction(days_before: i64, outcome: &str, lead_min: Option<i64>) -> Vec<Cell> {
    let text = |text: &str| Cell::Text(text.to_owned());
    let issued = NOON - days_before * DAY_MS;
    let mut row = vec![text(&format!("p-{days_before}")), text(&pattern())];
    let source = format!("web-{days_before}");
    row.extend(["my-shop-staging", source.as_str(), "my-shop-production", "web", "error_spike"].map(text));
    row.extend([0, 125, 155, 165].map(|minute| Cell::Time(issued + minute * MINUTE_MS)));
    let resolved = lead_min.map_or(Cell::Null, |minutes| Cell::Time(issued + minutes * MINUTE_MS));
    row.extend([Cell::Real(Real(0.86)), text(outcome), Cell::Null, resolved]);
    row.extend(["web", "deploy", "my-shop", "staging", "my-shop", "production"].map(text));
    row.push(Cell::Real(Real(0.02)));
    row
}

/// What the pattern is on a day, and how often its target came.
fn day(days_before: i64, targets: u64) -> Vec<Cell> {
    let mut row = vec![Cell::Text(pattern()), Cell::Time((NOON - days_before * DAY_MS).floor_to(DAY_MS))];
    row.extend([Cell::Real(Real(0.86)), Cell::Real(Real(0.02))]);
    row.extend([7_500, 9_300, targets].map(Cell::Count));
    row.push(Cell::Null);
    row
}

/// The versions of `billing` in an environment: number, minute, and by which factor its latency changes.
fn versions(environment: &str) -> Vec<(usize, i64, f64)> {
    let behind_min = if environment == "production" { 6 * 60 } else { 0 };
    let version = |(number, (staging, production)): (usize, &(f64, Option<f64>))| {
        let change = if environment == "staging" { Some(*staging) } else { *production };
        let minute = (2 + 12 * number as i64) * 60 + behind_min - SINCE_MIN;
        change.map(|change| (number, minute, 1.0 + change / 100.0))
    };
    CHANGES.iter().enumerate().filter_map(version).collect()
}

/// Four versions of `billing` in both environments, a fifth one in staging; and predictions of a pattern: one is open, two
/// came true, one did not, and of one nothing was heard.
fn commit() -> Commit {
    let (mut points, mut timeline) = (Vec::new(), Vec::new());
    for environment in ["staging", "production"] {
        let colony_id = format!("my-shop-{environment}");
        let series = SeriesId::of(SeriesRef {
            colony_id: &colony_id,
            application_name: "my-shop",
            environment,
            service_id: "billing",
            metric_name: "latency",
            interval_seconds: Some(60),
        });
        let versions = versions(environment);
        for minute in -SINCE_MIN..0 {
            let so_far = versions.iter().filter(|(_, begin, _)| *begin <= minute);
            let p95 = Some(Real(so_far.fold(200.0, |value, (.., factor)| value * factor)));
            let timestamp = NOON + minute * MINUTE_MS;
            points.push(MetricPoint { series, timestamp, p95, count: Some(10), ..MetricPoint::default() });
        }
        for (number, minute, _) in versions {
            let (id, version) = (format!("billing-{environment}-{number}"), format!("v1.{number}.0"));
            let ids = [colony_id.as_str(), id.as_str(), "billing"];
            timeline.push(fleet::deployed(ids, ["", &version], [minute, minute], "success"));
        }
    }
    let predictions = vec![
        prediction(0, "open", None),
        prediction(1, "hit", Some(137)),
        prediction(2, "void", None),
        prediction(3, "miss", Some(165)),
        prediction(4, "hit", Some(141)),
    ];
    let days = vec![day(0, 0), day(1, 1), day(4, 3)];
    let change = |table: &str, upserts| DerivedChange { table: table.to_owned(), upserts, removed: Vec::new() };
    let derived = vec![
        change("deployment_timeline", timeline),
        change("predictions", predictions),
        change("prediction_days", days),
    ];
    Commit { derived, ..commit_of(2, Rows { metrics: points.into(), ..Rows::default() }) }
}

async fn fill(mut store: Box<dyn StoreWriter>) {
    store.commit(&fleet::commit()).await.unwrap();
    store.commit(&commit()).await.unwrap();
    store.close().await.unwrap();
}

fn on_duckdb() -> Reef {
    let reef = Reef::new(&unread());
    let config = DuckDbConfig { reef_id: Some(REEF_ID.to_owned()), ..DuckDbConfig::at(reef.store()) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { fill(Box::new(DuckDbStore::open(config).await.unwrap())).await });
    reef
}

/// RFD 003: early warning, the fifth of its questions
#[test]
fn an_incident_is_announced_before_it_happens() {
    let reef = on_duckdb();
    let answer = ask(&reef, "predictions --outcome open");
    let id = pattern();
    let expected = format!(
        "1 open prediction:\n\n  … error spike in production web expected between 2024-11-13 14:05:00 UTC and 2024-11-13 \
         14:35:00 UTC, 86 %, because of deploy of web in staging at 2024-11-13 12:00:00 UTC ({id})\n\nPatterns, over 30 days \
         (over 90: --json):\n\n  deploy of web in staging -> error spike in production web\n    {id} · 2 of 3 came true, 67 % \
         (21 to 94 %) · announced 50 % of 4 targets · skill 0.59 · 2h17m ahead · predicts with 86 %\n\nThe rows behind a \
         pattern: coral reef correlation <id>\n\n{COMPLETE}"
    );
    assert_eq!(answer.text, expected);
    assert_eq!((&answer.json["open"], &answer.json["total"]), (&1.into(), &1.into()));
    let from = names(&answer.json["predictions"], "expected_from");
    assert!(from.len() == 1 && from[0].starts_with("2024-11-13T14:05:00"), "{from:?}");
    // and without being asked for: the status names what is expected
    let status = ask(&reef, "status").text;
    assert!(status.contains("error spike in production web expected between 2024-11-13 14:05:00 UTC"), "{status}");
}

#[test]
fn a_version_is_promoted_by_what_earlier_ones_did() {
    let answer = ask(&on_duckdb(), GATE);
    let expected = "Gate: billing v1.4.0 (staging → production)\nVerdict: ✓ pass (25% worse is excluded for latency)\n\n\
                    Expected in production, learnt from 4 earlier versions:\n  latency  +4.0%  (+1.1% to +6.9%)  +2.0% in \
                    staging  decides\n\nIts deployment in staging: coral reef deployment billing-staging-4\n\n\
                    Complete to 2024-11-13 12:00:00 UTC for all 2 colonies.\n";
    assert_eq!(answer.text, expected);
    assert_eq!((&answer.json["verdict"], &answer.json["pairs"]), (&"pass".into(), &4.into()));
}

#[test]
fn a_pattern_shows_its_rows_and_what_became_of_its_predictions() {
    let answer = ask(&on_duckdb(), &format!("correlation {}", pattern()));
    for words in
        ["deploy of web in staging is followed by error_spike of web in production", "web-310", "spike-310", "2h15m"]
    {
        assert!(answer.text.contains(words), "{words}: {}", answer.text);
    }
    let predicted = "predicted 5 times: 2 hits, 1 miss, 1 void, 1 open\n";
    assert!(answer.text.contains(predicted), "{}", answer.text);
}

#[test]
fn both_stores_foresee_the_same() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let config = ClickHouseConfig { reef_id: Some(REEF_ID.to_owned()), ..fixture.config() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { fill(Box::new(ClickHouseStore::open(config).await.unwrap())).await });
    let on_clickhouse = Reef::with_storage(&unread(), &clickhouse_storage(&server, fixture.name()));
    let on_duckdb = on_duckdb();
    for line in ["predictions", "predictions --outcome open", "status", GATE] {
        let (found, expected) = (ask(&on_clickhouse, line), ask(&on_duckdb, line));
        assert_eq!(found, expected, "{line}");
        assert_eq!(found.json["completeness"]["complete"], true, "{line}: {}", found.json);
    }
    // when a reef learnt of a pattern is by its own clock
    let line = format!("correlation {}", pattern());
    let [found, expected] = [&on_clickhouse, &on_duckdb].map(|reef| {
        let mut document = ask(reef, &line).json;
        document.as_object_mut().unwrap().remove("revisions");
        document
    });
    assert_eq!(found, expected, "{line}");
}
