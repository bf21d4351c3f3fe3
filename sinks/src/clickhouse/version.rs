//! Reads without changes: the server's version, the database, the schema's version.

use super::config::ClickHouseConfig;
use super::fault::Fault;
use super::server::Server;
use crate::SinkError;
use serde::Deserialize;

/// A server that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its version, e.g. `26.9.2.1`.
    pub server_version: String,
    /// Version of the schema in the database; 0 when it has no tables of ours.
    pub schema_version: u32,
    /// Rights that a run needs and the user lacks.
    pub missing_rights: Vec<&'static str>,
}

#[derive(clickhouse::Row, Deserialize)]
struct Text {
    text: String,
}

#[derive(clickhouse::Row, Deserialize)]
struct Number {
    number: u32,
}

#[derive(clickhouse::Row, Deserialize)]
struct Allowed {
    result: u8,
}

const RIGHTS: [&str; 5] = ["SELECT", "INSERT", "CREATE TABLE", "CREATE VIEW", "ALTER TABLE"];

/// The step that drops a table, which takes one more right, and the table.
const DROPS: (u32, &str) = (12, "predictions");

/// Asks the server without changing anything.
///
/// # Errors
/// When it cannot be reached, refuses the user, or lacks the database.
pub async fn server_facts(config: ClickHouseConfig) -> Result<ServerFacts, SinkError> {
    let name = config.name();
    facts(config).await.map_err(|fault| fault.during("cannot use the store", &name))
}

async fn facts(config: ClickHouseConfig) -> Result<ServerFacts, Fault> {
    let server = Server::connect(config).await?;
    let answer = server.rows::<Text>(server.query("SELECT version() AS text")).await?;
    let schema_version = read(&server).await?.unwrap_or(0);
    Ok(ServerFacts {
        server_version: answer.into_iter().next().map_or(String::new(), |row| row.text),
        schema_version,
        missing_rights: missing_rights(&server, schema_version).await?,
    })
}

/// Version of the schema; `None` when the database has no tables of ours.
pub(super) async fn read(server: &Server) -> Result<Option<u32>, Fault> {
    let sql = "SELECT name AS text FROM system.tables WHERE database = currentDatabase() AND name = 'schema_version'";
    if server.rows::<Text>(server.query(sql)).await?.is_empty() {
        return Ok(None);
    }
    let sql = "SELECT max(version) AS number FROM schema_version";
    let versions = server.rows::<Number>(server.query(sql)).await?;
    Ok(Some(versions.first().map_or(0, |row| row.number)))
}

async fn missing_rights(server: &Server, schema_version: u32) -> Result<Vec<&'static str>, Fault> {
    let mut missing = Vec::new();
    let (step, dropped) = DROPS;
    let once = (schema_version < step).then_some(("DROP TABLE", dropped));
    for (right, place) in RIGHTS.map(|right| (right, "*")).into_iter().chain(once) {
        // sql: identifiers only
        let sql = format!("CHECK GRANT {right} ON {place}");
        let query = server.query(&sql);
        let allowed = server.rows::<Allowed>(query).await?;
        if allowed.first().is_some_and(|row| row.result == 0) {
            missing.push(right);
        }
    }
    Ok(missing)
}
