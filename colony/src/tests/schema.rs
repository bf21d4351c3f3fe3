//! The schema as RFD 010 prints it, with the repairs.

use super::inspect;
use crate::Store;
use crate::store::TABLES;
use std::path::PathBuf;

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "c1").unwrap();
    store.close().unwrap();
    (dir, store.path().to_owned())
}

#[test]
fn TestInitSchema_TablesCreated() {
    let (_dir, path) = fresh();
    let mut tables: Vec<String> = inspect(&path, "SELECT table_name FROM duckdb_tables()");
    tables.sort();
    let mut expected = TABLES.map(str::to_owned);
    expected.sort();
    assert_eq!(tables, expected);
}

#[test]
fn TestInitSchema_Idempotency() {
    let (dir, path) = fresh();
    let all = "SELECT coalesce(sql, '') || coalesce(comment, '') FROM
        (SELECT sql, comment FROM duckdb_tables() UNION ALL SELECT sql, comment FROM duckdb_indexes()) ORDER BY 1";
    let before: Vec<String> = inspect(&path, all);
    for _ in 0..2 {
        Store::open(dir.path(), "c1").unwrap().close().unwrap();
    }
    let after: Vec<String> = inspect(&path, all);
    assert_eq!(before, after);
    assert!(before.iter().any(|text| text.contains("session:")));
}

#[test]
fn TestInitSchema_Indexes() {
    let (_dir, path) = fresh();
    let indexes: Vec<String> = inspect(&path, "SELECT index_name FROM duckdb_indexes() ORDER BY 1");
    assert_eq!(
        indexes,
        [
            "idx_baselines_metric_name",
            "idx_baselines_service_id",
            "idx_events_correlation",
            "idx_events_service_id",
            "idx_events_timestamp",
            "idx_events_type",
            "idx_insights_created_at",
            "idx_insights_priority",
            "idx_insights_status",
            "idx_metric_summaries_metric_name",
            "idx_metric_summaries_service_id",
            "idx_service_connections_from",
            "idx_service_connections_to",
            "idx_services_agent_id",
            "idx_services_last_seen",
            "idx_services_status",
        ]
    );
}

#[test]
fn TestInitSchema_ColumnTypes() {
    let (_dir, path) = fresh();
    let columns: Vec<String> = inspect(
        &path,
        "SELECT table_name || ': ' || string_agg(column_name || ' ' || data_type || if(is_nullable, '', '!'), ', ' ORDER BY column_index)
         FROM duckdb_columns() WHERE NOT internal GROUP BY table_name ORDER BY table_name",
    );
    assert_eq!(
        columns,
        [
            "baselines: service_id VARCHAR!, metric_name VARCHAR!, time_window VARCHAR!, mean DOUBLE, stddev DOUBLE, \
             p50 DOUBLE, p95 DOUBLE, p99 DOUBLE, sample_count BIGINT, last_updated TIMESTAMP!",
            "events: id BIGINT!, timestamp TIMESTAMP!, service_id VARCHAR!, event_type VARCHAR!, details VARCHAR, \
             correlation_group VARCHAR",
            "insights: id BIGINT!, created_at TIMESTAMP!, insight_type VARCHAR!, priority VARCHAR!, title VARCHAR!, \
             summary VARCHAR!, details VARCHAR, affected_services VARCHAR, status VARCHAR!, confidence DOUBLE, \
             expires_at TIMESTAMP, resolved_at TIMESTAMP",
            "metric_summaries: timestamp TIMESTAMP!, service_id VARCHAR!, metric_name VARCHAR!, interval VARCHAR!, \
             p50 DOUBLE, p95 DOUBLE, p99 DOUBLE, mean DOUBLE, max DOUBLE, count BIGINT",
            "service_connections: from_service VARCHAR!, to_service VARCHAR!, protocol VARCHAR!, \
             first_observed TIMESTAMP!, last_observed TIMESTAMP!, connection_count BIGINT!",
            "services: id VARCHAR!, name VARCHAR!, app_id VARCHAR!, version VARCHAR, agent_id VARCHAR!, labels VARCHAR, \
             last_seen TIMESTAMP!, status VARCHAR!",
        ]
    );
}

#[test]
fn TestInitSchema_PrimaryKeys() {
    let (_dir, path) = fresh();
    let keys: Vec<String> = inspect(
        &path,
        "SELECT table_name || '(' || array_to_string(constraint_column_names, ', ') || ')'
         FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY' ORDER BY 1",
    );
    assert_eq!(
        keys,
        [
            "baselines(service_id, metric_name, time_window)",
            "events(id)",
            "insights(id)",
            "metric_summaries(timestamp, service_id, metric_name, interval)",
            "service_connections(from_service, to_service, protocol)",
            "services(id)",
        ]
    );
}

#[test]
fn the_schema_is_made_whole_or_not_at_all() {
    use crate::store::schema_for_tests::{STATEMENTS, apply};
    for broken_at in 0..=STATEMENTS.len() {
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let mut statements = STATEMENTS.to_vec();
        statements.insert(broken_at, "CREATE TABLE broken (");
        assert!(apply(&connection, &statements).is_err());
        let tables: i64 = connection.query_row("SELECT count(*) FROM duckdb_tables()", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0, "broken before statement {broken_at}");
        apply(&connection, &STATEMENTS).unwrap();
    }
}

#[test]
fn an_empty_database_is_small() {
    let (_dir, path) = fresh();
    let bytes = std::fs::metadata(path).unwrap().len();
    assert!(bytes <= 1 << 20, "{bytes} bytes");
}
