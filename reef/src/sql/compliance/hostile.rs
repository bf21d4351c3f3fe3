//! Hostile statements: each is refused, or answered without anything but reading; afterwards the rows are the same.

use super::answered;
use crate::sql::SqlError;
use crate::sql::engine::SqlEngine;
use sinks::StoreReader;
use std::path::Path;
use std::sync::Arc;

/// Stands for an empty folder.
const FOLDER: &str = "FOLDER";

/// Statements that are no SELECT, several statements, files, functions that are not allowed.
#[rustfmt::skip]
const REFUSED: &[&str] = &[
    "", ";", "SELECT", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE federated_events",
    "SELECT 1 --\n; DELETE FROM federated_events",
    "INSERT INTO federated_events SELECT * FROM federated_events", "UPDATE federated_events SET version = 9",
    "DELETE FROM federated_events", "TRUNCATE TABLE federated_events", "DROP TABLE federated_events",
    "DROP SCHEMA store",
    "CREATE TABLE t AS SELECT 1", "CREATE VIEW v AS SELECT 1", "CREATE SCHEMA s", "CREATE DATABASE d",
    "CREATE FUNCTION f() RETURNS INT RETURN 1", "ALTER TABLE federated_events ADD COLUMN x INT",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE EXTERNAL TABLE t (a INT) STORED AS PARQUET LOCATION 's3://bucket/x'",
    "COPY (SELECT 1) TO 'FOLDER/stolen.csv' STORED AS CSV", "COPY federated_events TO 'FOLDER/stolen.parquet'",
    "COPY federated_events FROM '/etc/passwd'", "SELECT * FROM '/etc/passwd'", "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM 'file:///etc/passwd'", "SELECT * FROM \"http://example.com/x.parquet\"",
    "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_parquet('/x')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM parquet_metadata('/x')", "SELECT * FROM files('/etc/passwd')",
    "SELECT * FROM url('http://example.com/')",
    "SELECT * FROM file('/etc/passwd')", "SELECT * FROM remote('example.com', 'd', 't')", "SELECT * FROM glob('/*')",
    "SELECT * FROM mysql('h:1', 'd', 't', 'u', 'p')", "SELECT * FROM executable('sh', TabSeparated, 'x Int')",
    "SELECT getenv('HOME')", "SELECT version()", "SELECT current_user()", "SELECT current_setting('home_directory')",
    "SELECT repeat('x', 2000000000)", "SELECT rpad('x', 2000000000, 'y')", "SELECT lpad('x', 2000000000, 'y')",
    "SELECT random()", "SELECT uuid()", "SELECT sleep(3)", "SELECT pg_sleep(3)", "SELECT load_extension('x')",
    "SELECT @@version", "SELECT $1", "SELECT ?",
    "SET datafusion.execution.batch_size = 1", "SET memory_limit = '1TB'", "RESET datafusion.execution.batch_size",
    "SHOW TABLES", "SHOW ALL", "DESCRIBE federated_events", "PRAGMA database_list", "ATTACH '/x.db' AS x",
    "DETACH reef",
    "USE other", "INSTALL httpfs", "LOAD httpfs", "EXPORT DATABASE 'FOLDER/x'", "IMPORT DATABASE 'FOLDER/x'",
    "CHECKPOINT", "VACUUM",
    "BEGIN", "COMMIT", "ROLLBACK", "GRANT ALL ON federated_events TO x", "REVOKE ALL ON federated_events FROM x",
    "PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "CALL f()", "KILL QUERY WHERE 1", "SYSTEM SHUTDOWN",
    "OPTIMIZE TABLE federated_events", "RENAME TABLE federated_events TO x",
    "EXPLAIN DELETE FROM federated_events",
    "EXPLAIN ANALYZE INSERT INTO federated_events SELECT * FROM federated_events",
    "EXPLAIN COPY (SELECT 1) TO 'FOLDER/stolen.csv'", "EXPLAIN EXPLAIN SELECT 1",
    "WITH x AS (DELETE FROM federated_events) SELECT 1",
    "WITH x AS (SELECT 1) INSERT INTO federated_events SELECT * FROM x",
    "SELECT * INTO stolen FROM federated_events",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    "SELECT * FROM federated_events FORMAT CSV", "SELECT 1 INTO OUTFILE 'FOLDER/x'",
    "SELECT 1 SETTINGS max_threads = 99",
    "TABLE federated_events; DROP TABLE federated_events", "SELECT * FROM schema_version", "SELECT * FROM store_owner",
    "SELECT * FROM system.tables", "SELECT * FROM duckdb_settings()", "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM sqlite_master", "SELECT * FROM metric_buckets", "SELECT * FROM writers",
    "SELECT * FROM analyses", "SELECT * FROM reef.store.analyses", "SELECT * FROM information_schema.df_settings",
    "SELECT * FROM information_schema.\"DF_SETTINGS\"",
    "SELECT count(*) FROM reef.information_schema.df_settings AS s",
    "WITH s AS (SELECT * FROM information_schema.df_settings) SELECT 1 FROM s",
    "EXPLAIN SELECT * FROM information_schema.df_settings", "EXPLAIN ANALYZE DROP TABLE federated_events",
    "SELECT 1 FROM federated_events WHERE event_id IN (SELECT name FROM information_schema.df_settings)",
    "SELECT event_id FROM federated_events PREWHERE version = 0", "SELECT event_id FROM federated_events SAMPLE 0.1",
    "SELECT event_id FROM federated_events TABLESAMPLE BERNOULLI (1)",
    "SELECT version FROM federated_events GROUP BY version WITH TOTALS",
    "SELECT * FROM (SELECT event_id FROM federated_events FOR UPDATE) AS e",
    "SELECT event_id FROM federated_events |> LIMIT 1",
    "SELECT overlay(event_id PLACING event_id FROM 1 FOR 0) FROM federated_events",
    "SELECT string_agg(event_id, ',') OVER (ORDER BY event_id) FROM federated_events",
    "SELECT first_value(concat(event_id, description)) OVER (ORDER BY event_id) FROM federated_events",
    "SELECT 1 FROM federated_events WHERE event_id ~ description",
    "SELECT event_id !~* concat('a{', version, '}') FROM federated_events",
    "SELECT event_id SIMILAR TO description FROM federated_events",
    "SELECT 1 FROM federated_events AS a JOIN federated_events AS b ON a.event_id ~* b.description",
    "SELECT approx_percentile_cont(p95, 0.5, 100000000000000000) FROM federated_metrics",
    "SELECT approx_percentile_cont(0.5, 100000000000000000) WITHIN GROUP (ORDER BY p95) FROM federated_metrics",
    "SELECT approx_percentile_cont(p95, 0.5, 100000000000000000) OVER (ORDER BY timestamp) FROM federated_metrics",
    "SELECT 1 FROM federated_metrics GROUP BY service_id HAVING approx_percentile_cont(p95, 0.5, 1000000000000000) > 0",
    "SELECT event_id FROM federated_events WHERE timestamp >= '2026-03-02T10:00:00.0005Z'",
    "SELECT event_id FROM federated_events WHERE timestamp BETWEEN TIMESTAMP '2026-03-02T10:00:00Z' \
     AND TIMESTAMP '2026-03-02T10:00:00.000001Z'",
    "\0", "SELECT '\0' FROM nowhere", "'; DROP TABLE federated_events; --", "/* SELECT 1", "SELECT \"",
];

