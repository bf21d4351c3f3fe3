//! The connection to a file and its writer's cache: opening, migrating, closing.

use super::config::DuckDbConfig;
use super::fault::Cause;
use super::series::KnownSeries;
use super::unfinished::is_unfinished;
use super::version::EarlierVersion;
use super::{derived, keep, newer, owner};
use crate::hours::HourSums;
use crate::schema::Schema;
use duckdb::{AccessMode, Config, Connection};
use migrations::{DUCKDB, DUCKDB_SCHEMA_VERSION_TABLE, pending};
use model::clock::SharedClock;
use model::time::TimeMs;

/// What a connection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// To write: the file is created when it is missing, and its schema is migrated.
    Write,
    /// To read: the file must exist with the tables of this version, and no file is changed.
    Read,
}

/// What the writing thread owns.
pub(super) struct Session {
    /// The only connection that writes.
    pub(super) connection: Connection,
    /// The id and newest stored time of each metric series.
    pub(super) series: KnownSeries,
    /// Sums of the hours that this session has written.
    pub(super) hours: HourSums,
    /// Whether an event may be stored that is amended or withdrawn.
    pub(super) has_newer_events: bool,
    /// Whether a late copy may be stored.
    pub(super) has_late_copies: bool,
    /// Number of rows in the next slice of deletion, derived from the last one.
    pub(super) prune_rows: Option<u64>,
    /// Makes the next commit fail at its very end, for tests.
    pub(super) fails_at_end: bool,
    pub(super) clock: SharedClock,
    pub(super) schema: Schema,
}

/// Log size that triggers a checkpoint, about a million metric rows. A checkpoint rewrites the last row group of each
/// table, so many small ones cost several times as much as one large one. Replaying a log of this size at the next
/// start takes about a second.
const CHECKPOINT_BYTES_MAX: u64 = 128 << 20;

impl Session {
    /// Opens the file to write.
    pub(super) fn open(config: &DuckDbConfig) -> Result<Session, Cause> {
        let connection = connect(config, Mode::Write)?;
        let has_newer_events = newer::exist(&connection)?;
        let has_late_copies = keep::late_copies_exist(&connection)?;
        Ok(Session {
            connection,
            series: KnownSeries::default(),
            hours: HourSums::default(),
            has_newer_events,
            has_late_copies,
            prune_rows: None,
            clock: config.clock.clone(),
            schema: config.schema,
            fails_at_end: false,
        })
    }

    pub(super) fn close(self) -> Result<(), Cause> {
        self.connection.execute_batch("CHECKPOINT")?;
        self.connection.close().map_err(|(_, error)| error.into())
    }
}

/// Opens the file, checks its owner, and migrates its schema; to read, only checks.
pub(super) fn connect(config: &DuckDbConfig, mode: Mode) -> Result<Connection, Cause> {
    prepare(open(config, mode)?, config, mode)
}

fn open(config: &DuckDbConfig, mode: Mode) -> Result<Connection, Cause> {
    if mode == Mode::Read {
        let settings = settings(config)?.access_mode(AccessMode::ReadOnly)?;
        return Ok(Connection::open_with_flags(&config.path, settings)?);
    }
    if let Some(folder) = config.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    match Connection::open_with_flags(&config.path, settings(config)?) {
        // a process that is creating it now has it locked
        Err(error) if !error.to_string().contains("set lock on file") && is_unfinished(&config.path) => {
            tracing::warn!(path = %config.path.display(), "a process was interrupted while it created the file: \
                                                           recreating it");
            // the file itself, not a link to it
            std::fs::remove_file(config.path.canonicalize()?)?;
            Ok(Connection::open_with_flags(&config.path, settings(config)?)?)
        }
        answer => Ok(answer?),
    }
}

fn prepare(mut connection: Connection, config: &DuckDbConfig, mode: Mode) -> Result<Connection, Cause> {
    if mode == Mode::Write {
        owner::check_kind(&connection)?;
        migrate(&mut connection, config.clock.now())?;
        derived::migrate(&connection, config.schema)?;
        if let Some(reef_id) = &config.reef_id {
            owner::claim(&connection, reef_id, config.clock.now())?;
        }
        return Ok(connection);
    }
    let stored: u32 = connection
        .query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))
        .map_err(|error| format!("it holds no tables of a reef: {error}"))?;
    if !pending(DUCKDB, stored)?.is_empty() || !derived::is_current(&connection, config.schema)? {
        return Err(EarlierVersion { stored }.into());
    }
    if let Some(reef_id) = &config.reef_id {
        owner::check(&connection, reef_id)?;
    }
    Ok(connection)
}

fn settings(config: &DuckDbConfig) -> Result<Config, Cause> {
    // no extension is ever fetched: the program works without a network and runs no code but its own
    let memory_limit = config.memory_limit_bytes.unwrap_or(u64::MAX);
    let checkpoint_bytes = CHECKPOINT_BYTES_MAX.min(memory_limit / 8);
    let mut settings = Config::default()
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("checkpoint_threshold", format!("{}KiB", checkpoint_bytes.div_ceil(1024)))?;
    if let Some(bytes) = config.memory_limit_bytes {
        settings = settings.max_memory(&format!("{}KiB", bytes.div_ceil(1024)))?;
    }
    if let Some(threads) = config.threads {
        settings = settings.threads(i64::from(threads))?;
    }
    Ok(settings)
}

/// Applies the missing migrations, each in its own transaction.
fn migrate(connection: &mut Connection, now: TimeMs) -> Result<(), Cause> {
    connection.execute_batch(DUCKDB_SCHEMA_VERSION_TABLE)?;
    let stored: u32 =
        connection.query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))?;
    for step in pending(DUCKDB, stored)? {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step.sql)?;
        transaction.execute(
            "INSERT INTO schema_version VALUES (?, make_timestamp(?::BIGINT * 1000))",
            duckdb::params![step.version, now.0],
        )?;
        transaction.commit()?;
        tracing::debug!(version = step.version, name = step.name, "schema step applied");
    }
    Ok(())
}
