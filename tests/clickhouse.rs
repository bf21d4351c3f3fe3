//! The ClickHouse store on the real engine: the harness of all stores, schema, faults.

use crate::support::clickhouse::Server;
use async_trait::async_trait;
use sinks::StoreWriter;
use sinks::clickhouse::{ClickHouseConfig, ClickHouseStore};
use sinks::compliance::derived::SCHEMA;
use sinks::compliance::{Dump, Fixture, run_all};
use std::sync::Mutex;

mod faults;
mod schema;
mod statements;
mod writers;

/// Every table and the columns that belong to the run or to the store itself.
const TABLES: &[(&str, &str)] = &[
    ("federated_metrics", ""),
    ("federated_events", ""),
    ("late_metric_copies", ""),
    ("late_event_copies", ""),
    ("env_metric_summary", ""),
    ("correlations", ", updated_at"),
    ("correlation_evidence", ""),
    ("event_correlations", ""),
    ("service_nodes", ""),
    ("service_edges", ""),
    ("colony_status", ", updated_at"),
    ("rejects", ""),
    ("rejects_omitted", ", updated_at"),
    ("source_positions", ", updated_at"),
];

/// Databases with our tables that no fixture has at the moment. To empty one takes a fraction of the time of migrations.
#[derive(Default)]
pub struct Pool(Mutex<Vec<String>>);

/// A database without rows on a server.
pub struct InDatabase<'a> {
    server: &'a Server,
    database: String,
    /// Who gets it afterwards.
    pool: Option<&'a Pool>,
}

impl<'a> InDatabase<'a> {
    /// A new one.
    pub fn new(server: &'a Server) -> InDatabase<'a> {
        InDatabase { server, database: server.database(), pool: None }
    }

    /// One that another fixture has had, if there is any.
    pub fn of_pool(server: &'a Server, pool: &'a Pool) -> InDatabase<'a> {
        let used = pool.0.lock().unwrap().pop();
        let database = used.unwrap_or_else(|| server.database());
        let fixture = InDatabase { server, database, pool: Some(pool) };
        fixture.empty();
        fixture
    }

    /// Deletes all rows but those that say which schema it is, and who writes.
    fn empty(&self) {
        let sql = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
                     AND total_rows > 0 AND name NOT IN ('schema_version', 'writers') FORMAT TSV";
        for table in self.server.query(&self.database, sql).lines() {
            self.server.query(&self.database, &format!("TRUNCATE TABLE {table} SYNC"));
        }
    }

    pub fn name(&self) -> &str {
        &self.database
    }

    pub fn config(&self) -> ClickHouseConfig {
        ClickHouseConfig::at(self.server.host(), self.server.port(), &self.database)
    }

    pub async fn opened(&self) -> ClickHouseStore {
        ClickHouseStore::open(self.config()).await.unwrap()
    }

    /// All tables without the columns of the run, as text.
    pub fn rows(&self) -> Dump {
        TABLES.iter().map(|table| self.rows_of(table)).collect()
    }

    fn rows_of(&self, (table, run): &(&str, &str)) -> (String, Vec<String>) {
        let sql = format!(
            "SELECT * EXCEPT (ingest_version, removed, stored_at{run}) FROM {table} FINAL ORDER BY ALL FORMAT TSV"
        );
        ((*table).to_owned(), self.server.query(&self.database, &sql).lines().map(str::to_owned).collect())
    }
}

impl Drop for InDatabase<'_> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool {
            pool.0.lock().unwrap().push(std::mem::take(&mut self.database));
        }
    }
}

#[async_trait]
impl Fixture for InDatabase<'_> {
    type Opened = ClickHouseStore;

    async fn open(&self) -> ClickHouseStore {
        ClickHouseStore::open(ClickHouseConfig { schema: SCHEMA, ..self.config() }).await.unwrap()
    }

    async fn close(&self, store: ClickHouseStore) {
        Box::new(store).close().await.unwrap();
    }

    async fn dump(&self, _store: &mut ClickHouseStore) -> Dump {
        let mut dump = self.rows();
        dump.extend(SCHEMA.derived.iter().map(|derived| self.rows_of(&(derived.table.name, ""))));
        dump
    }

    /// An interrupted commit leaves rows here, by design; `faults` shows that a retry completes it.
    async fn fail_next_commit(&self, _store: &mut ClickHouseStore) -> bool {
        false
    }
}

#[tokio::test]
async fn compliance() {
    let Some(server) = Server::any() else { return };
    let pool = Pool::default();
    run_all(|| InDatabase::of_pool(&server, &pool)).await;
}
