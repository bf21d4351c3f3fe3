//! Store: opens the configured store: to write, to read, or to copy.

use crate::config::support::NATIVE_PROTOCOL_HINT;
use crate::config::{ClickHouseProtocol, ReefConfig, Secret, SecretError, SecretSource, StorageKind};
use crate::memory::Memory;
use crate::open::retention;
use model::clock::SharedClock;
use sinks::error::FaultClass;
use sinks::{SinkError, StoreAdmin, StoreReader, StoreWriter, clickhouse, duckdb};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a store that another process has open is waited for: a `report` or a query has read its answer by then.
const BUSY_WAIT: Duration = Duration::from_secs(2);
/// Between two tries to open it.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Opens the store, creating and upgrading its tables.
pub async fn open(config: &ReefConfig) -> Result<Box<dyn StoreWriter>, SinkError> {
    open_with(config, None).await
}

/// The same for a run, by whose clock the store dates what it writes.
pub async fn open_for_run(config: &ReefConfig, clock: &SharedClock) -> Result<Box<dyn StoreWriter>, SinkError> {
    open_with(config, Some(clock)).await
}

async fn open_with(config: &ReefConfig, clock: Option<&SharedClock>) -> Result<Box<dyn StoreWriter>, SinkError> {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => {
            let options = duckdb_options(config, path);
            let clock = clock.unwrap_or(&options.clock).clone();
            Ok(Box::new(open_duckdb(duckdb::DuckDbConfig { clock, ..options }).await?))
        }
        StorageKind::ClickHouse { .. } => {
            let options = clickhouse_config(config)?;
            let clock = clock.unwrap_or(&options.clock).clone();
            let options = clickhouse::ClickHouseConfig { clock, ..options };
            Ok(Box::new(clickhouse::ClickHouseStore::open(options).await?))
        }
    }
}

async fn open_duckdb(options: duckdb::DuckDbConfig) -> Result<duckdb::DuckDbStore, SinkError> {
    let started = Instant::now();
    loop {
        match duckdb::DuckDbStore::open(options.clone()).await {
            Err(error) if error.class == FaultClass::Busy && started.elapsed() < BUSY_WAIT => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// How the ClickHouse store of this configuration is reached.
///
/// # Errors
/// When the store is none, when it is to be reached by a protocol that this program does not speak, or when the variable
/// with the password is not set.
pub fn clickhouse_config(config: &ReefConfig) -> Result<clickhouse::ClickHouseConfig, SinkError> {
    Ok(clickhouse::ClickHouseConfig {
        reef_id: Some(config.reef_id.clone()),
        retention: Some(retention::of(config)),
        ..server_config(&config.storage.kind)?
    })
}

/// The same for a store only: the TTLs of its tables stay unchanged.
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
        None => Secret::default(),
    };
    Ok(clickhouse::ClickHouseConfig {
        user: user.clone(),
        password,
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
pub async fn open_to_copy(kind: &StorageKind) -> Result<Box<dyn StoreAdmin>, SinkError> {
    match kind {
        StorageKind::DuckDb { path } => Ok(Box::new(duckdb::DuckDbStore::open(duckdb::DuckDbConfig::at(path)).await?)),
        StorageKind::ClickHouse { .. } => Ok(Box::new(clickhouse::ClickHouseStore::open(server_config(kind)?).await?)),
    }
}

/// Opens a store only to read whole tables of it, whichever reef it belongs to; otherwise as [`open_for_reading`].
pub async fn open_to_count(kind: &StorageKind) -> Result<Arc<dyn StoreReader>, SinkError> {
    match kind {
        StorageKind::DuckDb { path } => Ok(Arc::new(duckdb::DuckDbReader::open(duckdb::DuckDbConfig::at(path)).await?)),
        StorageKind::ClickHouse { .. } => Ok(Arc::new(clickhouse::ClickHouseReader::open(server_config(kind)?).await?)),
    }
}

/// Whether a store has tables of ours, whichever reef it belongs to. Changes nothing.
pub async fn has_tables(kind: &StorageKind) -> Result<bool, SinkError> {
    match kind {
        StorageKind::DuckDb { path } => Ok(duckdb::stored_version(path, None).await?.is_some()),
        StorageKind::ClickHouse { .. } => Ok(clickhouse::server_facts(server_config(kind)?).await?.schema_version > 0),
    }
}

/// Opens the store only to read from it. It must exist and have the tables of this version. It is closed when the last
/// clone is dropped.
pub async fn open_for_reading(config: &ReefConfig) -> Result<Arc<dyn StoreReader>, SinkError> {
    match &config.storage.kind {
        StorageKind::DuckDb { path } => Ok(Arc::new(duckdb::DuckDbReader::open(duckdb_options(config, path)).await?)),
        StorageKind::ClickHouse { .. } => {
            Ok(Arc::new(clickhouse::ClickHouseReader::open(clickhouse_config(config)?).await?))
        }
    }
}

fn duckdb_options(config: &ReefConfig, path: &Path) -> duckdb::DuckDbConfig {
    // the rest is for memory outside DuckDB: rows in transit, the engine's windows, prefetched rows of sources
    let memory_limit_bytes = Some(Memory::of(config.engine.memory_limit_bytes).store_bytes());
    // so is the other half of the cores: DuckDB's threads busy-wait for each other
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = u32::try_from(cores / 2).unwrap_or(1).max(1);
    let reef_id = Some(config.reef_id.clone());
    duckdb::DuckDbConfig { reef_id, memory_limit_bytes, threads: Some(threads), ..duckdb::DuckDbConfig::at(path) }
}

/// Description of the store, for display.
pub fn describe(config: &ReefConfig) -> String {
    describe_kind(&config.storage.kind)
}

/// The same of a store alone. A store that is open has this name.
pub fn describe_kind(kind: &StorageKind) -> String {
    match kind {
        StorageKind::DuckDb { path } => format!("DuckDB {}", path.display()),
        StorageKind::ClickHouse { host, port, database, user, .. } => clickhouse::ClickHouseConfig {
            user: user.clone(),
            ..clickhouse::ClickHouseConfig::at(host, *port, database)
        }
        .name(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Format, parse};

    fn limits(engine: &str) -> duckdb::DuckDbConfig {
        let text = format!(
            "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n\
             [storage]\npath = \"r.duckdb\"\n{engine}"
        );
        let config = parse(&text, Format::Toml, Path::new("reef.toml")).unwrap();
        let StorageKind::DuckDb { path } = &config.storage.kind else { panic!("{:?}", config.storage.kind) };
        duckdb_options(&config, path)
    }

    /// DuckDB's own limit, 80 % of the machine, would leave nothing to the engine.
    #[test]
    fn duckdb_has_its_share_of_the_memory_whether_a_limit_is_configured_or_not() {
        let memory = Memory::of(None);
        let default = limits("");
        assert_eq!(default.memory_limit_bytes, Some(memory.store_bytes()));
        assert!(memory.store_bytes() <= memory.limit_bytes / 2, "the larger part is the engine's");
        assert!(default.threads.is_some_and(|threads| threads > 0));
        let configured = limits("[engine]\nmemory_limit = \"1GiB\"\n");
        assert_eq!(configured.memory_limit_bytes, Some(256 << 20));
    }
}
