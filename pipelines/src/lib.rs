//! Pipelines: wires sources, operators and a store together; the one place where async meets dataflow.
//!
//! | file | owns |
//! |---|---|
//! | `config/` | the configuration: text to checked values, every mistake at once |
//! | `open/` | what the configuration names, opened: stores, sources, the operators' parameters |
//! | `engine/` | the dataflow on its worker threads, one tick at a time |
//! | `run/` | the loop: read, tick, correlate, commit, drain |
//! | `replay/` | the loop over recorded rows: into the live store, into another one, or as a what-if |
//! | `impact/` | the impact of deployments: judged from a store, and as its rows |
//! | `cluster/` | one run in several processes |
//! | `clock` | the current event time, as the rows on time state it |
//! | `evaluated` | the event times that the stored patterns are as of |
//! | `deferred` | rows after the reader's clock, read again once it has passed them |
//! | `memory` | how much memory there is, and how it is shared out |
//! | `journal` | the file in which questions in words are recorded |
//! | `metric_plan` | what metric pairs will take of it, refused before it is taken |
//! | `instruments` | what a run counts |
//! | `progress` | what a run reports |
//! | `error` | what ends a run |

pub mod clock;
pub mod cluster;
pub mod config;
pub mod deferred;
pub mod engine;
pub mod error;
pub mod evaluated;
pub mod impact;
pub mod instruments;
pub mod journal;
pub mod memory;
pub mod metric_plan;
pub mod open;
pub mod progress;
pub mod replay;
pub mod run;

pub use error::RunError;
pub use run::{RunOptions, run};
