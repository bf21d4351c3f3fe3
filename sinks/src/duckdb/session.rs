//! The thread that owns the connection. DuckDB blocks; callers await an answer and are never blocked by it.

use super::config::DuckDbConfig;
use super::fault::{Cause, explain};
use super::series::KnownSeries;
use super::unfinished::is_unfinished;
use super::{keep, newer, owner};
use crate::SinkError;
use crate::hours::HourSums;
use duckdb::{AccessMode, Config, Connection};
use migrations::{DUCKDB, DUCKDB_SCHEMA_VERSION_TABLE, pending};
use model::clock::SharedClock;
use model::time::TimeMs;
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// What the thread owns.
pub(super) struct Session {
    /// The only connection to the file.
    pub(super) connection: Connection,
    /// The number of each metric series, and how far it is stored.
    pub(super) series: KnownSeries,
    /// Sums of the hours that this session has written.
    pub(super) hours: HourSums,
    /// Whether an event may be stored that is amended or withdrawn.
    pub(super) has_newer_events: bool,
    /// Whether a late copy may be kept aside.
    pub(super) has_late_copies: bool,
    /// How many rows the next slice of deleting may take; learnt from the last one.
    pub(super) prune_rows: Option<u64>,
    /// Makes the next commit fail at its very end, for tests.
    pub(super) fails_at_end: bool,
    /// Whether this connection may commit; the others only read.
    pub(super) may_write: bool,
    pub(super) clock: SharedClock,
}

/// Bytes of the log that are moved into the file at once, about a million metric rows. A checkpoint writes the last group
/// of rows of each table again, so that many small ones cost several times what one large one does; reading a log of this
/// size at the next start takes about a second.
const CHECKPOINT_BYTES_MAX: u64 = 128 << 20;

type Job = Box<dyn FnOnce(&mut Session) + Send>;

/// Jobs that may wait; callers wait for their answers, so there is one per caller.
const JOBS_MAX: usize = 16;

/// The way to the thread.
pub(super) struct Worker {
    name: String,
    jobs: Option<mpsc::SyncSender<Job>>,
    thread: Option<JoinHandle<Result<(), Cause>>>,
}

impl Worker {
    /// Opens the file and brings its schema up to date.
    pub(super) async fn start(config: DuckDbConfig) -> Result<Worker, SinkError> {
        let name = format!("DuckDB {}", config.path.display());
        Worker::with(name, move || Session::open(&config)).await
    }

    /// Opens the file for reading: neither it nor what lies beside it is changed.
    pub(super) async fn start_for_reading(config: DuckDbConfig) -> Result<Worker, SinkError> {
        let name = format!("DuckDB {}", config.path.display());
        Worker::with(name, move || Session::open_for_reading(&config)).await
    }

    /// A second connection to the open file, on a thread of its own, that only reads. It sees each commit as a whole.
    pub(super) async fn reader(&self) -> Result<Worker, SinkError> {
        let doing = "cannot open a second connection".to_owned();
        let session = self
            .call(doing, |session| Session::reading(session.connection.try_clone()?, session.clock.clone()))
            .await?;
        Worker::with(self.name.clone(), move || Ok(session)).await
    }

    /// Starts the thread; `open` runs on it.
    async fn with(
        name: String,
        open: impl FnOnce() -> Result<Session, Cause> + Send + 'static,
    ) -> Result<Worker, SinkError> {
        let fault = |cause: Cause| explain(&name, "cannot open the store", cause);
        let (jobs, inbox) = mpsc::sync_channel::<Job>(JOBS_MAX);
        let (opened, answer) = oneshot::channel::<Result<(), Cause>>();
        let body = move || match open() {
            Ok(mut session) => {
                let _ = opened.send(Ok(()));
                for job in inbox {
                    job(&mut session);
                }
                session.close()
            }
            Err(cause) => {
                let _ = opened.send(Err(cause));
                Ok(())
            }
        };
        let thread = std::thread::Builder::new().name("duckdb".into()).spawn(body).map_err(|e| fault(e.into()))?;
        answer.await.unwrap_or_else(|_| Err("the thread ended".into())).map_err(fault)?;
        Ok(Worker { name, jobs: Some(jobs), thread: Some(thread) })
    }