/// Statements that only look dangerous.
const ANSWERED: &[&str] = &[
    "SELECT count(*) FROM federated_events WHERE event_id = '''; DROP TABLE federated_events; --'",
    "SELECT count(*) FROM federated_events WHERE event_id IN ('\\'' OR 1=1 --', '{c0:String}', '?')",
    "SELECT count(*) FROM federated_events WHERE service_id > '\u{0}' AND service_id < '\u{10ffff}'",
    "SELECT count(*) FROM federated_events WHERE \"event_id\" = 'x' -- ; DELETE",
    "SELECT 1;",
    "EXPLAIN SELECT * FROM federated_events WHERE event_id = 'DELETE'",
    "EXPLAIN ANALYZE SELECT count(*) FROM federated_events",
    "SELECT first_value(event_id) OVER (ORDER BY event_id), lag(event_id, 1, 'none') OVER (ORDER BY event_id) \
     FROM federated_events",
    "SELECT event_id || '/' || version FROM federated_events WHERE timestamp >= '2026-03-02T10:00:00.001000Z'",
    "SELECT event_type, count(*) FROM federated_events GROUP BY ROLLUP (event_type)",
    "SELECT event_id FROM federated_events WHERE event_id ~ '^e[0-9]+$' AND NOT event_id SIMILAR TO 'x%'",
    "SELECT approx_percentile_cont(p95, 0.5), approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY p95) \
     FROM federated_metrics",
    // nothing is reserved for as many rows as LIMIT says
    "SELECT count(*) FROM (SELECT value % 3 AS g, max(value) AS m FROM generate_series(1, 10) GROUP BY 1 \
     ORDER BY m DESC LIMIT 100000000000000) AS t",
    "SELECT count(*) FROM (SELECT DISTINCT value % 3 AS g FROM generate_series(1, 10) ORDER BY g DESC \
     LIMIT 100000000000000) AS t",
    "SELECT count(*) FROM (SELECT value FROM generate_series(1, 10) ORDER BY value DESC LIMIT 100000000000000) AS t",
    "VALUES (1), (2)",
];

