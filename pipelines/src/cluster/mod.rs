//! Cluster: one run in several processes, each on its own address: leading, serving, and ending together.
//!
//! Process 0 **leads**: only it opens the store, reads sources that cannot be partitioned (files, colonies), decides
//! lateness, cuts ticks and feeds the dataflow, whose operators spread the rows over the workers of all processes. The
//! others **serve**: they work in the dataflow, read and decode their share of partitioned sources, and send the
//! batches to process 0. There is thus one tick, one commit and one set of positions, as in a single process.
//!
//! Between process 0 and each other process there is a *control* connection (positions, batches, heartbeats, the end);
//! between each two processes a *data* connection that belongs to timely. A process that is lost, hung or broken raises
//! the [`Alarm`](alarm::Alarm) of all others, and their runs end with its name. Nothing is repaired in place: commits
//! are complete, and a restart of all processes resumes from them.
//!
//! | file | owns |
//! |---|---|
//! | `settings` | which settings must agree between processes, and how they differ |
//! | `meet` | connecting to the other processes at the start: listen, dial, handshake |
//! | `wire` | frames of the control connection |
//! | `link` | one control connection while it lives: heartbeat, silence, the last frame |
//! | `stream` | a data connection that ends a run by the alarm instead of a panic |
//! | `lead` | process 0 |
//! | `remote` | the sources of another process as sources of process 0 |
//! | `serve` | the other processes |
//! | `work` | the workers of the other processes |
//! | `alarm` | the first fault of any process, broadcast in this one |

pub mod alarm;
mod lead;
mod link;
mod meet;
mod remote;
mod serve;
mod settings;
pub mod stream;
mod wire;
mod work;

#[cfg(test)]
mod tests;

use crate::config::ReefConfig;
use crate::error::{ClusterError, Peer, RunError};

use crate::open::inputs::{self, InputError};
use crate::progress::{RunSummary, ServeSummary};
use crate::run::RunOptions;
use crate::run::handle::Announcer;
use model::position::Positions;
use sources::share::Share;
use sources::{Source, SourceContext};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;

/// Builds the sources of one share from where they were committed. It must not block for long: on a small machine the
/// heartbeats of this process wait for it.
pub type BuildInputs = dyn Fn(&ReefConfig, &BTreeMap<String, Positions>, Share, &SourceContext) -> Result<Vec<Box<dyn Source>>, InputError>
    + Send
    + Sync;

/// Shows the user a message while nothing else can be displayed.
pub type Tell = dyn Fn(&str) + Send + Sync;

/// How a process of a cluster ended, when nothing failed.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterEnd {
    /// Process 0: the run's own summary.
    Led(Box<RunSummary>),
    /// Another process, and its contribution to the run.
    Served(ServeSummary),
    /// It was stopped while it waited for the others.
    NotStarted,
}

/// This process among the others.
#[derive(Clone, Debug)]
struct Place {
    process: usize,
    hosts: Vec<String>,
    wait: Duration,
    silence: Duration,
}

impl Place {
    fn new(config: &ReefConfig, process: usize) -> Result<Place, ClusterError> {
        let engine = &config.engine;
        if process >= engine.hosts.len() {
            return Err(ClusterError::NoSuchProcess { process, hosts: engine.hosts.len() });
        }
        let duration = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        Ok(Place {
            process,
            hosts: engine.hosts.clone(),
            wait: duration(engine.peer_wait_ms),
            silence: duration(engine.peer_silence_ms),
        })
    }

    fn peer(&self, process: usize) -> Peer {
        Peer { process, host: self.hosts[process].clone() }
    }

    fn me(&self) -> Peer {
        self.peer(self.process)
    }

    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let me = self.process;
        (0..self.hosts.len()).filter(move |process| *process != me)
    }

    fn share(&self) -> Share {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Share { index: small(self.process), of: small(self.hosts.len()) }
    }
}

/// Runs one process of the reef's cluster until the run ends for all. Process 0 has the store, and announces it.
pub async fn run(
    config: &ReefConfig,
    process: usize,
    (options, announcer): (RunOptions, Announcer),
    tell: &Tell,
) -> Result<ClusterEnd, RunError> {
    run_announced(config, process, (options, announcer), tell, &inputs::build_share).await
}

/// The same with sources that the caller builds.
pub async fn run_with(
    config: &ReefConfig,
    process: usize,
    options: RunOptions,
    tell: &Tell,
    inputs: &BuildInputs,
) -> Result<ClusterEnd, RunError> {
    run_announced(config, process, (options, Announcer::default()), tell, inputs).await
}

async fn run_announced(
    config: &ReefConfig,
    process: usize,
    (options, announcer): (RunOptions, Announcer),
    tell: &Tell,
    inputs: &BuildInputs,
) -> Result<ClusterEnd, RunError> {
    let place = Place::new(config, process)?;
    let settings = settings::of(config);
    let stop = options.shutdown.clone();
    let met = tokio::select! {
        met = meet::meet(&place, &settings, tell) => met?,
        () = asked(stop) => return Ok(ClusterEnd::NotStarted),
    };
    if process == 0 {
        let summary = lead::lead(config, &place, met, (options, announcer), inputs).await?;
        Ok(ClusterEnd::Led(Box::new(summary)))
    } else {
        serve::serve(config, &place, met, options, inputs).await.map(ClusterEnd::Served)
    }
}

/// Waits for a stop request; never returns if none is possible any more.
async fn asked(mut shutdown: watch::Receiver<bool>) {
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