    /// The store's name, for people.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `job` on the thread. `doing` says what for, should it fail. A caller that stops waiting changes nothing:
    /// the job ends as a whole.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        doing: String,
        job: impl FnOnce(&mut Session) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, SinkError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |session| {
            let _ = reply.send(job(session));
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        let gone = || Cause::from("the thread of the store has ended");
        let result = if sent { answer.await.unwrap_or_else(|_| Err(gone())) } else { Err(gone()) };
        result.map_err(|cause| explain(&self.name, &doing, cause))
    }

    /// Writes the log into the file, closes it, and says whether that went well.
    pub(super) async fn close(mut self) -> Result<(), SinkError> {
        self.jobs = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        let result = match joined {
            Ok(Ok(result)) => result,
            _ => Err("the thread of the store has ended".into()),
        };
        result.map_err(|cause| explain(&self.name, "cannot close the store", cause))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && !matches!(thread.join(), Ok(Ok(())))
        {
            tracing::warn!(store = %self.name, "the store was not closed cleanly; its log is replayed at the next start");
        }
    }
}

impl Session {
    fn open(config: &DuckDbConfig) -> Result<Session, Cause> {
        if let Some(folder) = config.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut connection = connect(config)?;
        owner::check_kind(&connection)?;
        migrate(&mut connection, config.clock.now())?;
        if let Some(reef_id) = &config.reef_id {
            owner::claim(&connection, reef_id, config.clock.now())?;
        }
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
            fails_at_end: false,
            may_write: true,
        })
    }

    /// The file must exist and have the tables of this version: a reader migrates nothing.
    fn open_for_reading(config: &DuckDbConfig) -> Result<Session, Cause> {
        let settings = settings(config)?.access_mode(AccessMode::ReadOnly)?;
        let connection = Connection::open_with_flags(&config.path, settings)?;
        let stored: u32 = connection
            .query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))
            .map_err(|error| format!("it holds no tables of a reef: {error}"))?;
        match pending(DUCKDB, stored)? {
            [] => {
                if let Some(reef_id) = &config.reef_id {
                    owner::check(&connection, reef_id)?;
                }
                Session::reading(connection, config.clock.clone())
            }
            _ => Err(format!("it has tables of an older version ({stored})").into()),
        }
    }

    fn reading(connection: Connection, clock: SharedClock) -> Result<Session, Cause> {
        let has_newer_events = newer::exist(&connection)?;
        let has_late_copies = keep::late_copies_exist(&connection)?;
        Ok(Session {
            connection,
            series: KnownSeries::default(),
            hours: HourSums::default(),
            has_newer_events,
            has_late_copies,
            prune_rows: None,
            clock,
            fails_at_end: false,
            may_write: false,
        })
    }

    fn close(self) -> Result<(), Cause> {
        if self.may_write {
            self.connection.execute_batch("CHECKPOINT")?;
        }
        self.connection.close().map_err(|(_, error)| error.into())
    }
}

/// Opens the file for writing, or makes it.
fn connect(config: &DuckDbConfig) -> Result<Connection, Cause> {
    match Connection::open_with_flags(&config.path, settings(config)?) {
        // whoever is making it at this moment has it locked
        Err(error) if !error.to_string().contains("set lock on file") && is_unfinished(&config.path) => {
            tracing::warn!(path = %config.path.display(), "a process was cut off while it made the file: making it anew");
            // the file itself, not a link to it
            std::fs::remove_file(config.path.canonicalize()?)?;
            Ok(Connection::open_with_flags(&config.path, settings(config)?)?)
        }
        answer => Ok(answer?),
    }
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

/// Applies the missing steps, each in a transaction of its own.
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
