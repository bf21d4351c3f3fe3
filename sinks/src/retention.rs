//! Retention: how long rows are kept, and the result of one slice of deletion.
//!
//! A row is kept for its retention after the later of its own time and its storage time, so that history imported today
//! is not deleted tonight. A correlation counts from when it was last observed or last changed.

use crate::schema::RetentionClass;
use std::collections::BTreeMap;

/// How long rows are kept, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// `federated_metrics`, and `env_metric_summary` with them.
    pub metrics_ms: i64,
    /// `federated_events`.
    pub events_ms: i64,
    /// `correlations`, with their evidence and links to events.
    pub correlations_ms: i64,
    /// `deployment_timeline`.
    pub deployments_ms: i64,
}

impl Retention {
    /// How long rows of a class are kept, in milliseconds.
    pub fn of(&self, class: RetentionClass) -> i64 {
        match class {
            RetentionClass::Metrics => self.metrics_ms,
            RetentionClass::Events => self.events_ms,
            RetentionClass::Correlations => self.correlations_ms,
            RetentionClass::Deployments => self.deployments_ms,
        }
    }
}

/// The result of one slice of deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows deleted, by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Whether more rows are too old, so that another slice is needed.
    pub is_partial: bool,
}

impl Pruned {
    /// Notes deleted rows.
    pub fn add(&mut self, table: &'static str, rows: u64) {
        if rows > 0 {
            *self.rows.entry(table).or_default() += rows;
        }
    }

    /// Rows deleted in all.
    pub fn total(&self) -> u64 {
        self.rows.values().sum()
    }
}
