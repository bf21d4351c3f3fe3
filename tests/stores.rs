//! Two stores, one result: the same runs on DuckDB and on ClickHouse, row for row; the commands that support both.

use crate::clickhouse::InDatabase;
use crate::support::clickhouse::Server;
use crate::support::recordings::Recording;
use crate::support::{Reef, files_source, json, program};
use model::pattern::{Correlation, Evidence};
use serde_json::Value;
use sinks::clickhouse::ClickHouseReader;
use sinks::duckdb::{DuckDbConfig, DuckDbReader};
use sinks::prediction_revisions::PREDICTION_REVISIONS;
use sinks::revisions::REVISIONS;
use sinks::{StoreReader, Totals};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

mod docs;
mod lineage;
mod sql;

/// Application, environment, metric, hour in ms, mean and maximum by their bits, samples, points.
type Summary = (String, String, String, i64, Option<u64>, Option<u64>, u64, u64);

/// What a store says after a run.
#[derive(Debug, PartialEq)]
struct Answers {
    correlations: Vec<Correlation>,
    evidence: BTreeMap<String, Vec<Evidence>>,
    summaries: Vec<Summary>,
    totals: Totals,
}

async fn answers(reader: &dyn StoreReader, summaries: Vec<Summary>) -> Answers {
    let correlations = reader.correlations().await.unwrap();
    let mut evidence = BTreeMap::new();
    for correlation in &correlations {
        let id = correlation.key.correlation_id();
        evidence.insert(id.clone(), reader.evidence(&id).await.unwrap());
    }
    let mut totals = reader.totals().await.unwrap();
    // how often something was learnt depends on when a run evaluates
    totals.rows.remove(REVISIONS);
    totals.rows.remove(PREDICTION_REVISIONS);
    Answers { correlations, evidence, summaries, totals }
}

