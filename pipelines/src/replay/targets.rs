//! Targets: the store that a replay writes, and checks that it is neither missing nor foreign.

use super::{Recording, ReplayError, Request, Task};
use crate::clock::CLOCK_NAME;
use crate::config::{ReefConfig, SourceConfig, StorageKind};
use crate::deferred::DEFERRED_NAME;
use crate::evaluated::EVALUATED_NAME;
use crate::open::store;
use model::clock::SharedClock;
use model::position::Positions;
use sinks::StoreWriter;
use sinks::duckdb::{NotOurs, stored_version};
use sources::lateness::GATE_NAME;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Checks that need no open store.
pub fn check(config: &ReefConfig, request: &Request) -> Result<(), ReplayError> {
    let has_kafka = config.sources.iter().any(|source| matches!(source, SourceConfig::Kafka { .. }));
    if request.recording == Recording::Kafka && !has_kafka {
        return Err(ReplayError::NoKafka);
    }
    let StorageKind::DuckDb { path: live } = &config.storage.kind else { return Ok(()) };
    // opening it would create it
    if !live.exists() && request.recording == Recording::Stored {
        return Err(ReplayError::NoStore { path: live.clone() });
    }
    match &request.into {
        Some(path) if is_same_file(path, live) => Err(ReplayError::IntoLive { path: path.clone() }),
        _ => Ok(()),
    }
}

/// Checks that a file that is to be written is none of another reef or program. Changes nothing.
pub async fn check_owner(config: &ReefConfig, path: &Path) -> Result<(), ReplayError> {
    let Err(cause) = stored_version(path, Some(&config.reef_id)).await else { return Ok(()) };
    let is_other = cause.cause.as_ref().is_some_and(|cause| cause.is::<NotOurs>());
    Err(if is_other { ReplayError::IntoOther { path: path.to_owned(), cause } } else { ReplayError::Store(cause) })
}

/// Checks that a store with these positions holds no rows that a reef has read itself.
pub fn check_positions(positions: &BTreeMap<String, Positions>, path: &Path) -> Result<(), ReplayError> {
    let of_run = [GATE_NAME, CLOCK_NAME, DEFERRED_NAME, EVALUATED_NAME];
    let of_replays = |name: &str| {
        [Task::Replay, Task::Backfill]
            .iter()
            .any(|task| name.strip_prefix(task.as_str()).is_some_and(|rest| rest.starts_with(':')))
    };
    match positions.keys().find(|name| !of_run.contains(&name.as_str()) && !of_replays(name)) {
        Some(name) => Err(ReplayError::IntoReef { path: path.to_owned(), source_name: name.clone() }),
        None => Ok(()),
    }
}

/// Opens another store to write to; it is created when missing.
pub async fn open(config: &ReefConfig, path: &Path, clock: &SharedClock) -> Result<Box<dyn StoreWriter>, ReplayError> {
    check_owner(config, path).await?;
    let target = store::open_for_run(&config_of(config, path), clock).await?;
    check_positions(&target.reader().positions().await?, path)?;
    Ok(target)
}

/// The settings of a reef, stored elsewhere.
pub fn config_of(config: &ReefConfig, path: &Path) -> ReefConfig {
    let mut config = config.clone();
    config.storage.kind = StorageKind::DuckDb { path: path.to_owned() };
    config
}

/// Whether both name the same file, also through links.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| -> PathBuf {
        path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
    };
    real(a) == real(b)
}
