//! Pipelines: wires sources, operators and a store together; the one place where async meets dataflow.
//!
//! | file | owns |
//! |---|---|
//! | `config/` | the configuration: text to checked values, every mistake at once |
//! | `inputs`, `store`, `params` | from the configuration to sources, a store, the operators' parameters |
//! | `intake` | sources as tasks, one bounded queue |
//! | `engine` | the dataflow on its worker threads, one tick at a time |
//! | `workers` | its worker threads, in one process or among several |
//! | `memory` | how much memory there is, and how it is shared out |
//! | `clock` | now, as the rows tell it |
//! | `fast` | which services' clocks are ahead of the reader's |
//! | `held` | rows that lie after the reader's clock, read again once it has passed them |
//! | `outside` | stored rows that lie outside the look-back |
//! | `pace` | when to evaluate |
//! | `restore` | windows rebuilt from stored rows |
//! | `desk` | looks into the store of a running reef, and news of its patterns |
//! | `published` | from changes of findings to what the store writes |
//! | `address` | a store named on a command line |
//! | `copy` | a reef's tables from one store into another |
//! | `recorded`, `in_range` | rows that were recorded before, of a range of event time, as sources |
//! | `replay/` | the loop over recorded rows: into the live store, into another one, or as a what-if |
//! | `refused` | refused rows that wait for the next tick |
//! | `retention` | when the store deletes what is too old |
//! | `run` | the loop that puts them together |
//! | `cluster/` | one run in several processes |
//! | `progress` | what a run reports |

pub mod address;
pub mod clock;
pub mod cluster;
mod commits;
pub mod config;
pub mod copy;
pub mod desk;
pub mod engine;
mod fast;
#[cfg(test)]
mod faults;
pub mod held;
mod in_range;
pub mod inputs;
mod intake;
pub mod memory;
pub mod outside;
mod pace;
pub mod params;
pub mod progress;
mod published;
pub mod recorded;
mod recorded_kafka;
mod refused;
pub mod replay;
mod restore;
mod retention;
pub mod run;
pub mod store;
pub mod workers;

pub use run::{RunError, RunOptions, run};
