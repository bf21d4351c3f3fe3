//! The statements that create tables: as they stand for one server, with ON CLUSTER and Distributed fronts for a cluster.

/// Where tables live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One server.
    Single,
    /// A database with the Replicated engine: it spreads statements itself, tables have replicated engines.
    ReplicatedDatabase,
    /// A cluster by name.
    Cluster(String),
}

/// One table of a migration.
struct Table<'a> {
    name: &'a str,
    /// From the opening parenthesis of its columns to the end, comments left out.
    body: String,
    /// What rows are spread by.
    shard_by: &'a str,
}

const CREATE: &str = "CREATE TABLE IF NOT EXISTS ";
const SHARD: &str = "-- shard by ";
const ENGINE: &str = "ENGINE = ";

impl Layout {
    /// The statements of a migration's SQL for this layout, in order.
    pub(super) fn statements(&self, sql: &str) -> Vec<String> {
        tables(sql).iter().flat_map(|table| self.create(table)).collect()
    }

    fn create(&self, table: &Table<'_>) -> Vec<String> {
        let Table { name, body, shard_by } = table;
        let replicated = body.replacen(ENGINE, "ENGINE = Replicated", 1);
        match self {
            // sql: identifiers only
            Layout::Single => vec![format!("CREATE TABLE IF NOT EXISTS {name} {body}")],
            // sql: identifiers only
            Layout::ReplicatedDatabase => vec![format!("CREATE TABLE IF NOT EXISTS {name} {replicated}")],
            Layout::Cluster(cluster) => {
                let cluster = quoted(cluster);
                let place = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'";
                let parameters = replicated.find("MergeTree").map_or(0, |at| at + "MergeTree".len());
                let body = match replicated[parameters..].strip_prefix('(') {
                    Some(rest) => format!("{}({place}, {rest}", &replicated[..parameters]),
                    None => format!("{}({place}){}", &replicated[..parameters], &replicated[parameters..]),
                };
                let local = self.stored(name);
                vec![
                    // sql: identifiers only
                    format!("CREATE TABLE IF NOT EXISTS {local} ON CLUSTER {cluster} {body}"),
                    // sql: identifiers only
                    format!(
                        "CREATE TABLE IF NOT EXISTS {name} ON CLUSTER {cluster} AS {local} \
                         ENGINE = Distributed({cluster}, currentDatabase(), {local}, {shard_by})"
                    ),
                ]
            }
        }
    }

    /// The statement that sets the time limit of a table.
    pub(super) fn modify_ttl(&self, table: &str, limit: &str) -> String {
        let stored = self.stored(table);
        let everywhere = match self {
            Layout::Cluster(cluster) => format!(" ON CLUSTER {}", quoted(cluster)),
            Layout::Single | Layout::ReplicatedDatabase => String::new(),
        };
        // sql: identifiers only
        format!("ALTER TABLE {stored}{everywhere} MODIFY TTL {limit}")
    }

    /// The table that holds the rows of `name` on a server.
    pub(super) fn stored(&self, name: &str) -> String {
        match self {
            Layout::Cluster(_) => format!("{name}_local"),
            _ => name.to_owned(),
        }
    }
}

fn tables(sql: &str) -> Vec<Table<'_>> {
    let mut shard_by = "rand()";
    let mut found: Vec<Table<'_>> = Vec::new();
    for line in sql.lines() {
        if let Some(key) = line.strip_prefix(SHARD) {
            shard_by = key.trim();
        }
        let code = line.split("--").next().unwrap_or_default().trim_end();
        if let Some(rest) = code.strip_prefix(CREATE) {
            let end = rest.find(' ').unwrap_or(rest.len());
            found.push(Table { name: &rest[..end], body: rest[end..].trim_start().to_owned(), shard_by });
        } else if let Some(table) = found.last_mut().filter(|_| !code.is_empty()) {
            table.body.push('\n');
            table.body.push_str(code);
        }
    }
    for table in &mut found {
        table.body.truncate(table.body.trim_end_matches([';', '\n', ' ']).len());
    }
    found
}

/// A cluster's name comes from the configuration.
fn quoted(name: &str) -> String {
    format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "-- A table; with a comment.\n-- shard by cityHash64(colony_id)\nCREATE TABLE IF NOT EXISTS t (\n  \
                       a String,  -- one; two\n  v UInt64\n)\nENGINE = ReplacingMergeTree(v, removed)\nORDER BY a\n\
                       SETTINGS index_granularity = 1024;  -- why\n\n-- shard by a\nCREATE TABLE IF NOT EXISTS u (a \
                       String)\nENGINE = MergeTree ORDER BY a\n";

    #[test]
    fn one_server_gets_the_statements_without_comments() {
        let statements = Layout::Single.statements(SQL);
        assert_eq!(
            statements[0],
            "CREATE TABLE IF NOT EXISTS t (\n  a String,\n  v UInt64\n)\nENGINE = ReplacingMergeTree(v, removed)\nORDER \
             BY a\nSETTINGS index_granularity = 1024"
        );
        assert_eq!(statements[1], "CREATE TABLE IF NOT EXISTS u (a String)\nENGINE = MergeTree ORDER BY a");
    }

    #[test]
    fn a_replicated_database_gets_replicated_engines() {
        let statements = Layout::ReplicatedDatabase.statements(SQL);
        assert!(statements[0].contains("ENGINE = ReplicatedReplacingMergeTree(v, removed)"), "{}", statements[0]);
        assert_eq!(statements.len(), 2);
    }

    #[test]
    fn a_cluster_gets_replicated_tables_and_distributed_fronts() {
        let statements = Layout::Cluster("it's".to_owned()).statements(SQL);
        assert_eq!(statements.len(), 4);
        assert!(statements[0].starts_with("CREATE TABLE IF NOT EXISTS t_local ON CLUSTER 'it\\'s' (\n  a String"));
        let engine =
            "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', v, removed)";
        assert!(statements[0].contains(engine), "{}", statements[0]);
        assert_eq!(
            statements[1],
            "CREATE TABLE IF NOT EXISTS t ON CLUSTER 'it\\'s' AS t_local ENGINE = Distributed('it\\'s', \
             currentDatabase(), t_local, cityHash64(colony_id))"
        );
        let engine = "ENGINE = ReplicatedMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}') ORDER BY a";
        assert!(statements[2].contains(engine), "{}", statements[2]);
    }

    #[test]
    fn every_migration_becomes_as_many_statements_as_it_has_tables() {
        for step in migrations::CLICKHOUSE {
            let tables = step.sql.matches("CREATE TABLE IF NOT EXISTS ").count();
            assert_eq!(Layout::Single.statements(step.sql).len(), tables, "{}", step.name);
            let cluster = Layout::Cluster("c".to_owned()).statements(step.sql);
            assert_eq!(cluster.len(), 2 * tables, "{}", step.name);
            assert!(cluster.iter().step_by(2).all(|sql| sql.contains("ENGINE = ReplicatedReplacingMergeTree('/")));
        }
    }

    #[test]
    fn time_limits_go_to_the_tables_with_the_rows() {
        let cluster = Layout::Cluster("c".to_owned());
        assert_eq!(cluster.modify_ttl("t", "x"), "ALTER TABLE t_local ON CLUSTER 'c' MODIFY TTL x");
        assert_eq!(Layout::Single.modify_ttl("t", "x"), "ALTER TABLE t MODIFY TTL x");
    }
}
