//! Errors of a colony: what failed, where, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// DuckDB's error. Its number, which has no meaning, is omitted from the chain of causes.
#[derive(Debug)]
pub struct DuckDbError(pub(crate) duckdb::Error);

impl fmt::Display for DuckDbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for DuckDbError {}

/// A fault of a colony's database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The id cannot be part of a file name.
    #[error(
        "{colony_id:?} is not a colony id: use letters, digits, '.', '_' and '-', at most 128, not starting with '.'"
    )]
    BadColonyId {
        /// As given.
        colony_id: String,
    },
    /// The storage directory could not be created.
    #[error("cannot create the storage directory {path}: check storage_path and its permissions", path = path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// Another process has the file open.
    #[error("the database {path} is in use by another process: stop that colony, or reach it with --endpoint", path = path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: DuckDbError,
    },
    /// The file could not be opened as a database.
    #[error("cannot open the database {path}: if it is damaged, move it away and start again, a new one is created", path = path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: DuckDbError,
    },
    /// A statement failed.
    #[error("cannot {doing} in {path}", path = path.display())]
    Statement {
        /// The operation.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: DuckDbError,
    },
    /// The store has been closed, or the work on it died.
    #[error("the database {path} is closed", path = path.display())]
    Closed {
        /// Which file.
        path: PathBuf,
    },
    /// No response in time.
    #[error("the database {path} did not answer within {deadline_ms} ms", path = path.display())]
    Slow {
        /// Which file.
        path: PathBuf,
        /// How long was waited.
        deadline_ms: u128,
    },
}

impl StoreError {
    /// Sorts a failure to open: locked by another process, or not a database.
    pub(crate) fn opening(path: &Path, cause: duckdb::Error) -> StoreError {
        let path = path.to_owned();
        let cause = DuckDbError(cause);
        if cause.to_string().contains("lock on file") {
            return StoreError::Locked { path, cause };
        }
        StoreError::Open { path, cause }
    }
}

/// A fault of a colony.
#[derive(Debug, thiserror::Error)]
pub enum ColonyError {
    /// The database.
    #[error("storage of colony {colony_id} failed")]
    Store {
        /// Which colony.
        colony_id: String,
        /// The cause.
        #[source]
        cause: StoreError,
    },
    /// The listener.
    #[error("colony {colony_id} cannot be reached by others")]
    Network {
        /// Which colony.
        colony_id: String,
        /// The cause.
        #[source]
        cause: mesh::MeshError,
    },
    /// The server died.
    #[error("the server of colony {colony_id} on {address} failed")]
    Serve {
        /// Which colony.
        colony_id: String,
        /// The address.
        address: std::net::SocketAddr,
        /// The cause.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}
