//! Derived tables: created from their descriptions, written, deleted when their rows are too old.

use super::fault::Cause;
use super::fleet::time;
use super::stage::{append, temporary};
use crate::Commit;
use crate::columns::times;
use crate::derived::{self, Row};
use crate::retention::Retention;
use crate::schema::{DerivedTable, Kind, Schema};
use crate::views::{self, Dialect, PREDICTION_SCORES};
use duckdb::{Connection, params};
use model::time::TimeMs;
use std::collections::BTreeSet;

const DIALECT: Dialect = Dialect {
    last: "",
    days: ("to_days(CAST(", " AS INTEGER))"),
    lead_seconds: "quantile_disc(CASE WHEN outcome = 'hit' THEN (epoch_ms(resolved_at) - epoch_ms(issued_at)) // 1000 END, 0.5)",
};

fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "VARCHAR",
        Kind::Texts => "VARCHAR[]",
        Kind::Time => "TIMESTAMP",
        Kind::Real => "DOUBLE",
        Kind::I32 => "INTEGER",
        Kind::I64 => "BIGINT",
        Kind::U32 => "UINTEGER",
        Kind::U64 => "UBIGINT",
        Kind::Truth => "BOOLEAN",
    }
}

/// The columns that a table has; none when there is no such table.
fn stored_columns(connection: &Connection, table: &str) -> Result<BTreeSet<String>, Cause> {
    let mut statement = connection.prepare("SELECT column_name FROM duckdb_columns() WHERE table_name = ?")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn has_view(connection: &Connection, view: &str) -> Result<bool, Cause> {
    let sql = "SELECT count(*) FROM duckdb_views() WHERE view_name = ?";
    Ok(connection.query_row(sql, [view], |row| row.get::<_, i64>(0))? > 0)
}

/// Creates the tables and columns that are missing, and drops the tables that are no longer used.
pub(super) fn migrate(connection: &Connection, schema: Schema) -> Result<(), Cause> {
    for table in schema.derived {
        let stored = stored_columns(connection, table.table.name)?;
        if stored.is_empty() {
            connection.execute_batch(&creation(table))?;
        }
        for (column, kind) in table.table.columns {
            if !stored.is_empty() && !stored.contains(*column) {
                let (name, sql_type) = (table.table.name, sql_type(*kind));
                // sql: identifiers only
                connection.execute_batch(&format!("ALTER TABLE {name} ADD COLUMN {column} {sql_type}"))?;
            }
        }
    }
    for table in schema.retired {
        // sql: identifiers only
        connection.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
    }
    // one that exists stays: opening a store does not write to it
    if views::has_scores(schema) && !has_view(connection, PREDICTION_SCORES)? {
        let select = views::prediction_scores(&DIALECT);
        // sql: identifiers only
        connection.execute_batch(&format!("CREATE VIEW IF NOT EXISTS {PREDICTION_SCORES} AS {select}"))?;
    }
    Ok(())
}

fn creation(table: &DerivedTable) -> String {
    let column = |(name, kind): &(&str, Kind)| {
        let null = if table.is_required(name) { " NOT NULL" } else { "" };
        format!("{name} {}{null}", sql_type(*kind))
    };
    let columns: Vec<String> = table.table.columns.iter().map(column).collect();
    // sql: identifiers only
    format!(
        "CREATE TABLE {} ({}, stored_at TIMESTAMP NOT NULL, PRIMARY KEY ({}))",
        table.table.name,
        columns.join(", "),
        keys(table).join(", ")
    )
}

fn keys(table: &DerivedTable) -> Vec<&'static str> {
    table.table.key_columns().iter().map(|(name, _)| *name).collect()
}

