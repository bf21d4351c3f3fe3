//! Every table of a store as text, without the columns that depend on the run and not on the rows.

use super::clickhouse::Server;
use super::dump;
use std::collections::BTreeMap;
use std::path::Path;

/// Columns that say when or how often something was written.
const RUN_TIME_COLUMNS: [&str; 6] =
    ["stored_at", "revision", "updated_at", "rejected_at", "last_success_at", "applied_at"];

/// Columns with which ClickHouse's tables decide between copies of a row.
const STORE_COLUMNS: [&str; 2] = ["ingest_version", "removed"];

/// Tables about processes, owners and what was learnt when, not rows; and a view of predictions of any age.
const OWN_TABLES: [&str; 5] =
    ["writers", "store_owner", "correlation_revisions", "prediction_revisions", "prediction_scores"];

/// Tables of which older rows are final: as the run saw them whose look-back they left. The newest two days are inside the
/// look-back of every horizon that tests use.
const AGED: [(&str, &str); 2] = [("predictions", "issued_at"), ("prediction_days", "day")];

/// The condition for rows of a table that depend on the rows of the store alone.
fn current(table: &str) -> String {
    let aged = AGED.iter().find(|(name, _)| *name == table);
    aged.map_or(String::new(), |(_, column)| {
        format!("WHERE {column} > (SELECT max(timestamp) FROM federated_events) - INTERVAL 2 DAY")
    })
}

/// The tables behind `federated_metrics` in DuckDB: series ids depend on arrival order.
const MADE_OF: &str = "'metric_series', 'metric_buckets'";

/// Series with two numbers, numbers of two series, and buckets of no series or twice in one.
const MISNUMBERED: &str = "
    SELECT 'names', count(*) FROM metric_series GROUP BY colony_id, application_name, environment,
           service_id, metric_name, interval_seconds HAVING count(*) > 1
    UNION ALL SELECT 'number ' || series_id, count(*) FROM metric_series GROUP BY series_id HAVING count(*) > 1
    UNION ALL SELECT 'nameless ' || series_id, count(*) FROM metric_buckets ANTI JOIN metric_series USING (series_id)
              GROUP BY series_id
    UNION ALL SELECT 'bucket of ' || series_id, count(*) FROM metric_buckets GROUP BY series_id, timestamp
              HAVING count(*) > 1";

/// Table name to its rows, sorted.
pub type Tables = BTreeMap<String, String>;

/// Reads every table of the store at `path`. The store must be closed.
pub fn tables(path: &Path) -> Tables {
    let db = duckdb::Connection::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let names = format!(
        "SELECT table_name FROM information_schema.tables WHERE table_name NOT IN ({MADE_OF}) ORDER BY table_name"
    );
    let names = dump(&db, &names);
    assert!(names.lines().count() > 10, "the schema exists: {names}");
    assert_eq!(dump(&db, MISNUMBERED), "", "{}", path.display());
    let names = names.lines().filter(|table| !OWN_TABLES.contains(table));
    names.map(|table| (table.to_owned(), dump(&db, &rows_of(&db, table)))).collect()
}

fn rows_of(db: &duckdb::Connection, table: &str) -> String {
    let columns = format!(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = '{table}' AND NOT internal ORDER BY column_index"
    );
    let columns = dump(db, &columns);
    let kept: Vec<&str> = columns.lines().filter(|name| !RUN_TIME_COLUMNS.contains(name)).collect();
    format!("SELECT {} FROM {table} {} ORDER BY ALL", kept.join(", "), current(table))
}

/// The same of a ClickHouse database, as one sees it who asks for the rows that count.
pub fn tables_in(server: &Server, database: &str) -> Tables {
    let names = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name";
    let names = server.query(database, names);
    assert!(names.lines().count() > 10, "the schema exists: {names}");
    let of_run = [&RUN_TIME_COLUMNS[..], &STORE_COLUMNS].concat().join(", ");
    let rows = |table: &str| {
        let sql = format!("SELECT * EXCEPT ({of_run}) FROM {table} FINAL {} ORDER BY ALL FORMAT TSV", current(table));
        server.query(database, &sql)
    };
    names.lines().filter(|table| !OWN_TABLES.contains(table)).map(|table| (table.to_owned(), rows(table))).collect()
}

/// Panics with the first difference if two stores are not equal, row for row. `case` describes how to reproduce it.
pub fn assert_equal(actual: &Tables, expected: &Tables, case: &str) {
    assert!(actual.keys().eq(expected.keys()), "{case}: not the same tables");
    for (table, rows) in expected {
        if let Some(difference) = difference(&actual[table], rows) {
            panic!("{case}: table {table} differs: {difference}");
        }
    }
}

fn difference(actual: &str, expected: &str) -> Option<String> {
    if actual == expected {
        return None;
    }
    let counts = format!("{} rows, expected {}", actual.lines().count(), expected.lines().count());
    let only = |these: &str, others: &str| -> Vec<String> {
        let others: std::collections::BTreeSet<&str> = others.lines().collect();
        these.lines().filter(|line| !others.contains(line)).take(3).map(str::to_owned).collect()
    };
    Some(format!("{counts}\n  only here: {:#?}\n  missing: {:#?}", only(actual, expected), only(expected, actual)))
}
