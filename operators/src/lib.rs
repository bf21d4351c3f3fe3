//! Operators: timely/differential dataflow that turns rows into correlations. No IO, no clock, no configuration.

pub mod events;
pub mod metrics;
pub mod reference;
pub mod shard;