/// `folder` is empty.
pub(super) async fn nothing_but_reading_is_answered(reader: &Arc<dyn StoreReader>, folder: &Path) {
    let engine = SqlEngine::default();
    let all = "SELECT * FROM federated_events";
    let before = answered(&engine, reader, all).await.unwrap_or_else(|error| panic!("{error}"));
    for sql in REFUSED {
        let sql = sql.replace(FOLDER, &folder.display().to_string());
        let answer = answered(&engine, reader, &sql).await.map(|rows| rows.len());
        let is_refused = matches!(answer, Err(SqlError::Refused { .. } | SqlError::Failed { .. }));
        assert!(is_refused, "{sql} was not refused, with {answer:?} rows");
    }
    for sql in too_large() {
        let answer = answered(&engine, reader, &sql).await;
        assert!(matches!(answer, Err(SqlError::Refused { .. })), "{sql}: {answer:?}");
    }
    for sql in ANSWERED {
        let answer = answered(&engine, reader, sql).await;
        assert!(answer.is_ok(), "{sql}: {:?}", answer.err());
    }
    for sql in deep() {
        // answered or refused, and the process is still there
        let _ = answered(&engine, reader, &sql).await;
    }
    let after = answered(&engine, reader, all).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(before, after);
    assert!(folder.read_dir().is_ok_and(|mut entries| entries.next().is_none()), "a file was written");
}

/// Short statements whose plans no machine holds.
fn too_large() -> Vec<String> {
    let columns = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
    let doubled = |query: &str| {
        let next = |n: usize| format!(", t{} AS ({})", n + 1, query.replace("t_", &format!("t{n}")));
        format!("WITH t0 AS (SELECT 1 AS x){} SELECT count(*) FROM t30", (0..30).map(next).collect::<String>())
    };
    vec![
        doubled("SELECT * FROM t_ UNION ALL SELECT * FROM t_"),
        doubled("SELECT a.x FROM t_ AS a, t_ AS b"),
        doubled("SELECT a.*, b.* FROM t_ AS a, t_ AS b"),
        format!("SELECT 1 FROM federated_events GROUP BY CUBE ({})", columns(40)),
        format!("SELECT 1 FROM federated_events GROUP BY ROLLUP ({})", columns(9_000)),
        format!("SELECT 1 FROM federated_events GROUP BY {}", ["GROUPING SETS ((version), (late))"; 12].join(", ")),
        format!("SELECT event_id{} FROM federated_events", " || event_id".repeat(100)),
    ]
}

/// Statements that are as deep as the guard allows, and deeper ones.
fn deep() -> Vec<String> {
    let many = |first: &str, part: &str, last: &str, times| format!("{first}{}{last}", part.repeat(times));
    let of = |times: usize| {
        vec![
            many("SELECT 1", "+1", "", times),
            many("SELECT ", "(", "1", times),
            many(&many("SELECT ", "(", "1", times), ")", "", times),
            many("SELECT ", "-", "1", times),
            many("SELECT ", "NOT ", "true", times),
            many("SELECT true", " AND true", "", times),
            many("SELECT 'a'", " || 'a'", "", times),
            many("SELECT event_id FROM federated_events WHERE version = 0", " OR version = 1", "", times / 2),
            many("SELECT 1", " UNION ALL SELECT 1", "", times / 3),
            many("SELECT * FROM ", "(SELECT * FROM ", "federated_events", times / 3),
            many("SELECT count(*) FROM federated_events", " NATURAL JOIN federated_events", "", times / 20),
            many("SELECT CASE ", "WHEN true THEN CASE ", "", times / 4),
            many("SELECT ", "abs(", "1", times / 2),
            many("SELECT event_id FROM federated_events WHERE version IN (0", ",1", ")", 20_000),
            "[".repeat(times),
        ]
    };
    [of(380), of(30_000)].concat().into_iter().map(|sql| sql.chars().take(60_000).collect()).collect()
}