fn duckdb_summaries(path: &Path) -> Vec<Summary> {
    let db = duckdb::Connection::open(path).unwrap();
    let sql = "SELECT application_name, environment, metric_name, epoch_ms(hour), mean_p95, max_value, total_samples,
                      points FROM env_metric_summary ORDER BY ALL";
    let mut statement = db.prepare(sql).unwrap();
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    let rows = statement.query_map([], |row| {
        let (mean, max) = (bits(row.get(4)?), bits(row.get(5)?));
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, mean, max, row.get(6)?, row.get(7)?))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn clickhouse_summaries(server: &Server, database: &str) -> Vec<Summary> {
    let sql = "SELECT application_name, environment, metric_name, toUnixTimestamp64Milli(hour),
                      reinterpretAsUInt64(mean_p95), reinterpretAsUInt64(max_value), total_samples, points
               FROM env_metric_summary FINAL ORDER BY ALL FORMAT JSONCompactEachRow
               SETTINGS output_format_json_quote_64bit_integers = 0";
    server.query(database, sql).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The configuration of a store in a database of the server.
pub fn clickhouse_storage(server: &Server, database: &str) -> String {
    format!(
        "[storage]\ntype = \"clickhouse\"\n[storage.connection]\nhost = \"{}\"\nport = {}\nprotocol = \"http\"\n\
         database = \"{database}\"\n",
        server.host(),
        server.port()
    )
}

/// Runs `body` on both stores and compares everything; then runs it again on ClickHouse, which must change nothing.
fn both_answer_alike(server: &Server, body: &str) -> Answers {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let on_duckdb = Reef::new(body);
    on_duckdb.run();
    let summaries = duckdb_summaries(&on_duckdb.store());
    let expected = runtime.block_on(async {
        let reader = DuckDbReader::open(DuckDbConfig::at(on_duckdb.store())).await.unwrap();
        answers(&reader, summaries).await
    });
    let fixture = InDatabase::new(server);
    let on_clickhouse = Reef::with_storage(body, &clickhouse_storage(server, fixture.name()));
    on_clickhouse.run();
    let summaries = clickhouse_summaries(server, fixture.name());
    let found = runtime.block_on(async {
        let reader = ClickHouseReader::open(fixture.config()).await.unwrap();
        answers(&reader, summaries).await
    });
    assert_eq!(found.totals, expected.totals);
    assert_eq!(found.correlations, expected.correlations);
    assert!(found.evidence == expected.evidence, "the evidence differs");
    assert!(found.summaries == expected.summaries, "the hourly summaries differ");
    let once = fixture.rows();
    on_clickhouse.run();
    assert!(fixture.rows() == once, "the same run again changes rows");
    found
}

#[test]
fn releases_is_the_same_on_both_stores() {
    let Some(server) = Server::any() else { return };
    let recording = Recording::any("releases");
    let found = both_answer_alike(&server, &files_source(&[&recording.events()], &[]));
    assert!(found.correlations.len() > 10 && found.evidence.values().all(|rows| !rows.is_empty()));
}

#[test]
fn delta_is_the_same_on_both_stores() {
    let Some(server) = Server::any() else { return };
    let recording = Recording::any("delta");
    let found = both_answer_alike(&server, &files_source(&[], &[&recording.metrics()]));
    assert!(found.correlations.len() > 60 && found.summaries.len() > 1_000);
}

#[test]
fn boutique_is_the_same_on_both_stores() {
    let Some(server) = Server::any() else { return };
    let recording = Recording::any("boutique");
    let body = files_source(&[&recording.events()], &[&recording.metrics()]);
    let found = both_answer_alike(&server, &body);
    assert!(found.summaries.len() > 100, "{}", found.summaries.len());
}

fn coral_pipeline(args: &[&str], reef: &Reef) -> std::process::Output {
    Command::new(program("coral-pipeline")).args(args).arg(reef.config()).arg("--json").output().unwrap()
}

/// The error document of a command that failed.
fn refused(output: &std::process::Output) -> String {
    assert!(!output.status.success());
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

#[test]
fn migrate_and_validate_know_the_server() {
    let Some(server) = Server::any() else { return };
    let database = server.database();
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("e.ndjson");
    std::fs::write(&events, "").unwrap();
    let body = files_source(&[&events], &[]);
    let reef = Reef::with_storage(&body, &clickhouse_storage(&server, &database));
    let steps = |output: &std::process::Output| json(output)["steps"].as_array().unwrap().len();
    let all = migrations::CLICKHOUSE.len();
    assert_eq!(steps(&coral_pipeline(&["migrate", "--dry-run"], &reef)), all);
    assert_eq!(server.query(&database, "SHOW TABLES"), "", "a dry run creates nothing");
    assert_eq!(steps(&coral_pipeline(&["migrate"], &reef)), all);
    assert_eq!(steps(&coral_pipeline(&["migrate"], &reef)), 0);
    // a table that has no step of its own
    server.query(&database, "DROP TABLE deployment_timeline SYNC");
    assert_eq!(steps(&coral_pipeline(&["migrate", "--dry-run"], &reef)), 0);
    let derived = || server.query(&database, "SHOW TABLES LIKE 'deployment_timeline'");
    assert_eq!(derived(), "", "a dry run creates nothing");
    assert_eq!(steps(&coral_pipeline(&["migrate"], &reef)), 0);
    assert_eq!(derived(), "deployment_timeline\n");

    let note = |output: &std::process::Output| {
        let checks: Value = json(output);
        let store = checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == "store").unwrap();
        format!("{} {}", store["outcome"].as_str().unwrap(), store["note"].as_str().unwrap())
    };
    let fine = note(&coral_pipeline(&["validate"], &reef));
    assert!(fine.starts_with("ok ClickHouse ") && fine.contains("schema version"), "{fine}");
    assert!(note(&coral_pipeline(&["validate", "--no-network"], &reef)).starts_with("skipped"));

    let missing = Reef::with_storage(&body, &clickhouse_storage(&server, "nowhere"));
    let text = refused(&coral_pipeline(&["validate"], &missing));
    assert!(text.contains("CREATE DATABASE") && text.contains("nowhere"), "{text}");
    let native = clickhouse_storage(&server, &database).replace("\"http\"", "\"native\"");
    let text = refused(&coral_pipeline(&["run"], &Reef::with_storage(&body, &native)));
    assert!(text.contains("port = 8123"), "{text}");
}
