//! The connection to a server: its client, and the basic statements.

use super::config::ClickHouseConfig;
use super::ddl::Layout;
use super::fault::Fault;
use super::http;
use clickhouse::query::Query;
use clickhouse::{Client, Compression, RowOwned, RowRead};
use model::secret::Secret;
use serde::Deserialize;
use std::future::Future;
use std::time::Duration;

/// A database on a server. A clone uses the same connections.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) config: ClickHouseConfig,
    pub(super) layout: Layout,
}

#[derive(clickhouse::Row, Deserialize)]
struct DatabaseEngine {
    engine: String,
}

impl Server {
    /// Connects without changing anything.
    pub(super) async fn connect(config: ClickHouseConfig) -> Result<Server, Fault> {
        let mut client = http::client()
            .map_err(|error| Fault::stop("no TLS can be set up on this machine", error))?
            .with_url(config.url())
            .with_user(&config.user)
            .with_database(&config.database)
            .with_compression(Compression::Lz4);
        if config.password != Secret::default() {
            client = client.with_password(config.password.reveal());
        }
        let layout = config.cluster.clone().map_or(Layout::Single, Layout::Cluster);
        let mut server = Server { client, config, layout };
        let sql = "SELECT engine FROM system.databases WHERE name = currentDatabase()";
        let engine = server.rows::<DatabaseEngine>(server.query(sql)).await?;
        if server.layout == Layout::Single && engine.iter().any(|row| row.engine == "Replicated") {
            server.layout = Layout::ReplicatedDatabase;
        }
        if server.layout != Layout::Single {
            // a statement is done when every shard has its rows, and a replica that lags behind is not read
            for (name, value) in [
                ("distributed_foreground_insert", "1"),
                ("insert_quorum", "auto"),
                ("insert_quorum_parallel", "0"),
                ("select_sequential_consistency", "1"),
            ] {
                server.client = server.client.clone().with_setting(name, value);
            }
        }
        Ok(server)
    }

    /// The same database, with another limit on the time of a statement.
    pub(super) fn with_statement_limit(&self, statement_limit: Duration) -> Server {
        let config = ClickHouseConfig { statement_limit, ..self.config.clone() };
        Server { config, ..self.clone() }
    }

    /// Runs the statements of a migration.
    pub(super) async fn create(&self, sql: &str) -> Result<(), Fault> {
        for statement in self.layout.statements(sql) {
            self.execute(self.query(&statement)).await?;
        }
        Ok(())
    }

    /// A statement with this store's time limit. Values are bound as `{name:Type}`; none may be longer than a server
    /// takes (see [`super::parts`]).
    pub(super) fn query(&self, sql: &str) -> Query {
        let seconds = self.config.statement_limit.as_secs().max(1);
        self.client.query_raw(sql).with_setting("max_execution_time", seconds.to_string())
    }

    /// Runs a statement without a result.
    pub(super) async fn execute(&self, query: Query) -> Result<(), Fault> {
        self.limited(query.execute()).await
    }

    /// Runs a query and reads its rows.
    pub(super) async fn rows<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, Fault> {
        self.limited(query.fetch_all::<T>()).await
    }

    /// Runs a query and streams its result in a format.
    pub(super) async fn bytes(&self, query: Query, format: &str) -> Result<Vec<u8>, Fault> {
        let read = async {
            let mut cursor = query.fetch_bytes(format)?;
            Ok(cursor.collect().await?.to_vec())
        };
        self.limited(read).await
    }

    /// The same limit for a result that is read piece by piece.
    pub(super) async fn limited_scan(&self, work: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
        let limit = self.config.statement_limit;
        let ended = tokio::time::timeout(limit + limit / 4, work).await;
        ended.unwrap_or_else(|_| Err(Fault::timed_out(limit.as_secs())))
    }

    /// The server enforces the limit; slightly later so do we, in case the server no longer responds.
    async fn limited<T>(&self, work: impl Future<Output = Result<T, clickhouse::error::Error>>) -> Result<T, Fault> {
        let limit = self.config.statement_limit;
        match tokio::time::timeout(limit + limit / 4, work).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Fault::timed_out(limit.as_secs())),
        }
    }
}
