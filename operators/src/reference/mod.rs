//! Slow answers computed from scratch: what the operators are held against in tests.

pub mod event_pair;
pub mod events;
pub mod metrics;
mod statistics;
