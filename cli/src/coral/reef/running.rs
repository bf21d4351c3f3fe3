//! A running reef as other processes see it: its run file, its control socket, and what can be said of it.
//!
//! | file | owns |
//! |---|---|
//! | `run_file` | which process runs a reef, with a lock |
//! | `control` | messages of the control socket |

pub mod control;
pub mod run_file;

use crate::exit::Failure;
use crate::pipeline::ask::caller;
use control::RunState;
use pipelines::config::ReefConfig;
use run_file::{RunFile, RunPaths};

/// Whether a reef runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Running {
    /// Started by `coral reef start`.
    Here(Box<RunState>),
    /// Another process has the store open and answers, e.g. `coral-pipeline run`.
    Elsewhere,
    /// It does not run; a run file may be left over by a process that was killed.
    No {
        /// That process.
        left: Option<RunFile>,
    },
}

impl Running {
    /// Asks for it.
    ///
    /// # Errors
    /// When a process runs it and does not answer.
    pub async fn of(paths: &RunPaths, config: Option<&ReefConfig>) -> Result<Running, Failure> {
        if let Some(state) = control::state(&paths.socket).await? {
            return Ok(Running::Here(Box::new(state)));
        }
        if let Some(config) = config
            && caller::is_answered(config).await
        {
            return Ok(Running::Elsewhere);
        }
        Ok(Running::No { left: RunFile::read(&paths.run) })
    }
}
