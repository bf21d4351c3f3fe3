//! Why a source must stop the run: what failed, where, and what to do.

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
        /// What is wrong with it and what to do.
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
        /// The store's answer: what, where, what to do.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The colony answered, and its answer will not change by asking again (wrong colony at that address, no such service).
    #[error("colony {colony_id} at {endpoint}: {problem}")]
    Colony {
        /// Which colony.
        colony_id: String,
        /// Where it was dialled.
        endpoint: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A bounded read cannot reach its end any more.
    #[error(
        "kafka {brokers}: {topic}/{partition} was to be read up to offset {wanted}, but {there}: it was deleted or made anew \
         since the read began; start again to read what there is now (a replay that was interrupted: with another range)",
        there = there(*found)
    )]
    KafkaShort {
        /// Brokers as configured.
        brokers: String,
        /// Which topic.
        topic: String,
        /// Which partition.
        partition: i32,
        /// The offset that was to be reached.
        wanted: i64,
        /// Where it ends now; `None` when it is not there any more.
        found: Option<i64>,
    },
    /// Kafka refuses, or the configuration of a Kafka source asks for what cannot be.
    #[error("kafka {brokers}: {problem}")]
    Kafka {
        /// Brokers as configured.
        brokers: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

fn there(found: Option<i64>) -> String {
    found.map_or_else(|| "it is not there any more".to_owned(), |end| format!("it now ends at {end}"))
}
