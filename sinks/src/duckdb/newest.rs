//! The newest rows of a table, and how many it has, both bounded.

use super::fault::Cause;
use super::select::select;
use super::transfer::key_values;
use crate::schema::Table;
use crate::transfer::{Cursor, Page};
use duckdb::Connection;
use duckdb::types::Value;

/// The rows before a key, the greatest key first.
pub(super) fn newest(
    connection: &Connection,
    table: &'static Table,
    before: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Cause> {
    let names: Vec<&str> = table.key_columns().iter().map(|(name, _)| *name).collect();
    let mut values = before.map(|cursor| key_values(table, cursor)).transpose()?.unwrap_or_default();
    let mut earlier = "TRUE".to_owned();
    if let Some(first) = values.first().cloned() {
        // the first column lets DuckDB skip later rows, the row comparison is exact
        let marks = vec!["?"; values.len()].join(", ");
        earlier = format!("{} <= ? AND ({}) < ({marks})", names[0], names.join(", "));
        values.insert(0, first);
    }
    // by the stored column: the page's own is a function of it, for which DuckDB would read all rows
    let order: Vec<String> = names.iter().map(|name| format!("{}.{name} DESC", table.name)).collect();
    values.push(Value::BigInt(i64::try_from(limit).unwrap_or(i64::MAX)));
    select(connection, table, &format!("WHERE {earlier} ORDER BY {} LIMIT ?", order.join(", ")), values)
}

/// How many rows there are, up to `most`.
pub(super) fn count(connection: &Connection, table: &Table, most: u64) -> Result<u64, Cause> {
    // sql: identifiers only
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT ?)", table.name);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = connection.query_row(&sql, [most], |row| row.get::<_, i64>(0))?;
    Ok(u64::try_from(rows).unwrap_or(0))
}
