//! Store: opens the configured store and writes ticks to it, trying again what may pass.

use crate::config::{ReefConfig, StorageKind};
use sinks::error::FaultClass;
use sinks::transfer::Transfer;
use sinks::{Commit, SinkError, Store, duckdb};
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;

/// Pauses between tries of one commit; after the last the run stops.
const RETRY_PAUSES: [Duration; 7] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// Opens the store, creating and upgrading its tables.
pub async fn open(config: &ReefConfig) -> Result<Box<dyn Store>, SinkError> {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => Ok(Box::new(duckdb::DuckDbStore::open(duckdb_options(config, path)).await?)),
        StorageKind::ClickHouse { host, port, .. } => Err(SinkError {
            class: FaultClass::Stop,
            doing: "cannot open the store".to_owned(),
            store: format!("ClickHouse {host}:{port}"),
            hint: "this version stores in DuckDB only; set storage.type = \"duckdb\" and storage.path".to_owned(),
            cause: None,
        }),
    }
}

/// Opens a store whose tables are to be copied, bringing its schema up to date.
pub async fn open_transfer(kind: &StorageKind) -> Result<Box<dyn Transfer>, SinkError> {
    match kind {
        StorageKind::DuckDb { path } => Ok(Box::new(duckdb::DuckDbStore::open(duckdb::DuckDbConfig::at(path)).await?)),
        StorageKind::ClickHouse { host, port, .. } => Err(SinkError {
            class: FaultClass::Stop,
            doing: "cannot open the store".to_owned(),
            store: format!("ClickHouse {host}:{port}"),
            hint: "this version stores in DuckDB only".to_owned(),
            cause: None,
        }),
    }
}

/// Opens the store, and a second handle on it that reads pages while the first commits.
pub async fn open_with_reader(config: &ReefConfig) -> Result<(Box<dyn Store>, Box<dyn Store>), SinkError> {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => {
            // one process may have the file, so that the second handle comes from the first
            let store = duckdb::DuckDbStore::open(duckdb_options(config, path)).await?;
            let reader = store.reader().await?;
            Ok((Box::new(store), Box::new(reader)))
        }
        StorageKind::ClickHouse { .. } => Ok((open(config).await?, open(config).await?)),
    }
}

/// Opens the store only to read from it. It must exist and have the tables of this version.
pub async fn open_for_reading(config: &ReefConfig) -> Result<Box<dyn Store>, SinkError> {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => {
            Ok(Box::new(duckdb::DuckDbStore::open_for_reading(duckdb_options(config, path)).await?))
        }
        StorageKind::ClickHouse { .. } => open(config).await,
    }
}

fn duckdb_options(config: &ReefConfig, path: &Path) -> duckdb::DuckDbConfig {
    duckdb::DuckDbConfig { memory_limit_bytes: config.engine.memory_limit_bytes, ..duckdb::DuckDbConfig::at(path) }
}

/// The store in words, for people.
pub fn describe(config: &ReefConfig) -> String {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => format!("DuckDB {}", path.display()),
        StorageKind::ClickHouse { host, port, .. } => format!("ClickHouse {host}:{port}"),
    }
}

/// Longest pause once the run has been asked to stop.
const STOPPING_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Writes one tick; a fault that may pass is tried again with growing pauses. A commit is idempotent, so a try whose
/// answer was lost may be repeated. When the run is asked to stop, a pause ends at once, and the longer ones are not made
/// any more: the error is returned, and the next run reads again what this tick held.
pub async fn commit_with_retry(
    store: &mut dyn Store,
    commit: &Commit,
    shutdown: &watch::Receiver<bool>,
) -> Result<(), SinkError> {
    let mut shutdown = shutdown.clone();
    for pause in RETRY_PAUSES {
        match store.commit(commit).await {
            Err(error) if error.class == FaultClass::Retry && !(*shutdown.borrow() && pause > STOPPING_PAUSE_MAX) => {
                tracing::warn!(tick = commit.tick, %error, pause_ms = pause.as_millis() as u64, "commit failed, trying again");
                if *shutdown.borrow() {
                    tokio::time::sleep(pause).await;
                } else {
                    let _ = tokio::time::timeout(pause, shutdown.wait_for(|stop| *stop)).await;
                }
            }
            answer => return answer,
        }
    }
    store.commit(commit).await
}
