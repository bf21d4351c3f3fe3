//! Pipelines: wires sources, operators and a store together; the one place where async meets dataflow.

pub mod config;
pub mod progress;
