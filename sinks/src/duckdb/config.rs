//! Path of the DuckDB file, and DuckDB's resources.

use crate::schema::Schema;
use model::clock::{SharedClock, SystemClock};
use std::path::PathBuf;

/// Settings of a DuckDB store.
#[derive(Clone, Debug)]
pub struct DuckDbConfig {
    /// The file; it and its folder are created when missing.
    pub path: PathBuf,
    /// The reef that opens it: the store of another one is refused. `None` where tables are copied whole.
    pub reef_id: Option<String>,
    /// The most memory DuckDB may use, in bytes; `None` leaves DuckDB's own limit (80 % of the machine).
    pub memory_limit_bytes: Option<u64>,
    /// The most threads DuckDB may use; `None` for one per core.
    pub threads: Option<u32>,
    /// The tables.
    pub schema: Schema,
    /// The clock for the storage time of migrations and copied rows.
    pub clock: SharedClock,
}

impl DuckDbConfig {
    /// A store at `path` with DuckDB's own limits and the clock of this machine.
    pub fn at(path: impl Into<PathBuf>) -> DuckDbConfig {
        DuckDbConfig {
            path: path.into(),
            reef_id: None,
            memory_limit_bytes: None,
            threads: None,
            schema: Schema::default(),
            clock: SystemClock::shared(),
        }
    }
}
