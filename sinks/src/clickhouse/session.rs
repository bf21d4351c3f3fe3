//! The connection: opening, migrating, time limits, and the statements that everything else is made of.

use super::config::ClickHouseConfig;
use super::ddl::Layout;
use super::fault::Fault;
use super::lease::Lease;
use super::memory::Memory;
use super::{http, owner, retention, version};
use clickhouse::query::Query;
use clickhouse::{Client, Compression, RowOwned, RowRead};
use migrations::{CLICKHOUSE, CLICKHOUSE_SCHEMA_VERSION_TABLE, CLICKHOUSE_WRITERS_TABLE, Migration, pending};
use model::time::TimeMs;
use serde::Deserialize;
use std::future::Future;
use std::time::Duration;

/// A server, and what is remembered of the store.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) config: ClickHouseConfig,
    pub(super) layout: Layout,
    pub(super) memory: Memory,
    /// The right to write; none of a session that only reads.
    pub(super) lease: Option<Lease>,
    pub(super) opened_at: TimeMs,
    /// The greatest `ingest_version` given out.
    version: u64,
}

#[derive(clickhouse::Row, Deserialize)]
struct DatabaseEngine {
    engine: String,
}

impl Session {
    /// Connects without changing anything.
    pub(super) async fn connect(config: ClickHouseConfig) -> Result<Session, Fault> {
        let mut client = http::client()
            .map_err(|error| Fault::stop("no TLS can be set up on this machine", error))?
            .with_url(config.url())
            .with_user(&config.user)
            .with_database(&config.database)
            .with_compression(Compression::Lz4);
        if !config.password.0.is_empty() {
            client = client.with_password(&config.password.0);
        }
        let layout = config.cluster.clone().map_or(Layout::Single, Layout::Cluster);
        let memory = Memory::default();
        let opened_at = config.clock.now();
        let mut session = Session { client, config, layout, memory, lease: None, opened_at, version: 0 };
        let sql = "SELECT engine FROM system.databases WHERE name = currentDatabase()";
        let engine = session.rows::<DatabaseEngine>(session.query(sql)).await?;
        if session.layout == Layout::Single && engine.iter().any(|row| row.engine == "Replicated") {
            session.layout = Layout::ReplicatedDatabase;
        }
        if session.layout != Layout::Single {
            // a statement is done when every shard has its rows, and a replica that lags behind is not read
            for (name, value) in [
                ("distributed_foreground_insert", "1"),
                ("insert_quorum", "auto"),
                ("insert_quorum_parallel", "0"),
                ("select_sequential_consistency", "1"),
            ] {
                session.client = session.client.clone().with_setting(name, value);
            }
        }
        Ok(session)
    }

    /// Connects, takes the lease, brings the schema up to date, and sets the time limits.
    pub(super) async fn open(config: ClickHouseConfig) -> Result<Session, Fault> {
        let mut session = Session::connect(config).await?;
        // a store of a newer program is left alone, and one of another reef is not kept from it
        if session.missing_steps().await?.is_empty() {
            owner::check(&session).await?;
        }
        session.create(CLICKHOUSE_WRITERS_TABLE).await?;
        session.lease = Some(Lease::take(&session).await?);
        session.migrate().await?;
        if let Some(retention) = session.config.retention {
            retention::apply(&session, retention).await?;
        }
        session.memory = Memory::load(&session).await?;
        session.version = session.memory.newest_version;
        owner::claim(&mut session).await?;
        Ok(session)
    }

    /// Connects and checks the schema; migrates nothing and leaves time limits as they are.
    pub(super) async fn open_for_reading(config: ClickHouseConfig) -> Result<Session, Fault> {
        let mut session = Session::connect(config).await?;
        if let Some(first) = session.missing_steps().await?.first() {
            let cause = format!("it has tables of version {}", first.version - 1);
            return Err(Fault::stop("bring it to this version first: coral-pipeline migrate", cause));
        }
        owner::check(&session).await?;
        session.memory = Memory::load(&session).await?;
        session.version = session.memory.newest_version;
        Ok(session)
    }

    /// The same server for statements of another kind, without what belongs to one session.
    pub(super) fn beside(&self, statement_limit: Duration) -> Session {
        Session {
            client: self.client.clone(),
            config: ClickHouseConfig { statement_limit, ..self.config.clone() },
            layout: self.layout.clone(),
            memory: Memory::default(),
            lease: None,
            opened_at: self.opened_at,
            version: 0,
        }
    }

    /// Lets the next process write at once.
    pub(super) async fn close(self) {
        if let Some(lease) = self.lease {
            lease.give_back().await;
        }
    }

    async fn missing_steps(&self) -> Result<&'static [Migration], Fault> {
        let stored = version::read(self).await?.unwrap_or(0);
        pending(CLICKHOUSE, stored).map_err(|error| Fault::stop("a newer program wrote the database", Box::new(error)))
    }

    /// Applies the missing steps. Each statement can be repeated; the row in `schema_version` comes last.
    async fn migrate(&self) -> Result<(), Fault> {
        let steps = self.missing_steps().await?;
        if steps.is_empty() {
            return Ok(());
        }
        self.create(CLICKHOUSE_SCHEMA_VERSION_TABLE).await?;
        for step in steps {
            self.apply(step).await?;
        }
        Ok(())
    }

    async fn apply(&self, step: &Migration) -> Result<(), Fault> {
        self.create(step.sql).await?;
        let sql = "INSERT INTO schema_version SELECT {version:UInt32}, fromUnixTimestamp64Milli({now:Int64}, 'UTC')";
        self.execute(self.query(sql).param("version", step.version).param("now", self.config.clock.now().0)).await?;
        tracing::debug!(version = step.version, name = step.name, "schema step applied");
        Ok(())
    }

    async fn create(&self, sql: &str) -> Result<(), Fault> {
        for statement in self.layout.statements(sql) {
            self.execute(self.query(&statement)).await?;
        }
        Ok(())
    }

    /// A statement with this store's time limit. Values are bound as `{name:Type}`.
    pub(super) fn query(&self, sql: &str) -> Query {
        let seconds = self.config.statement_limit.as_secs().max(1);
        self.client.query_raw(sql).with_setting("max_execution_time", seconds.to_string())
    }

    /// Runs a statement that answers nothing.
    pub(super) async fn execute(&self, query: Query) -> Result<(), Fault> {
        self.limited(query.execute()).await
    }

    /// Runs a query and reads its rows.
    pub(super) async fn rows<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, Fault> {
        self.limited(query.fetch_all::<T>()).await
    }

    /// Runs a query and reads its answer in a format, as it comes.
    pub(super) async fn bytes(&self, query: Query, format: &str) -> Result<Vec<u8>, Fault> {
        let read = async {
            let mut cursor = query.fetch_bytes(format)?;
            Ok(cursor.collect().await?.to_vec())
        };
        self.limited(read).await
    }

    /// The server keeps the limit itself; a little later so do we, should the server no longer answer.
    async fn limited<T>(&self, work: impl Future<Output = Result<T, clickhouse::error::Error>>) -> Result<T, Fault> {
        let limit = self.config.statement_limit;
        match tokio::time::timeout(limit + limit / 4, work).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Fault::timed_out(limit.as_secs())),
        }
    }

    /// A version above all before it: of two copies of a row the one that was written later stands. Taken from the
    /// clock, so that a delayed insert of an ended process stays below those of its successor.
    pub(super) fn next_version(&mut self) -> u64 {
        let now = self.config.clock.now().0.unsigned_abs().saturating_mul(1_000);
        self.version = now.max(self.version + 1);
        self.version
    }
}
