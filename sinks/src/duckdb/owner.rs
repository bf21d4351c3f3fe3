//! Owner of a file: this reef, another one, or no store at all. Checked before any byte is changed.

use super::fault::Cause;
use duckdb::Connection;
use model::time::TimeMs;

/// Tables that every store has, from the first schema step on.
const OURS: [&str; 2] = ["federated_metrics", "federated_events"];
/// Maximum number of foreign tables that an error names.
const NAMED_MAX: usize = 3;

/// Why a file is not to be written to.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    /// It is a database of something else.
    #[error("the file holds the tables {tables}, which are no tables of a reef")]
    Foreign {
        /// Some of their names.
        tables: String,
    },
    /// It is the store of another reef.
    #[error("the store belongs to the reef {owner:?}, this is the reef {reef_id:?}")]
    OtherReef {
        /// Whose it is.
        owner: String,
        /// Who opened it.
        reef_id: String,
    },
}

/// Refuses a file with foreign tables. An empty file has no owner.
pub(super) fn check_kind(connection: &Connection) -> Result<(), Cause> {
    let sql = "SELECT table_name FROM information_schema.tables ORDER BY table_name";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let has = |name: &str| names.iter().any(|it| it == name);
    // a store whose first migration was interrupted has only the table of migrations
    let is_begun = names.is_empty() || names == ["schema_version"];
    if is_begun || (has("schema_version") && OURS.iter().all(|name| has(name))) {
        return has_steps(connection, &names);
    }
    Err(foreign(&names).into())
}

/// Others too have a table of that name.
fn has_steps(connection: &Connection, names: &[String]) -> Result<(), Cause> {
    if names.is_empty() {
        return Ok(());
    }
    match connection.prepare("SELECT version, applied_at FROM schema_version LIMIT 0") {
        Ok(_) => Ok(()),
        Err(_) => Err(foreign(names).into()),
    }
}

fn foreign(names: &[String]) -> NotOurs {
    let mut tables = names.iter().take(NAMED_MAX).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED_MAX {
        tables.push_str(&format!(" and {} more", names.len() - NAMED_MAX));
    }
    NotOurs::Foreign { tables }
}

/// Refuses the store of another reef, and records the owner of a new one.
pub(super) fn claim(connection: &Connection, reef_id: &str, now: TimeMs) -> Result<(), Cause> {
    if check(connection, reef_id)? {
        return Ok(());
    }
    connection.execute(
        "INSERT INTO store_owner VALUES (?, make_timestamp(?::BIGINT * 1000))",
        duckdb::params![reef_id, now.0],
    )?;
    Ok(())
}

/// Refuses the store of another reef; says whether it is this one's.
pub(super) fn check(connection: &Connection, reef_id: &str) -> Result<bool, Cause> {
    let mut statement = connection.prepare("SELECT reef_id FROM store_owner ORDER BY since, reef_id")?;
    let owners = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    match owners.first() {
        None => Ok(false),
        Some(_) if owners.iter().any(|owner| owner == reef_id) => Ok(true),
        Some(owner) => Err(NotOurs::OtherReef { owner: owner.clone(), reef_id: reef_id.to_owned() }.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::compliance::commit_of;
    use crate::compliance::rows::event;
    use crate::duckdb::{DuckDbConfig, DuckDbReader, DuckDbStore};
    use crate::{SinkError, StoreWriter};
    use duckdb::Connection;
    use model::rows::Rows;
    use std::path::Path;

    fn of(path: &Path, reef_id: &str) -> DuckDbConfig {
        DuckDbConfig { reef_id: Some(reef_id.to_owned()), ..DuckDbConfig::at(path) }
    }

    fn refused<T>(answer: Result<T, SinkError>) -> String {
        let error = answer.err().unwrap();
        format!("{error} {}", error.cause.as_ref().unwrap())
    }

    #[tokio::test]
    async fn a_file_of_something_else_is_refused_and_stays_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let tables = [
            ("notes", "CREATE TABLE notes (a INTEGER); INSERT INTO notes VALUES (1)"),
            ("seen", "CREATE VIEW seen AS SELECT 1 AS a"),
            ("flyway", "CREATE TABLE schema_version (installed_rank INTEGER, script VARCHAR)"),
            (
                "both",
                "CREATE TABLE schema_version (version INTEGER, applied_at TIMESTAMP); CREATE TABLE notes (a TEXT)",
            ),
        ];
        for (name, sql) in tables {
            let path = folder.path().join(format!("{name}.duckdb"));
            let connection = Connection::open(&path).unwrap();
            connection.execute_batch(sql).unwrap();
            connection.close().unwrap();
            let before = std::fs::read(&path).unwrap();
            let text = refused(DuckDbStore::open(of(&path, "reef")).await);
            assert!(text.contains("no tables of a reef") && text.contains("storage.path"), "{name}: {text}");
            assert_eq!(std::fs::read(&path).unwrap(), before, "{name}");
        }
    }

    #[tokio::test]
    async fn the_store_of_another_reef_is_refused_with_both_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reef.duckdb");
        // one that was written before owners were noted
        let mut store = DuckDbStore::open(DuckDbConfig::at(&path)).await.unwrap();
        store.commit(&commit_of(1, Rows { events: vec![event("e", 0)], ..Rows::default() })).await.unwrap();
        Box::new(store).close().await.unwrap();
        for _ in 0..2 {
            let store = DuckDbStore::open(of(&path, "mine")).await.unwrap();
            Box::new(store).close().await.unwrap();
        }
        let text = refused(DuckDbStore::open(of(&path, "yours")).await);
        assert!(text.contains("\"mine\"") && text.contains("\"yours\"") && text.contains("storage.path"), "{text}");
        let text = refused(DuckDbReader::open(of(&path, "yours")).await);
        assert!(text.contains("\"mine\""), "{text}");
        DuckDbReader::open(of(&path, "mine")).await.unwrap();
    }
}
