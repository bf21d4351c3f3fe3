//! Store: opens the configured store and writes ticks to it, trying again what may pass.

use crate::config::{ClickHouseProtocol, ReefConfig, Secret, SecretError, SecretSource, StorageKind};
use sinks::error::FaultClass;
use sinks::{Commit, SinkError, Store, clickhouse, duckdb};
use std::time::Duration;

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
        StorageKind::DuckDb { path } => {
            let options = duckdb::DuckDbConfig {
                memory_limit_bytes: config.engine.memory_limit_bytes,
                ..duckdb::DuckDbConfig::at(path)
            };
            Ok(Box::new(duckdb::DuckDbStore::open(options).await?))
        }
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
    let refused = |hint: String, cause: Option<SecretError>| SinkError {
        class: FaultClass::Stop,
        doing: "cannot open the store".to_owned(),
        store: describe(config),
        hint,
        cause: cause.map(Into::into),
    };
    let StorageKind::ClickHouse { host, port, protocol, database, user, password_env, cluster } = &config.storage.kind
    else {
        return Err(refused("storage.type is not \"clickhouse\"".to_owned(), None));
    };
    if *protocol == ClickHouseProtocol::Native {
        return Err(refused(config.unsupported().join("; "), None));
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
    let seconds = |ms: i64| ms.unsigned_abs().div_ceil(1_000);
    let retention = &config.storage.retention;
    Ok(clickhouse::ClickHouseConfig {
        user: user.clone(),
        password: clickhouse::Password(password.reveal().to_owned()),
        cluster: cluster.clone(),
        retention: Some(clickhouse::Retention {
            metrics_seconds: seconds(retention.aggregated_metrics_ms),
            events_seconds: seconds(retention.events_ms),
            correlations_seconds: seconds(retention.correlations_ms),
            deployments_seconds: seconds(retention.deployment_timeline_ms),
        }),
        ..clickhouse::ClickHouseConfig::at(host, *port, database)
    })
}

/// Version of the schema that is stored; `None` when there is no store yet. Changes nothing.
pub async fn stored_version(config: &ReefConfig) -> Result<Option<u32>, SinkError> {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => duckdb::stored_version(path).await,
        StorageKind::ClickHouse { .. } => {
            Ok(Some(clickhouse::server_facts(clickhouse_config(config)?).await?.schema_version))
        }
    }
}

/// The store in words, for people.
pub fn describe(config: &ReefConfig) -> String {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => format!("DuckDB {}", path.display()),
        StorageKind::ClickHouse { host, port, database, user, .. } => {
            format!("ClickHouse {host}:{port}, database {database}, user {user}")
        }
    }
}

/// Writes one tick; a fault that may pass is tried again with growing pauses. A commit is idempotent, so a try whose
/// answer was lost may be repeated.
pub async fn commit_with_retry(store: &mut dyn Store, commit: &Commit) -> Result<(), SinkError> {
    for pause in RETRY_PAUSES {
        match store.commit(commit).await {
            Err(error) if error.class == FaultClass::Retry => {
                tracing::warn!(tick = commit.tick, %error, pause_ms = pause.as_millis() as u64, "commit failed, trying again");
                tokio::time::sleep(pause).await;
            }
            answer => return answer,
        }
    }
    store.commit(commit).await
}
