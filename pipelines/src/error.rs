//! Error: what ends a run: its input, its store, its engine, its memory, another process.

use crate::memory::Outgrown;
use crate::metric_plan::TooManySeries;
use crate::open::inputs::InputError;
use sinks::SinkError;
use sources::SourceError;
use std::fmt;
use std::sync::Arc;

/// Why a run ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration asks for something that cannot be built.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] SinkError),
    /// A source cannot continue.
    #[error("source {source_name} cannot continue")]
    Source {
        /// Which source.
        source_name: String,
        /// Why.
        #[source]
        cause: SourceError,
    },
    /// A source task panicked: a bug.
    #[error("a source failed: {panic}; this is a bug, please report it with this text")]
    SourcePanicked {
        /// The panic's message.
        panic: String,
    },
    /// The dataflow cannot continue.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There is too little memory.
    #[error(transparent)]
    Memory(#[from] Outgrown),
    /// There would be too little memory.
    #[error(transparent)]
    Series(#[from] TooManySeries),
    /// The processes of a cluster cannot run together, or not any longer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// The engine cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The worker threads could not be started.
    #[error("cannot start the engine's worker threads: {problem}")]
    Start {
        /// Timely's error.
        problem: String,
    },
    /// A worker panicked: a bug, never the data's fault.
    #[error(
        "worker {worker} of the engine failed on tick {tick}: {panic}; this is a bug, please report it with this text"
    )]
    Panicked {
        /// Which worker.
        worker: usize,
        /// On which tick.
        tick: u64,
        /// The panic's message.
        panic: String,
    },
    /// The worker threads have ended.
    #[error("the engine's worker threads ended unexpectedly")]
    Gone,
}

/// Why processes cannot run together, or not any longer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClusterError {
    /// The command line names a process that the configuration does not have.
    #[error("there is no process {process}: engine.hosts names {hosts}, counted from 0")]
    NoSuchProcess {
        /// The requested process.
        process: usize,
        /// How many there are.
        hosts: usize,
    },
    /// The address of this process cannot be taken.
    #[error("{me} cannot listen on its address; check engine.hosts and --process, and that nothing else listens there")]
    Listen {
        /// This process.
        me: Peer,
        /// Why.
        #[source]
        cause: Arc<std::io::Error>,
    },
    /// Some process was not started in time.
    #[error("{me} waited {waited_s} s for {missing}; start every process, each with its own --process")]
    Absent {
        /// This process.
        me: Peer,
        /// Who did not come.
        missing: String,
        /// For how long it waited.
        waited_s: u64,
    },
    /// Two processes were started with different settings.
    #[error("{me} and {other} were started with different settings: {differences}; give all processes the same file")]
    SettingsDiffer {
        /// This process.
        me: Peer,
        /// The other.
        other: Peer,
        /// Key by key.
        differences: String,
    },
    /// Another process refuses this one.
    #[error("{other} refused this process: {why}")]
    Refused {
        /// The other.
        other: Peer,
        /// In its words.
        why: String,
    },
    /// A connection broke: the process ended, or the network did.
    #[error(
        "{peer} is lost: {what}; everything up to the last tick is stored: check its last messages, then restart all \
         processes"
    )]
    Lost {
        /// Who.
        peer: Peer,
        /// The observation.
        what: String,
    },
    /// A process is connected but sends nothing.
    #[error(
        "{peer} has been silent for {silent_s} s and counts as lost; everything up to the last tick is stored: end that \
         process if it hangs, then restart all processes"
    )]
    Silent {
        /// Who.
        peer: Peer,
        /// For how long.
        silent_s: u64,
    },
    /// Another process ended with its own error.
    #[error("{peer} failed, and this process ends with it: {message}")]
    Failed {
        /// Who.
        peer: Peer,
        /// In its words.
        message: String,
    },
    /// Another process sent an invalid message: a bug.
    #[error("{peer} broke the protocol: {what}; this is a bug, please report it with this text")]
    Protocol {
        /// Who.
        peer: Peer,
        /// The message.
        what: String,
    },
}

/// One process of the cluster, as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its place in `engine.hosts`.
    pub process: usize,
    /// Its address.
    pub host: String,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.process, self.host)
    }
}
