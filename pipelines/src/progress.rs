//! What a run reports while it goes and when it ends; rendered by the command line, never by the pipeline.

use model::time::TimeMs;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the run is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Opening the store, rebuilding windows from stored rows.
    #[default]
    Restoring,
    /// Reading input and correlating it.
    Running,
    /// Input has stopped; the last tick is being correlated and committed.
    Draining,
}

/// A snapshot of a run. Counters only rise.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// What the run is doing.
    pub phase: Phase,
    /// Events taken in by this run, repeats included.
    pub events: u64,
    /// Metric rows taken in by this run, repeats included.
    pub metrics: u64,
    /// Rows refused by this run.
    pub rejects: u64,
    /// Rows beyond the allowed lateness.
    pub late: u64,
    /// Ticks committed.
    pub ticks: u64,
    /// Greatest event time reached.
    pub event_time: Option<TimeMs>,
    /// Live colonies that have answered and those that are expected.
    pub colonies: (u64, u64),
    /// Confirmed patterns at the last evaluation.
    pub confirmed: u64,
    /// Candidates at the last evaluation.
    pub candidates: u64,
    /// Bytes read and bytes in all, for finite input.
    pub bytes: Option<(u64, u64)>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All input was finite and has been read.
    InputFinished,
    /// The run was asked to stop, and drained.
    Stopped,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// Why it ended.
    pub ended: Ended,
    /// The last snapshot.
    pub progress: Progress,
    /// Refused rows by reason, this run.
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// Eligible ordered pairs of event types tested at the last evaluation.
    pub event_pairs_tested: u64,
    /// Pairs of metric series tested at the last evaluation.
    pub metric_pairs_tested: u64,
    /// Wall-clock length of the run.
    pub elapsed_ms: u64,
    /// Where everything is stored, for people, e.g. `DuckDB .coral/my-infrastructure.duckdb`.
    pub store: String,
}
