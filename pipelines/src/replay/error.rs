//! Errors of a replay: what is missing or in conflict.

use crate::error::RunError;
use sinks::SinkError;
use std::path::PathBuf;

/// Errors of a replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The run itself failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A store refused.
    #[error(transparent)]
    Store(#[from] SinkError),
    /// There is nothing recorded.
    #[error("{store} does not exist: nothing has been recorded yet", store = path.display())]
    NoStore {
        /// The configured store.
        path: PathBuf,
    },
    /// Kafka is requested, but the reef has none.
    #[error("the reef has no source of kind \"kafka\" to replay from; its stored rows can be: --source stored")]
    NoKafka,
    /// The target is the live store.
    #[error(
        "{path} is the live store of this reef: name another file, or omit --into to repair the live store",
        path = path.display()
    )]
    IntoLive {
        /// The target.
        path: PathBuf,
    },
    /// The target is the store of a running reef.
    #[error(
        "{path} holds what a reef has read from {source_name}: a replay would mix with it; name a new file",
        path = path.display()
    )]
    IntoReef {
        /// The target.
        path: PathBuf,
        /// One of its sources.
        source_name: String,
    },
    /// The target belongs to another reef or program.
    #[error("{path} is no store of this reef: name a new file", path = path.display())]
    IntoOther {
        /// The target.
        path: PathBuf,
        /// Whose it is.
        #[source]
        cause: SinkError,
    },
    /// A stored position that cannot be read.
    #[error("the stored position of {part}, {position:?}, is not one of this program's")]
    Position {
        /// Which part of the source.
        part: &'static str,
        /// The position.
        position: String,
    },
}
