//! The schema version of a file, read without changing it.

use super::fault::{Cause, explain};
use super::owner;
use super::unfinished::is_unfinished;
use crate::SinkError;
use duckdb::{AccessMode, Config, Connection};
use std::path::Path;

/// A file that is only to be read has tables of an earlier version. Opening it for writing upgrades them.
#[derive(Debug, thiserror::Error)]
#[error("it has tables of an older version ({stored})")]
pub struct EarlierVersion {
    /// Its schema version.
    pub stored: u32,
}

/// The schema version of the file at `path`: `None` when there is no file or nothing in it. The file is opened for reading
/// only.
///
/// # Errors
/// If the file is not a DuckDB database, not a store, belongs to another reef than `reef_id`, or is open for writing in
/// another process.
pub async fn stored_version(path: &Path, reef_id: Option<&str>) -> Result<Option<u32>, SinkError> {
    if !path.exists() || is_unfinished(path) {
        return Ok(None);
    }
    let name = format!("DuckDB {}", path.display());
    let (path, reef_id) = (path.to_owned(), reef_id.map(str::to_owned));
    let read = tokio::task::spawn_blocking(move || read(&path, reef_id.as_deref())).await;
    let result = read.unwrap_or_else(|_| Err("the reading thread ended".into()));
    result.map_err(|cause| explain(&name, "cannot read the schema version", cause))
}

fn read(path: &Path, reef_id: Option<&str>) -> Result<Option<u32>, Cause> {
    let settings = Config::default().access_mode(AccessMode::ReadOnly)?;
    let connection = Connection::open_with_flags(path, settings)?;
    owner::check_kind(&connection)?;
    let has = |table: &str| -> Result<bool, Cause> {
        let sql = "SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = ?";
        Ok(connection.query_row(sql, [table], |row| row.get(0))?)
    };
    if !has("schema_version")? {
        return Ok(None);
    }
    if let Some(reef_id) = reef_id
        && has("store_owner")?
    {
        owner::check(&connection, reef_id)?;
    }
    Ok(Some(connection.query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))?))
}
