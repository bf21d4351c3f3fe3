//! Pipelines: wires sources, operators and a store together; the one place where async meets dataflow.
//!
//! | file | owns |
//! |---|---|
//! | `config/` | the configuration: text to checked values, every mistake at once |
//! | `inputs`, `store`, `params` | from the configuration to sources, a store, the operators' parameters |
//! | `intake` | sources as tasks, one bounded queue |
//! | `engine` | the dataflow on its worker threads, one tick at a time |
//! | `workers` | its worker threads, in one process or among several |
//! | `clock` | now, as the rows tell it |
//! | `pace` | when to evaluate |
//! | `restore` | windows rebuilt from stored rows |
//! | `published` | from changes of findings to what the store writes |
//! | `run` | the loop that puts them together |
//! | `cluster/` | one run in several processes |
//! | `progress` | what a run reports |

pub mod clock;
pub mod cluster;
pub mod config;
pub mod engine;
pub mod inputs;
mod intake;
mod pace;
pub mod params;
pub mod progress;
mod published;
mod restore;
pub mod run;
pub mod store;
pub mod workers;

pub use run::{RunError, RunOptions, run};
