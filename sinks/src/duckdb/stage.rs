//! Moves columns into tables through DuckDB's appender.

use super::fault::Cause;
use crate::columns::Columns;
use arrow::record_batch::RecordBatch;
use duckdb::Connection;

/// Rows per record batch: DuckDB's vector size, and small enough that the longest admissible texts fit 32-bit offsets.
const ROWS_PER_BATCH: usize = 2_048;

/// Appends `rows` to `table`, the columns by name.
pub(super) fn append<T>(
    connection: &Connection,
    table: &str,
    rows: &[T],
    columns: impl Fn(&[T]) -> Columns,
) -> Result<(), Cause> {
    if rows.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = columns(&rows[..0]).into_iter().map(|(name, _)| name).collect();
    let mut appender = connection.appender_with_columns(table, &names)?;
    for chunk in rows.chunks(ROWS_PER_BATCH) {
        appender.append_record_batch(RecordBatch::try_from_iter(columns(chunk))?)?;
    }
    appender.flush()?;
    Ok(())
}

/// Appends a whole record batch to `table`, the columns by name.
pub(super) fn append_batch(connection: &Connection, table: &str, rows: &RecordBatch) -> Result<(), Cause> {
    let schema = rows.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut appender = connection.appender_with_columns(table, &names)?;
    for first in (0..rows.num_rows()).step_by(ROWS_PER_BATCH) {
        appender.append_record_batch(rows.slice(first, ROWS_PER_BATCH.min(rows.num_rows() - first)))?;
    }
    appender.flush()?;
    Ok(())
}

/// Creates the temporary table `name`, empty, with the columns that `select` names; it lasts until the next commit.
pub(super) fn temporary(connection: &Connection, name: &str, select: &str) -> Result<(), Cause> {
    // sql: identifiers only
    Ok(connection.execute_batch(&format!("CREATE OR REPLACE TEMP TABLE {name} AS {select} LIMIT 0"))?)
}
