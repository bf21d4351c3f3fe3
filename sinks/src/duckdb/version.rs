//! The schema version of a file, read without changing it.

use super::fault::{Cause, explain};
use crate::SinkError;
use duckdb::{AccessMode, Config, Connection};
use std::path::Path;

/// The schema version of the file at `path`: `None` when there is no file, 0 when it has no tables of ours. The file is
/// opened for reading only.
///
/// # Errors
/// When the file is no DuckDB database or another process has it open for writing.
pub async fn stored_version(path: &Path) -> Result<Option<u32>, SinkError> {
    if !path.exists() {
        return Ok(None);
    }
    let name = format!("DuckDB {}", path.display());
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read(&path)).await;
    let result = read.unwrap_or_else(|_| Err("the reading thread ended".into()));
    result.map(Some).map_err(|cause| explain(&name, "cannot read the schema version", cause))
}

fn read(path: &Path) -> Result<u32, Cause> {
    let settings = Config::default().access_mode(AccessMode::ReadOnly)?;
    let connection = Connection::open_with_flags(path, settings)?;
    let tables: u32 = connection.query_row(
        "SELECT count(*)::UINTEGER FROM duckdb_tables() WHERE table_name = 'schema_version'",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 {
        return Ok(0);
    }
    Ok(connection.query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))?)
}
