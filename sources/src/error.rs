//! Errors of a source that stop the run: what failed, where, and what to do.

use std::path::PathBuf;

/// A fault that does not pass by waiting.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file could not be opened or read.
    #[error("cannot read {path}: check that it exists and is readable", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// A glob or extension that names nothing readable.
    #[error("{pattern:?} {problem}")]
    Pattern {
        /// As written in the config.
        pattern: String,
        /// The error and what to do.
        problem: String,
    },
    /// A file is not what its extension says, as a whole (bad header, missing column, broken footer).
    #[error("{path} is not a readable {format} file: {problem}", path = path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// `parquet`, `CSV` or `NDJSON`.
        format: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Recorded rows could not be read back.
    #[error("cannot read recorded rows back")]
    Recorded {
        /// The store's error: what, where, what to do.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The colony responded with an error that a retry cannot fix (wrong colony at that address, no such service).
    #[error("colony {colony_id} at {endpoint}: {problem}")]
    Colony {
        /// Which colony.
        colony_id: String,
        /// The endpoint.
        endpoint: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A bounded read can no longer reach its end.
    #[error(
        "kafka {brokers}: {topic}/{partition} {there}, but the read was planned up to offset {wanted}: the topic was \
         deleted or recreated; start again to read it as it is now (an interrupted replay needs another range)",
        there = there(*found)
    )]
    KafkaShort {
        /// Brokers as configured.
        brokers: String,
        /// Which topic.
        topic: String,
        /// Which partition.
        partition: i32,
        /// The planned end.
        wanted: i64,
        /// Where it ends now; `None` if it no longer exists.
        found: Option<i64>,
    },
    /// Kafka refuses, or the configuration of a Kafka source is invalid.
    #[error("kafka {brokers}: {problem}")]
    Kafka {
        /// Brokers as configured.
        brokers: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

fn there(found: Option<i64>) -> String {
    found.map_or_else(|| "no longer exists".to_owned(), |end| format!("ends at offset {end}"))
}
