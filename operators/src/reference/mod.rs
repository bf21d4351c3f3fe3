//! Slow answers computed from scratch: what the operators are held against in tests.

pub mod metrics;

pub mod events;
