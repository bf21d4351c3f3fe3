//! The statements that create and alter tables: unchanged for one server, with ON CLUSTER and Distributed tables for a
//! cluster.

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

/// One statement of a migration: a new table, a new column, or a table that goes.
struct Statement<'a> {
    table: &'a str,
    /// The text after the table's name, without comments.
    body: String,
    kind: StatementKind<'a>,
}

#[derive(Clone, Copy)]
enum StatementKind<'a> {
    /// Rows are spread by this.
    Create(&'a str),
    Alter,
    Drop,
}

const CREATE: &str = "CREATE TABLE IF NOT EXISTS ";
const ALTER: &str = "ALTER TABLE ";
const DROP: &str = "DROP TABLE IF EXISTS ";
const SHARD: &str = "-- shard by ";
const ENGINE: &str = "ENGINE = ";

impl Layout {
    /// The statements of a migration's SQL for this layout, in order.
    pub(super) fn statements(&self, sql: &str) -> Vec<String> {
        parts(sql).iter().flat_map(|part| self.spread(part)).collect()
    }

    fn spread(&self, statement: &Statement<'_>) -> Vec<String> {
        match statement.kind {
            StatementKind::Create(shard_by) => self.create(statement.table, &statement.body, shard_by),
            StatementKind::Alter => self.extend(statement.table, &statement.body),
            StatementKind::Drop => self.drop_table(statement.table),
        }
    }

    /// A Distributed table has its own columns, and is altered after its local table.
    fn extend(&self, name: &str, body: &str) -> Vec<String> {
        match self {
            // sql: identifiers only
            Layout::Single | Layout::ReplicatedDatabase => vec![format!("ALTER TABLE {name} {body}")],
            Layout::Cluster(cluster) => {
                let cluster = quoted(cluster);
                // sql: identifiers only
                let on = |table: &str| format!("ALTER TABLE {table} ON CLUSTER {cluster} {body}");
                vec![on(&self.stored(name)), on(name)]
            }
        }
    }

    fn create(&self, name: &str, body: &str, shard_by: &str) -> Vec<String> {
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

    /// The statement that creates a view. It replaces none: that takes the right to drop it.
    pub(super) fn create_view(&self, name: &str, select: &str) -> String {
        let everywhere = match self {
            Layout::Cluster(cluster) => format!(" ON CLUSTER {}", quoted(cluster)),
            Layout::Single | Layout::ReplicatedDatabase => String::new(),
        };
        // sql: identifiers only
        format!("CREATE VIEW IF NOT EXISTS {name}{everywhere} AS {select}")
    }

    /// The statements that drop a table.
    pub(super) fn drop_table(&self, table: &str) -> Vec<String> {
        match self {
            Layout::Cluster(cluster) => {
                let cluster = quoted(cluster);
                let (front, local) = (table, self.stored(table));
                // sql: identifiers only
                let drop = |table: &str| format!("DROP TABLE IF EXISTS {table} ON CLUSTER {cluster}");
                vec![drop(front), drop(&local)]
            }
            // sql: identifiers only
            Layout::Single | Layout::ReplicatedDatabase => vec![format!("DROP TABLE IF EXISTS {table}")],
        }
    }

    /// The table that holds the rows of `name` on a server.
    pub(super) fn stored(&self, name: &str) -> String {
        match self {
            Layout::Cluster(_) => format!("{name}_local"),
            _ => name.to_owned(),
        }
    }
}

fn parts(sql: &str) -> Vec<Statement<'_>> {
    let mut shard_by = "rand()";
    let mut found: Vec<Statement<'_>> = Vec::new();
    for line in sql.lines() {
        if let Some(key) = line.strip_prefix(SHARD) {
            shard_by = key.trim();
        }
        let code = line.split("--").next().unwrap_or_default().trim_end();
        let kinds =
            [(CREATE, StatementKind::Create(shard_by)), (ALTER, StatementKind::Alter), (DROP, StatementKind::Drop)];
        let begun = kinds.into_iter().find_map(|(begin, kind)| Some((code.strip_prefix(begin)?, kind)));
        if let Some((rest, kind)) = begun {
            let end = rest.find([' ', ';']).unwrap_or(rest.len());
            found.push(Statement { table: &rest[..end], body: rest[end..].trim_start().to_owned(), kind });
        } else if let Some(statement) = found.last_mut().filter(|_| !code.is_empty()) {
            statement.body.push('\n');
            statement.body.push_str(code);
        }
    }
    for statement in &mut found {
        statement.body.truncate(statement.body.trim_end_matches([';', '\n', ' ']).len());
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
    fn every_migration_becomes_as_many_statements_as_it_makes_and_drops_tables_and_columns() {
        for step in migrations::CLICKHOUSE {
            let tables = step.sql.matches("CREATE TABLE IF NOT EXISTS ").count();
            let others = ["ADD COLUMN IF NOT EXISTS ", "MODIFY COLUMN ", "DROP TABLE IF EXISTS "];
            let others: usize = others.into_iter().map(|what| step.sql.matches(what).count()).sum();
            assert_eq!(Layout::Single.statements(step.sql).len(), tables + others, "{}", step.name);
            let cluster = Layout::Cluster("c".to_owned()).statements(step.sql);
            assert_eq!(cluster.len(), 2 * (tables + others), "{}", step.name);
            let engine = |sql: &String| sql.contains("ENGINE = ReplicatedReplacingMergeTree('/");
            assert_eq!(cluster.iter().filter(|sql| engine(sql)).count(), tables, "{}", step.name);
        }
    }

    #[test]
    fn a_column_goes_to_the_rows_and_to_their_front() {
        let sql = "-- Why.\nALTER TABLE t ADD COLUMN IF NOT EXISTS v UInt64\n  DEFAULT 0;  -- what\n";
        let body = "ADD COLUMN IF NOT EXISTS v UInt64\n  DEFAULT 0";
        assert_eq!(Layout::Single.statements(sql), [format!("ALTER TABLE t {body}")]);
        let cluster = Layout::Cluster("c".to_owned()).statements(sql);
        let on = |table: &str| format!("ALTER TABLE {table} ON CLUSTER 'c' {body}");
        assert_eq!(cluster, [on("t_local"), on("t")]);
    }

    #[test]
    fn a_table_goes_with_its_front() {
        let sql = "-- Why.\nDROP TABLE IF EXISTS t;  -- what\n";
        assert_eq!(Layout::Single.statements(sql), ["DROP TABLE IF EXISTS t"]);
        let cluster = Layout::Cluster("c".to_owned()).statements(sql);
        assert_eq!(cluster, ["t", "t_local"].map(|table| format!("DROP TABLE IF EXISTS {table} ON CLUSTER 'c'")));
    }

    #[test]
    fn time_limits_go_to_the_tables_with_the_rows() {
        let cluster = Layout::Cluster("c".to_owned());
        assert_eq!(cluster.modify_ttl("t", "x"), "ALTER TABLE t_local ON CLUSTER 'c' MODIFY TTL x");
        assert_eq!(Layout::Single.modify_ttl("t", "x"), "ALTER TABLE t MODIFY TTL x");
    }
}
