//! Slow answers computed from scratch: what the operators are held against in tests.

pub mod events;
pub mod metrics;
mod statistics;
