//! The DuckDB file of a colony: one writer, a bounded set of readers, blocking work off the runtime's threads.
//!
//! | file | owns |
//! |---|---|
//! | `schema` | tables, indexes, the session |
//! | `rows` | rows of the tables |
//! | `write` | every statement that changes rows |
//! | `read` | every statement that reads rows |
//! | `insights` | the colony's findings |
//!
//! Every write is a transaction that rolls back when anything in it fails. A read sees one state of the database.

mod insights;
mod read;
mod rows;
mod schema;
mod write;

#[cfg(test)]
pub(crate) mod schema_for_tests {
    pub(crate) use super::schema::{STATEMENTS, apply};
}

pub use insights::{Insight, InsightKind, InsightStatus, Priority};
pub(crate) use read::Wanted;
pub use read::{Health, Totals};
pub use rows::{ConnectionRow, EventDetails, EventRow, MetricRow, ServiceRow};
pub use schema::TABLES;
pub use write::{EventsWritten, ServiceStatus};

use crate::error::{DuckDbError, StoreError};
use duckdb::{AccessMode, Config, Connection};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// The most readers at work at the same time; more wait for their turn.
pub const READERS_MAX: usize = 8;
/// Maximum number of idle reader connections.
pub const READERS_IDLE_MAX: usize = 5;
/// DuckDB's own threads and memory: a colony is a small neighbour of the application it watches.
const THREADS: i64 = 2;
const MEMORY_MAX: &str = "512MB";

/// The database file of a colony: `<storage_path>/<colony_id>.duckdb`.
pub fn database_path(storage_path: &Path, colony_id: &str) -> PathBuf {
    storage_path.join(format!("{colony_id}.duckdb"))
}

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    path: PathBuf,
    session: String,
    /// `None` once closed.
    writer: Mutex<Option<Connection>>,
    /// What readers are cloned from, and idle ones; `None` once closed.
    readers: Mutex<Option<Readers>>,
    reader_slots: Arc<Semaphore>,
    newest_event: watch::Sender<i64>,
}

