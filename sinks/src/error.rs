//! Error classes of a store: retry, reject the row, wait for another process, or stop.

/// What the caller must do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultClass {
    /// May pass: try the same commit again.
    Retry,
    /// The row is at fault: it goes to `rejects`, and the commit continues without it.
    Reject,
    /// Another process has the store open. Before anything is written it may be waited for; in a run it means stop.
    Busy,
    /// None of these: the run ends with a message (missing table, full disk, wrong version).
    Stop,
}

/// A store's error: the operation, where, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{doing} in {store}: {hint}")]
pub struct SinkError {
    /// What the caller must do.
    pub class: FaultClass,
    /// The failed operation, e.g. `cannot commit tick 17`.
    pub doing: String,
    /// Which store, e.g. `DuckDB .coral/reef.duckdb`.
    pub store: String,
    /// What to do about it.
    pub hint: String,
    /// The cause.
    #[source]
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}
