//! Store: opens the configured store and writes ticks to it, trying again what may pass.

use crate::config::support::NATIVE_PROTOCOL_HINT;
use crate::config::{ClickHouseProtocol, ReefConfig, Secret, SecretError, SecretSource, StorageKind};
use crate::memory::Memory;
use crate::retention;
use model::event::Event;
use sinks::error::FaultClass;
use sinks::transfer::Transfer;
use sinks::{Commit, Outcome, SinkError, Store, clickhouse, duckdb};
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
        StorageKind::ClickHouse { .. } => {
            Ok(Box::new(clickhouse::ClickHouseStore::open(clickhouse_config(config)?).await?))
        }
    }
}

/// How the ClickHouse store of this configuration is reached.
///
/// # Errors
/// When the store is none, when it is to be reached by a protocol that this program does not speak, or when the variable
/// with the password is not set.
pub fn clickhouse_config(config: &ReefConfig) -> Result<clickhouse::ClickHouseConfig, SinkError> {
    let seconds = |ms: i64| ms.unsigned_abs().div_ceil(1_000);
    let keep = retention::of(config);
    Ok(clickhouse::ClickHouseConfig {
        reef_id: Some(config.reef_id.clone()),
        retention: Some(clickhouse::Retention {
            metrics_seconds: seconds(keep.metrics_ms),
            events_seconds: seconds(keep.events_ms),
            correlations_seconds: seconds(keep.correlations_ms),
            deployments_seconds: seconds(keep.deployments_ms),
        }),
        ..server_config(&config.storage.kind)?
    })
}

/// The same of a store alone: time limits of its tables stay as they are.
fn server_config(kind: &StorageKind) -> Result<clickhouse::ClickHouseConfig, SinkError> {
    let refused = |hint: String, cause: Option<SecretError>| SinkError {
        class: FaultClass::Stop,
        doing: "cannot open the store".to_owned(),
        store: describe_kind(kind),
        hint,
        cause: cause.map(Into::into),
    };
    let StorageKind::ClickHouse { host, port, protocol, database, user, password_env, cluster } = kind else {
        return Err(refused("storage.type is not \"clickhouse\"".to_owned(), None));
    };
    if *protocol == ClickHouseProtocol::Native {
        return Err(refused(NATIVE_PROTOCOL_HINT.to_owned(), None));
    }
    let password = match password_env {
        Some(name) => SecretSource::Env(name.clone()).resolve().map_err(|error| {
            refused(
                format!("set {name} to the password of user {user}, or leave storage.connection.password_env out"),
                Some(error),
            )
        })?,
        None => Secret::new(""),
    };
    Ok(clickhouse::ClickHouseConfig {
        user: user.clone(),
        password: clickhouse::Password(password.reveal().to_owned()),
        cluster: cluster.clone(),
        retention: None,
        ..clickhouse::ClickHouseConfig::at(host, *port, database)
    })
}

/// Version of the schema that is stored; `None` when there is no store yet. Changes nothing.
pub async fn stored_version(config: &ReefConfig) -> Result<Option<u32>, SinkError> {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => duckdb::stored_version(path, Some(&config.reef_id)).await,
        StorageKind::ClickHouse { .. } => {
            Ok(Some(clickhouse::server_facts(clickhouse_config(config)?).await?.schema_version))
        }
    }
}

/// Opens a store whose tables are to be copied, bringing its schema up to date.
pub async fn open_transfer(kind: &StorageKind) -> Result<Box<dyn Transfer>, SinkError> {
    match kind {
        StorageKind::DuckDb { path } => Ok(Box::new(duckdb::DuckDbStore::open(duckdb::DuckDbConfig::at(path)).await?)),
        StorageKind::ClickHouse { .. } => Ok(Box::new(clickhouse::ClickHouseStore::open(server_config(kind)?).await?)),
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
        StorageKind::ClickHouse { .. } => Ok((open(config).await?, open_for_reading(config).await?)),
    }
}

/// Opens the store only to read from it. It must exist and have the tables of this version.
pub async fn open_for_reading(config: &ReefConfig) -> Result<Box<dyn Store>, SinkError> {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => {
            Ok(Box::new(duckdb::DuckDbStore::open_for_reading(duckdb_options(config, path)).await?))
        }
        StorageKind::ClickHouse { .. } => {
            Ok(Box::new(clickhouse::ClickHouseStore::open_for_reading(clickhouse_config(config)?).await?))
        }
    }
}

fn duckdb_options(config: &ReefConfig, path: &Path) -> duckdb::DuckDbConfig {
    // the rest is for what DuckDB does not count: rows under way, the engine's windows, what sources prefetch
    let memory_limit_bytes = Some(Memory::of(config.engine.memory_limit_bytes).store_bytes());
    // as is the other half of the cores: a thread of DuckDB that waits for another one does so by asking all the time
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = u32::try_from(cores / 2).unwrap_or(1).max(1);
    let reef_id = Some(config.reef_id.clone());
    duckdb::DuckDbConfig { reef_id, memory_limit_bytes, threads: Some(threads), ..duckdb::DuckDbConfig::at(path) }
}

/// The store in words, for people.
pub fn describe(config: &ReefConfig) -> String {
    describe_kind(&config.storage.kind)
}

fn describe_kind(kind: &StorageKind) -> String {
    match kind {
        StorageKind::DuckDb { path } => format!("DuckDB {}", path.display()),
        StorageKind::ClickHouse { host, port, database, user, .. } => clickhouse::ClickHouseConfig {
            user: user.clone(),
            ..clickhouse::ClickHouseConfig::at(host, *port, database)
        }
        .name(),
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
) -> Result<Outcome, SinkError> {
    for pause in RETRY_PAUSES {
        match store.commit(commit).await {
            Err(error) if may_pass(&error, pause, shutdown) => wait(&error, pause, shutdown).await,
            answer => return answer,
        }
    }
    store.commit(commit).await
}

/// Asks for newer copies of events, as patiently as a commit is made.
pub async fn newer_events_with_retry(
    store: &mut dyn Store,
    events: &[Event],
    shutdown: &watch::Receiver<bool>,
) -> Result<Vec<Event>, SinkError> {
    for pause in RETRY_PAUSES {
        match store.newer_events(events).await {
            Err(error) if may_pass(&error, pause, shutdown) => wait(&error, pause, shutdown).await,
            answer => return answer,
        }
    }
    store.newer_events(events).await
}

fn may_pass(error: &SinkError, pause: Duration, shutdown: &watch::Receiver<bool>) -> bool {
    error.class == FaultClass::Retry && !(*shutdown.borrow() && pause > STOPPING_PAUSE_MAX)
}

async fn wait(error: &SinkError, pause: Duration, shutdown: &watch::Receiver<bool>) {
    tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "the store failed, trying again");
    let mut shutdown = shutdown.clone();
    if *shutdown.borrow() {
        tokio::time::sleep(pause).await;
    } else {
        let _ = tokio::time::timeout(pause, shutdown.wait_for(|stop| *stop)).await;
    }
}