struct Readers {
    origin: Connection,
    idle: Vec<Connection>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.0.path).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // a panic in another job cannot leave a connection half-way: its transaction rolls back
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the database of a colony, and creates directory (0755), file and schema where they are missing.
    pub fn open(storage_path: &Path, colony_id: &str) -> Result<Store, StoreError> {
        use std::os::unix::fs::DirBuilderExt;
        if !crate::config::is_colony_id(colony_id) {
            return Err(StoreError::BadColonyId { colony_id: colony_id.to_owned() });
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(storage_path)
            .map_err(|cause| StoreError::Directory { path: storage_path.to_owned(), cause })?;
        let path = database_path(storage_path, colony_id);
        let connection = configured(AccessMode::ReadWrite)
            .and_then(|config| Connection::open_with_flags(&path, config))
            .map_err(|cause| StoreError::opening(&path, cause))?;
        restrict(&path)?;
        Store::start(path, connection, true)
    }

    /// A database that lives in memory and ends with the store.
    pub fn open_in_memory() -> Result<Store, StoreError> {
        let path = PathBuf::from(":memory:");
        let connection = configured(AccessMode::Automatic)
            .and_then(Connection::open_in_memory_with_flags)
            .map_err(|cause| StoreError::opening(&path, cause))?;
        Store::start(path, connection, true)
    }

    /// Opens an existing file for reading only; every write fails.
    pub fn open_read_only(path: &Path) -> Result<Store, StoreError> {
        let connection = configured(AccessMode::ReadOnly)
            .and_then(|config| Connection::open_with_flags(path, config))
            .map_err(|cause| StoreError::opening(path, cause))?;
        Store::start(path.to_owned(), connection, false)
    }

    fn start(path: PathBuf, writer: Connection, is_writable: bool) -> Result<Store, StoreError> {
        let prepare = || {
            if is_writable {
                schema::apply(&writer, &schema::STATEMENTS)?;
                write::create_staging(&writer)?;
            }
            let session = schema::session(&writer)?.unwrap_or_default();
            Ok((session, read::newest_event_id(&writer, is_writable)?, writer.try_clone()?))
        };
        let (session, newest, origin) = prepare().map_err(|cause| StoreError::opening(&path, cause))?;
        Ok(Store(Arc::new(Shared {
            path,
            session,
            writer: Mutex::new(Some(writer)),
            readers: Mutex::new(Some(Readers { origin, idle: Vec::new() })),
            reader_slots: Arc::new(Semaphore::new(READERS_MAX)),
            newest_event: watch::Sender::new(newest),
        })))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Unique id of this database, stable across restarts.
    pub fn session(&self) -> &str {
        &self.0.session
    }

    /// The id of the newest stored event, now and after every commit.
    pub fn newest_event(&self) -> watch::Receiver<i64> {
        self.0.newest_event.subscribe()
    }

    /// Checks that the database responds within `deadline`.
    pub async fn ping(&self, deadline: Duration) -> Result<(), StoreError> {
        let answer = self.read("answer", |connection| connection.query_row("SELECT 1", [], |row| row.get::<_, i32>(0)));
        match tokio::time::timeout(deadline, answer).await {
            Ok(answer) => answer.map(|_| ()),
            Err(_) => Err(StoreError::Slow { path: self.0.path.clone(), deadline_ms: deadline.as_millis() }),
        }
    }

    /// Writes everything to the file and gives up its lock. Reads and writes fail from here on; closing twice is fine.
    pub fn close(&self) -> Result<(), StoreError> {
        let writer = lock(&self.0.writer).take();
        drop(lock(&self.0.readers).take());
        let Some(writer) = writer else { return Ok(()) };
        let failed = |cause| self.failed("write back everything", cause);
        let is_file = self.0.path != Path::new(":memory:");
        if is_file && self.is_writable(&writer) {
            writer.execute_batch("CHECKPOINT").map_err(failed)?;
        }
        writer.close().map_err(|(_, cause)| failed(cause))
    }

    fn is_writable(&self, connection: &Connection) -> bool {
        let mode: duckdb::Result<String> =
            connection.query_row("SELECT current_setting('access_mode')", [], |row| row.get(0));
        !mode.is_ok_and(|mode| mode.eq_ignore_ascii_case("read_only"))
    }

    /// Runs `job` on the writer, in a transaction that is rolled back when it fails. `doing` completes "cannot …".
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        job: impl FnOnce(&Connection) -> duckdb::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let closed = || StoreError::Closed { path: self.0.path.clone() };
        tokio::task::spawn_blocking(move || store.write_blocking(doing, job)).await.unwrap_or_else(|_| Err(closed()))
    }

    fn write_blocking<T>(
        &self,
        doing: &'static str,
        job: impl FnOnce(&Connection) -> duckdb::Result<T>,
    ) -> Result<T, StoreError> {
        let guard = lock(&self.0.writer);
        let writer = guard.as_ref().ok_or_else(|| StoreError::Closed { path: self.0.path.clone() })?;
        let run = || {
            let transaction = writer.unchecked_transaction()?;
            let result = job(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|cause| self.failed(doing, cause))
    }

    /// Runs `job` on a reader, in a transaction: everything it reads is one state. `doing` completes "cannot …".
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        job: impl FnOnce(&Connection) -> duckdb::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Closed { path: self.0.path.clone() };
        // the slot goes with the job: a caller that stops waiting does not make room for one more
        let slot = self.0.reader_slots.clone().acquire_owned().await.map_err(|_| closed())?;
        let store = self.clone();
        let work = move || {
            let _slot = slot;
            store.read_blocking(doing, job)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(closed()))
    }

    fn read_blocking<T>(
        &self,
        doing: &'static str,
        job: impl FnOnce(&Connection) -> duckdb::Result<T>,
    ) -> Result<T, StoreError> {
        let failed = |cause| self.failed(doing, cause);
        let reader = {
            let mut guard = lock(&self.0.readers);
            let readers = guard.as_mut().ok_or_else(|| StoreError::Closed { path: self.0.path.clone() })?;
            match readers.idle.pop() {
                Some(reader) => reader,
                None => readers.origin.try_clone().map_err(failed)?,
            }
        };
        let run = || {
            let transaction = reader.unchecked_transaction()?;
            let result = job(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        let result = run().map_err(failed);
        if let Some(readers) = lock(&self.0.readers).as_mut()
            && readers.idle.len() < READERS_IDLE_MAX
        {
            readers.idle.push(reader);
        }
        result
    }

    fn failed(&self, doing: &'static str, cause: duckdb::Error) -> StoreError {
        StoreError::Statement { doing, path: self.0.path.clone(), cause: DuckDbError(cause) }
    }

    /// Notifies waiting streams of events up to `id`.
    pub(crate) fn announce(&self, id: i64) {
        self.0.newest_event.send_if_modified(|newest| {
            let is_newer = id > *newest;
            *newest = id.max(*newest);
            is_newer
        });
    }
}

fn configured(mode: AccessMode) -> duckdb::Result<Config> {
    // files are read by the import only, never by a statement
    Config::default().access_mode(mode)?.threads(THREADS)?.max_memory(MEMORY_MAX)?.enable_autoload_extension(false)
}

/// Independent of the umask: others may read the file, not write it.
fn restrict(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |cause| StoreError::Directory { path: path.to_owned(), cause };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o133 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o644)).map_err(failed)?;
    }
    Ok(())
}
