//! Slow from-scratch references, compared with the operators in tests.

pub mod deployments;
pub mod derived_events;
pub mod event_pair;
pub mod events;
pub mod impact;
mod metric_pair;
pub mod metrics;
pub mod plain;
pub mod predictions;
mod statistics;
