//! The schema version of a file, read without changing it.

use super::fault::{Cause, explain};
use super::unfinished::is_unfinished;
use crate::SinkError;
use duckdb::{AccessMode, Config, Connection};
use std::path::Path;

/// The schema version of the file at `path`: `None` when there is no file or nothing in it, 0 when it has no tables of
/// ours. The file is opened for reading only.
///
/// # Errors
/// When the file is no DuckDB database or another process has it open for writing.
pub async fn stored_version(path: &Path) -> Result<Option<u32>, SinkError> {
    if !path.exists() || is_unfinished(path) {
        return Ok(None);
    }
    let name = format!("DuckDB {}", path.display());
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read(&path)).await;
    let result = read.unwrap_or_else(|_| Err("the reading thread ended".into()));
    result.map_err(|cause| explain(&name, "cannot read the schema version", cause))
}

fn read(path: &Path) -> Result<Option<u32>, Cause> {
    let settings = Config::default().access_mode(AccessMode::ReadOnly)?;
    let connection = Connection::open_with_flags(path, settings)?;
    let (tables, has_versions): (i64, bool) = connection.query_row(
        "SELECT count(*), coalesce(bool_or(table_name = 'schema_version'), false) FROM duckdb_tables()",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if !has_versions {
        return Ok((tables > 0).then_some(0));
    }
    Ok(Some(connection.query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))?))
}
