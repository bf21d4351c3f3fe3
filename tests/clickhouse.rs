//! The ClickHouse store on the real engine: the harness of all stores, schema, faults.

use crate::support::clickhouse::Server;
use async_trait::async_trait;
use sinks::StoreWriter;
use sinks::clickhouse::{ClickHouseConfig, ClickHouseStore};
use sinks::compliance::derived::SCHEMA;
use sinks::compliance::{Dump, Fixture, run_all};

mod faults;
mod schema;
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
    ("predictions", ""),
    ("rejects", ""),
    ("rejects_omitted", ", updated_at"),
    ("source_positions", ", updated_at"),
];

/// A fresh database on a server.
pub struct InDatabase<'a> {
    server: &'a Server,
    database: String,
}

impl<'a> InDatabase<'a> {
    pub fn new(server: &'a Server) -> InDatabase<'a> {
        InDatabase { server, database: server.database() }
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
    run_all(|| InDatabase::new(&server)).await;
}
