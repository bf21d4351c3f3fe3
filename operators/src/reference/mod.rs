//! Slow from-scratch references, compared with the operators in tests.

pub mod deployments;
pub mod event_pair;
pub mod events;
pub mod metrics;
mod statistics;
