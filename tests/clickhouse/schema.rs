//! Opening: tables, versions, time limits, what a server says of itself.

use super::InDatabase;
use crate::support::clickhouse::Server;
use model::time::DAY_MS;
use sinks::StoreWriter;
use sinks::clickhouse::{ClickHouseConfig, ClickHouseReader, ClickHouseStore, server_facts};
use sinks::compliance::derived::{SCHEMA, SCORE_COLUMNS, SCORES, predictions};
use sinks::error::FaultClass;
use sinks::retention::Retention;
use sinks::schema::Schema;

#[tokio::test]
async fn opening_twice_changes_nothing_and_a_newer_store_is_refused() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let versions = || server.query(&fixture.database, "SELECT * FROM schema_version ORDER BY ALL");
    assert_eq!(server_facts(fixture.config()).await.unwrap().schema_version, 0);
    drop(fixture.opened().await);
    let (first, tables) = (versions(), server.query(&fixture.database, "SHOW TABLES"));
    assert_eq!(first.lines().count(), migrations::CLICKHOUSE.len(), "{first}");
    assert_eq!(tables.lines().count(), 27, "{tables}");
    drop(fixture.opened().await);
    assert_eq!(versions(), first);
    let facts = server_facts(fixture.config()).await.unwrap();
    assert_eq!(facts.schema_version, migrations::KNOWN_VERSION);
    assert!(facts.server_version.starts_with(|c: char| c.is_ascii_digit()), "{facts:?}");
    assert!(facts.missing_rights.is_empty(), "{facts:?}");

    server.query(&fixture.database, "INSERT INTO schema_version VALUES (999, now64(3))");
    let error = ClickHouseStore::open(fixture.config()).await.err().unwrap();
    assert_eq!(error.class, FaultClass::Stop);
    assert!(error.cause.unwrap().to_string().contains("version 999"));
}

#[tokio::test]
async fn the_database_of_another_reef_is_refused_and_stays_free_for_its_own() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    // one that was written before owners were noted
    drop(fixture.opened().await);
    let of = |reef_id: &str| ClickHouseConfig { reef_id: Some(reef_id.to_owned()), ..fixture.config() };
    for _ in 0..2 {
        Box::new(ClickHouseStore::open(of("mine")).await.unwrap()).close().await.unwrap();
    }
    let to_write = ClickHouseStore::open(of("yours")).await.err();
    let to_read = ClickHouseReader::open(of("yours")).await.err();
    for error in [to_write.unwrap(), to_read.unwrap()] {
        assert_eq!(error.class, FaultClass::Stop);
        let text = format!("{error} {}", error.cause.as_ref().unwrap());
        assert!(text.contains("\"mine\"") && text.contains("\"yours\"") && text.contains("reef_id"), "{text}");
    }
    Box::new(ClickHouseStore::open(of("mine")).await.unwrap()).close().await.unwrap();
    assert_eq!(server.query(&fixture.database, "SELECT reef_id FROM store_owner FINAL"), "mine\n");
}

#[tokio::test]
async fn an_upgrade_keeps_the_rows_and_a_step_that_was_cut_off_is_repeated() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    drop(fixture.opened().await);
    // as after the third step, with rows, and with the fourth one interrupted between its tables
    let third = 3;
    server.query(
        &fixture.database,
        &format!("ALTER TABLE schema_version DELETE WHERE version > {third} SETTINGS mutations_sync = 1"),
    );
    server.query(&fixture.database, "DROP TABLE watermarks");
    server.query(
        &fixture.database,
        "INSERT INTO colony_status (colony_id, health, updated_at) VALUES ('c', 'healthy', now64(3))",
    );
    let store = fixture.opened().await;
    assert_eq!(store.reader().colony_status().await.unwrap()[0].colony_id, "c");
    assert!(store.reader().positions().await.unwrap().is_empty(), "the tables of that step exist");
    assert_eq!(server_facts(fixture.config()).await.unwrap().schema_version, migrations::KNOWN_VERSION);
}

#[tokio::test]
async fn the_tables_have_the_columns_of_the_other_store() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    drop(fixture.opened().await);
    let db = duckdb::Connection::open_in_memory().unwrap();
    for step in migrations::DUCKDB {
        db.execute_batch(step.sql).unwrap();
    }
    for (table, _) in super::TABLES {
        let sql = format!(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '{table}'
               AND name NOT IN ('ingest_version', 'removed', 'stored_at') ORDER BY name"
        );
        let here: Vec<String> = server.query(&fixture.database, &sql).lines().map(str::to_owned).collect();
        let mut statement = db
            .prepare(&format!("SELECT column_name FROM (DESCRIBE {table}) WHERE column_name <> 'stored_at' ORDER BY 1"))
            .unwrap();
        let there: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(here, there, "{table}");
    }
}

