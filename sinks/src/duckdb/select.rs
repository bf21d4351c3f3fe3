//! Rows of a table as a page, whatever the condition.

use super::fault::Cause;
use crate::schema::{Kind, Table};
use crate::transfer::Page;
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use duckdb::Connection;
use duckdb::types::Value;

/// Rows of a table, of all its columns; `which` is what follows its name in the statement.
pub(super) fn select(
    connection: &Connection,
    table: &'static Table,
    which: &str,
    values: Vec<Value>,
) -> Result<Page, Cause> {
    let column = |(name, kind): &(&str, Kind)| match kind {
        Kind::Time => format!("epoch_ms({name}) AS {name}"),
        _ => (*name).to_owned(),
    };
    let selection: Vec<String> = table.columns.iter().map(column).collect();
    // sql: identifiers only
    let sql = format!("SELECT {} FROM {} {which}", selection.join(", "), table.name);
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_arrow(duckdb::params_from_iter(values))?;
    let schema = found.get_schema();
    let batches: Vec<RecordBatch> = found.collect();
    Ok(Page::new(table, concat_batches(&schema, &batches)?)?)
}
