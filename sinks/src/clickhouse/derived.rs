//! Derived tables: created from their descriptions, and written.

use super::fault::Fault;
use super::insert::insert;
use super::rows::versions;
use super::server::Server;
use super::session::Session;
use crate::Commit;
use crate::derived;
use crate::schema::{DerivedTable, Kind};
use crate::views::{self, Dialect, PREDICTION_SCORES};
use serde::Deserialize;
use std::collections::BTreeSet;

fn sql_type(kind: Kind, is_required: bool) -> String {
    let name = match kind {
        Kind::Text => "String",
        // a list is empty instead
        Kind::Texts => return "Array(String)".to_owned(),
        Kind::Time => "DateTime64(3, 'UTC')",
        Kind::Real => "Float64",
        Kind::I32 => "Int32",
        Kind::I64 => "Int64",
        Kind::U32 => "UInt32",
        Kind::U64 => "UInt64",
        Kind::Truth => "Bool",
    };
    if is_required { name.to_owned() } else { format!("Nullable({name})") }
}

const DIALECT: Dialect = Dialect {
    last: "FINAL",
    days: ("toIntervalDay(", ")"),
    lead_seconds: "quantileExactLowIf(0.5)(intDiv(toUnixTimestamp64Milli(assumeNotNull(resolved_at)) \
                   - toUnixTimestamp64Milli(assumeNotNull(issued_at)), 1000), outcome = 'hit')",
};

#[derive(clickhouse::Row, Deserialize)]
struct ColumnAnswer {
    name: String,
}

async fn stored_columns(server: &Server, table: &str) -> Result<BTreeSet<String>, Fault> {
    let sql = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}";
    let rows = server.rows::<ColumnAnswer>(server.query(sql).param("table", table)).await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Creates the tables and columns that are missing, and drops the tables that are no longer used.
pub(super) async fn migrate(server: &Server) -> Result<(), Fault> {
    for table in server.config.schema.derived {
        let stored = stored_columns(server, table.table.name).await?;
        if stored.is_empty() {
            server.create(&creation(table)).await?;
        }
        for (column, kind) in table.table.columns {
            if !stored.is_empty() && !stored.contains(*column) {
                let (name, sql_type) = (table.table.name, sql_type(*kind, false));
                // sql: identifiers only
                server.create(&format!("ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column} {sql_type}")).await?;
            }
        }
    }
    for table in server.config.schema.retired {
        for statement in server.layout.drop_table(table) {
            server.execute(server.query(&statement)).await?;
        }
    }
    if views::has_scores(server.config.schema) {
        let statement = server.layout.create_view(PREDICTION_SCORES, &views::prediction_scores(&DIALECT));
        server.execute(server.query(&statement)).await?;
    }
    Ok(())
}

/// Whether every table has its columns.
pub(super) async fn is_current(server: &Server) -> Result<bool, Fault> {
    for table in server.config.schema.derived {
        let stored = stored_columns(server, table.table.name).await?;
        if table.table.columns.iter().any(|(column, _)| !stored.contains(*column)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn creation(table: &DerivedTable) -> String {
    let column = |(name, kind): &(&str, Kind)| format!("  {name} {},\n", sql_type(*kind, table.is_required(name)));
    let columns: String = table.table.columns.iter().map(column).collect();
    let keys: Vec<&str> = table.table.key_columns().iter().map(|(name, _)| *name).collect();
    // sql: identifiers only
    format!(
        "-- shard by cityHash64({keys})\nCREATE TABLE IF NOT EXISTS {name} (\n{columns}  stored_at DateTime('UTC') \
         DEFAULT now('UTC'),\n  ingest_version UInt64,\n  removed UInt8\n)\nENGINE = ReplacingMergeTree(ingest_version, \
         removed)\nORDER BY ({keys})",
        name = table.table.name,
        keys = keys.join(", ")
    )
}

/// Writes the changes of a commit; what is written again replaces itself.
pub(super) async fn write(session: &mut Session, commit: &Commit) -> Result<(), Fault> {
    let changes = derived::changes(commit, session.server.config.schema).map_err(|error| {
        Fault::stop(
            "this is a bug of an operator; please report it with this text",
            Box::new(error) as super::fault::Cause,
        )
    })?;
    for changes in changes {
        let table = &changes.table.table;
        let version = session.next_version();
        for (rows, count, is_removed) in
            [(changes.upserts(), table.columns.len(), false), (changes.removed(), table.key, true)]
        {
            insert(session, table.name, &rows, |chunk| {
                let mut columns = derived::columns(table, chunk, count);
                columns.extend(versions(chunk.iter().map(|_| (version, is_removed))));
                columns
            })
            .await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clickhouse::ddl::Layout;
    use crate::compliance::derived::EXAMPLE;

    #[test]
    fn a_table_is_created_as_migrations_create_theirs() {
        let sql = creation(&EXAMPLE);
        let single = Layout::Single.statements(&sql);
        assert_eq!(single.len(), 1);
        assert!(single[0].starts_with("CREATE TABLE IF NOT EXISTS example_outputs (\n"), "{single:?}");
        let cluster = Layout::Cluster("c".to_owned()).statements(&sql);
        assert!(
            cluster[0].contains("ReplicatedReplacingMergeTree('/")
                && cluster[1].contains("cityHash64(observed_at, colony_id, place)")
        );
    }
}