fn with_retention(fixture: &InDatabase<'_>, days: i64) -> ClickHouseConfig {
    let days_ms = days * DAY_MS;
    let retention = Retention {
        metrics_ms: days_ms,
        events_ms: 2 * days_ms,
        correlations_ms: 3 * days_ms,
        deployments_ms: 4 * days_ms,
    };
    ClickHouseConfig { retention: Some(retention), ..fixture.config() }
}

#[tokio::test]
async fn time_limits_follow_the_configuration() {
    let Some(server) = Server::start() else { return };
    let fixture = InDatabase::new(&server);
    let limit = |table: &str| {
        let sql = format!(
            "SELECT extract(create_table_query, 'toIntervalSecond\\\\((\\\\d+)\\\\)') FROM system.tables
             WHERE database = currentDatabase() AND name = '{table}'"
        );
        server.query(&fixture.database, &sql).trim().parse::<i64>().unwrap()
    };
    for days in [90, 30] {
        drop(ClickHouseStore::open(with_retention(&fixture, days)).await.unwrap());
        let found = ["federated_metrics", "federated_events", "correlations", "deployment_timeline"].map(limit);
        assert_eq!(found, [1, 2, 3, 4].map(|factor| factor * days * 86_400));
        // what a producer with a broken field writes without end, and what a fleet leaves of itself, stays as long as events
        for table in ["rejects", "rejects_omitted", "service_nodes", "service_edges"] {
            assert_eq!(limit(table), 2 * days * 86_400, "{table}");
        }
    }
    server.clear_log();
    drop(ClickHouseStore::open(with_retention(&fixture, 30)).await.unwrap());
    assert!(!server.log().iter().any(|sql| sql.contains("ALTER")), "correct limits stay unchanged");
}

#[tokio::test]
async fn a_view_scores_the_predictions_of_each_pattern() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let mut store = ClickHouseStore::open(fixture.config()).await.unwrap();
    store.commit(&predictions()).await.unwrap();
    let sql = format!("SELECT {SCORE_COLUMNS} FROM prediction_scores ORDER BY days");
    let answer = server.query(&fixture.database, &sql);
    let rows: Vec<Vec<f64>> =
        answer.lines().map(|line| line.split('\t').map(|value| value.parse().unwrap()).collect()).collect();
    assert_eq!(rows.len(), SCORES.len(), "{answer}");
    for (row, expected) in rows.iter().zip(SCORES) {
        assert_eq!(row.len(), expected.len());
        assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{row:?}");
    }
}

#[tokio::test]
async fn imported_history_stays_for_its_retention_and_old_rows_go() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    drop(ClickHouseStore::open(with_retention(&fixture, 90)).await.unwrap());
    // both rows are a year old; one was stored today, one a year ago
    for (name, stored_at) in [("today", "now()"), ("then", "now() - INTERVAL 360 DAY")] {
        server.query(
            &fixture.database,
            &format!(
                "INSERT INTO federated_metrics (colony_id, metric_name, timestamp, interval_seconds, late, ingest_version, stored_at)
                 SELECT 'c', '{name}', now64(3) - INTERVAL 365 DAY, 60, false, 1, {stored_at}"
            ),
        );
    }
    server.query(&fixture.database, "OPTIMIZE TABLE federated_metrics FINAL");
    assert_eq!(server.query(&fixture.database, "SELECT metric_name FROM federated_metrics"), "today\n");
}

/// The worked example of a derived table, as DuckDB's test has it.
#[tokio::test]
async fn a_derived_table_is_added_used_and_removed() {
    let Some(server) = Server::any() else { return };
    let fixture = InDatabase::new(&server);
    let with = |schema| ClickHouseConfig { schema, ..fixture.config() };
    let shown = || server.query(&fixture.database, "SHOW TABLES LIKE 'example_outputs'");
    Box::new(fixture.opened().await).close().await.unwrap();
    assert_eq!(shown(), "");
    let error = ClickHouseReader::open(with(SCHEMA)).await.err().unwrap();
    assert!(error.hint.contains("coral-pipeline migrate"), "{error}");
    let keep =
        Retention { metrics_ms: DAY_MS, events_ms: DAY_MS, correlations_ms: 10 * DAY_MS, deployments_ms: DAY_MS };
    let store = ClickHouseStore::open(ClickHouseConfig { retention: Some(keep), ..with(SCHEMA) }).await.unwrap();
    assert_eq!(store.reader().totals().await.unwrap().rows["example_outputs"], 0);
    let definition = server.query(&fixture.database, "SHOW CREATE TABLE example_outputs");
    assert!(definition.contains("864000"), "it ages as correlations do: {definition}");
    Box::new(store).close().await.unwrap();
    let removed = Schema { derived: &[], retired: &["example_outputs"] };
    Box::new(ClickHouseStore::open(with(removed)).await.unwrap()).close().await.unwrap();
    assert_eq!(shown(), "");
}