/// Whether every table has its columns.
pub(super) fn is_current(connection: &Connection, schema: Schema) -> Result<bool, Cause> {
    for table in schema.derived {
        let stored = stored_columns(connection, table.table.name)?;
        if table.table.columns.iter().any(|(column, _)| !stored.contains(*column)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes the changes of a commit.
pub(super) fn write(connection: &Connection, commit: &Commit, schema: Schema) -> Result<(), Cause> {
    for changes in derived::changes(commit, schema)? {
        let table = changes.table;
        delete(connection, table, &changes.removed())?;
        let rows = changes.upserts();
        if rows.is_empty() {
            continue;
        }
        let (name, count) = (table.table.name, table.table.columns.len());
        // sql: identifiers only
        temporary(connection, "staged_derived", &format!("SELECT * FROM {name}"))?;
        append(connection, "staged_derived", &rows, |chunk| {
            let mut columns = derived::columns(&table.table, chunk, count);
            columns.push(("stored_at", times(chunk.iter().map(|_| commit.committed_at))));
            columns
        })?;
        // sql: identifiers only
        connection.execute_batch(&format!("INSERT OR REPLACE INTO {name} BY NAME SELECT * FROM staged_derived"))?;
    }
    Ok(())
}

fn delete(connection: &Connection, table: &'static DerivedTable, removed: &[&Row]) -> Result<(), Cause> {
    if removed.is_empty() {
        return Ok(());
    }
    let (name, keys) = (table.table.name, keys(table));
    // sql: identifiers only
    temporary(connection, "staged_keys", &format!("SELECT {} FROM {name}", keys.join(", ")))?;
    append(connection, "staged_keys", removed, |chunk| derived::columns(&table.table, chunk, table.table.key))?;
    let same: Vec<String> = keys.iter().map(|key| format!("stored.{key} = staged.{key}")).collect();
    // sql: identifiers only
    connection.execute_batch(&format!(
        "DELETE FROM {name} AS stored USING staged_keys AS staged WHERE {}",
        same.join(" AND ")
    ))?;
    Ok(())
}

/// Deletes rows beyond their retention, at most `limit` of each table.
pub(super) fn prune(
    connection: &Connection,
    schema: Schema,
    (retention, now): (&Retention, TimeMs),
    limit: u64,
) -> Result<Vec<(&'static str, u64)>, Cause> {
    let mut deleted = Vec::new();
    for table in schema.derived {
        let (name, counted_from) = (table.table.name, table.time);
        // sql: identifiers only
        let sql = format!(
            "DELETE FROM {name} WHERE rowid IN (SELECT rowid FROM {name} WHERE {counted_from} < ?1 AND stored_at < ?1
                                                LIMIT ?2)"
        );
        let cutoff = time(now - retention.of(table.retention));
        let rows = connection.execute(&sql, params![cutoff, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        deleted.push((name, rows as u64));
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{DuckDbConfig, DuckDbReader, DuckDbStore};
    use super::*;
    use crate::compliance::derived::{EXAMPLE, SCHEMA, SCORE_COLUMNS, SCORES, commit, predictions, row};
    use crate::copy::{CopyProgress, copy};
    use crate::schema::Table;
    use crate::store::StoreWriter;
    use model::time::DAY_MS;
    use std::path::Path;
    use tokio::sync::watch;

    /// The example before it got its last columns.
    const EARLIER: DerivedTable =
        DerivedTable { table: Table { columns: EXAMPLE.table.columns.split_at(5).0, ..EXAMPLE.table }, ..EXAMPLE };
    const BEFORE: Schema = Schema { derived: &[EARLIER], retired: &[] };
    const REMOVED: Schema = Schema { derived: &[], retired: &["example_outputs"] };

    fn at(path: &Path, schema: Schema) -> DuckDbConfig {
        DuckDbConfig { schema, ..DuckDbConfig::at(path) }
    }

    async fn opened(path: &Path, schema: Schema) -> DuckDbStore {
        DuckDbStore::open(at(path, schema)).await.unwrap()
    }

    #[tokio::test]
    async fn a_view_scores_the_predictions_of_each_pattern() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reef.duckdb");
        let mut store = opened(&path, Schema::default()).await;
        store.commit(&predictions()).await.unwrap();
        Box::new(store).close().await.unwrap();
        let connection = Connection::open(&path).unwrap();
        let columns: Vec<String> =
            SCORE_COLUMNS.split(", ").map(|column| format!("CAST({column} AS DOUBLE)")).collect();
        let sql = format!("SELECT {} FROM prediction_scores ORDER BY days", columns.join(", "));
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| (0..13).map(|place| row.get::<_, f64>(place)).collect()).unwrap();
        let rows: Vec<Vec<f64>> = rows.collect::<Result<_, _>>().unwrap();
        assert_eq!(rows.len(), SCORES.len());
        for (row, expected) in rows.iter().zip(SCORES) {
            assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{row:?}");
        }
    }

    /// The worked example: a description is all that an operator's table needs, in its whole life.
    #[tokio::test]
    async fn a_table_is_added_used_extended_copied_aged_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reef.duckdb");
        // a store of the version before
        Box::new(opened(&path, Schema { derived: &[], retired: &[] }).await).close().await.unwrap();
        let without = DuckDbReader::open(at(&path, BEFORE)).await.err().unwrap();
        assert!(without.hint.contains("coral-pipeline migrate"), "{without}");

        // added, and used by an operator that knows five columns
        let mut store = opened(&path, BEFORE).await;
        let short = row(0, "a", 0.5)[..5].to_vec();
        store.commit(&commit(1, vec![short], Vec::new())).await.unwrap();
        Box::new(store).close().await.unwrap();

        // extended: earlier rows have none of the new values
        let mut store = opened(&path, SCHEMA).await;
        store.commit(&commit(2, vec![row(1, "a", 0.75)], Vec::new())).await.unwrap();
        let Some(table) = SCHEMA.derived("example_outputs") else { panic!("the example") };
        let rows = store.reader().rows_of(table, None, 10).await.unwrap().rows();
        assert_eq!(rows[0][..5], row(0, "a", 0.5)[..5]);
        assert_eq!(rows[1], row(1, "a", 0.75));
        assert_eq!(store.reader().totals().await.unwrap().rows["example_outputs"], 2);
        Box::new(store).close().await.unwrap();

        // copied with all the others
        let target = folder.path().join("copy.duckdb");
        let (_stop, shutdown) = watch::channel(false);
        let (from, to) = (opened(&path, SCHEMA).await, opened(&target, SCHEMA).await);
        let progress = watch::channel(CopyProgress::default()).0;
        let summary = copy(Box::new(from), Box::new(to), progress, shutdown).await.unwrap();
        let copied = summary.tables.iter().find(|copied| copied.table == "example_outputs").unwrap();
        assert_eq!((copied.target.rows, copied.source), (2, copied.target));

        // aged as correlations are
        let mut store = opened(&path, SCHEMA).await;
        let keep =
            Retention { metrics_ms: DAY_MS, events_ms: DAY_MS, correlations_ms: 10 * DAY_MS, deployments_ms: DAY_MS };
        let last = crate::compliance::rows::START + 60_000;
        assert_eq!(store.prune(&keep, last + 10 * DAY_MS).await.unwrap().rows.get("example_outputs"), Some(&1));
        assert_eq!(store.prune(&keep, last + 11 * DAY_MS).await.unwrap().rows.get("example_outputs"), Some(&1));
        Box::new(store).close().await.unwrap();

        // removed again
        let store = opened(&path, REMOVED).await;
        assert!(!store.reader().totals().await.unwrap().rows.contains_key("example_outputs"));
        Box::new(store).close().await.unwrap();
        let connection = Connection::open(&path).unwrap();
        assert!(stored_columns(&connection, "example_outputs").unwrap().is_empty());
    }
}
