//! Options: what a caller hands to a run, and what it keeps to watch and stop it.

use crate::progress::Progress;
use mesh::Network;
use model::clock::SharedClock;
use model::instruments::Registry;
use sources::SourceContext;
use tokio::sync::watch;

/// How a caller watches and stops a run, by which clock it goes, through which network, and where it counts.
pub struct RunOptions {
    /// Receives a snapshot after each tick and each batch.
    pub progress: watch::Sender<Progress>,
    /// Becomes true when the run must drain and end.
    pub shutdown: watch::Receiver<bool>,
    /// The time of day: by it rows are judged, commits are dated, and rows expire.
    pub clock: SharedClock,
    /// What colonies are dialled through.
    pub network: Network,
    /// Where it reports what it counts. A run counts from 0: each has a registry of its own.
    pub registry: Registry,
}

/// The caller's ends of [`RunOptions`]. A run whose controls are dropped is stopped.
#[must_use = "the run ends when they are dropped"]
pub struct Controls {
    /// Snapshots of the run; closed when it is over.
    pub progress: watch::Receiver<Progress>,
    /// Stops the run once it is true.
    pub stop: watch::Sender<bool>,
}

impl RunOptions {
    /// A run by this clock and through this network, with a registry of its own.
    pub fn new(clock: SharedClock, network: Network) -> (RunOptions, Controls) {
        let (sender, progress) = watch::channel(Progress::default());
        let (stop, shutdown) = watch::channel(false);
        let options = RunOptions { progress: sender, shutdown, clock, network, registry: Registry::new() };
        (options, Controls { progress, stop })
    }

    /// What sources need of them.
    pub(crate) fn source_context(&self) -> SourceContext {
        let registry = self.registry.clone();
        SourceContext { registry, ..SourceContext::new(self.clock.clone(), self.network.clone()) }
    }
}
