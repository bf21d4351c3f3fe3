//! Alarm: the first fault of any process, told to everything that runs in this one.

use super::Peer;
use std::sync::Arc;
use tokio::sync::watch;

/// Why processes cannot run together, or not any longer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClusterError {
    /// The command line names a process that the configuration does not have.
    #[error("there is no process {process}: engine.hosts names {hosts}, counted from 0")]
    NoSuchProcess {
        /// The process asked for.
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
    /// Another process does not want this one.
    #[error("{other} refused this process: {why}")]
    Refused {
        /// The other.
        other: Peer,
        /// In its words.
        why: String,
    },
    /// A connection broke: the process ended, or the network did.
    #[error(
        "{peer} is lost: {what}; everything up to the last tick is stored: look at its last messages, then start all processes again"
    )]
    Lost {
        /// Who.
        peer: Peer,
        /// What was seen.
        what: String,
    },
    /// A process is there but does not speak.
    #[error(
        "{peer} has been silent for {silent_s} s and counts as lost; everything up to the last tick is stored: end that process if it hangs, then start all processes again"
    )]
    Silent {
        /// Who.
        peer: Peer,
        /// For how long.
        silent_s: u64,
    },
    /// Another process ended with an error of its own.
    #[error("{peer} failed, and this process ends with it: {message}")]
    Failed {
        /// Who.
        peer: Peer,
        /// In its words.
        message: String,
    },
    /// Another process sent what it must not: a bug.
    #[error("{peer} broke the protocol: {what}; this is a bug, please report it with this text")]
    Protocol {
        /// Who.
        peer: Peer,
        /// What it sent.
        what: String,
    },
}

/// Raised once; whoever waits for it is told the first fault.
#[derive(Clone, Debug, Default)]
pub struct Alarm(Arc<watch::Sender<Option<ClusterError>>>);

impl Alarm {
    /// Raises it, unless it is raised already: what follows a first fault is its echo.
    pub fn raise(&self, error: ClusterError) {
        self.0.send_if_modified(|raised| {
            let is_first = raised.is_none();
            if is_first {
                *raised = Some(error);
            }
            is_first
        });
    }

    /// Waits until it is raised.
    pub async fn raised(&self) -> ClusterError {
        let mut watching = self.0.subscribe();
        match watching.wait_for(Option::is_some).await.map(|raised| raised.clone()) {
            Ok(Some(error)) => error,
            // this very alarm holds the sender
            _ => std::future::pending().await,
        }
    }
}
