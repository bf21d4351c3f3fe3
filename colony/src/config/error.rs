//! Errors of a colony's configuration.

use std::path::PathBuf;

/// A configuration fault.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no home directory to look in.
    #[error("cannot find the home directory: set HOME, or CORAL_HOME to the folder to use instead of ~/.coral")]
    NoHome,
    /// A file or folder could not be read or written.
    #[error("cannot {doing} {path}", path = path.display())]
    Io {
        /// `read`, `write` or `create`.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// A file is not YAML.
    #[error("{path} is not YAML: {problem}", path = path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// What and where.
        problem: String,
    },
    /// A key has a wrong value, or is missing.
    #[error("{path}: {key}: {problem}", path = path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// The error and the correction.
        problem: String,
    },
    /// Neither the command line nor a file names the colony.
    #[error("no colony is configured: run `coral colony init <app> --environment <env>`, or name one with --colony-id")]
    NoColony,
    /// Several colonies fit.
    #[error("several colonies fit {wanted}: {}; name one with --colony-id", candidates.join(", "))]
    Ambiguous {
        /// The requested one.
        wanted: String,
        /// The available ones.
        candidates: Vec<String>,
    },
    /// No colony fits.
    #[error("there is no colony {wanted:?}; known: {}", if candidates.is_empty() { "none, run `coral colony init`".to_owned() } else { candidates.join(", ") })]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        candidates: Vec<String>,
    },
    /// The colony exists already.
    #[error("colony {colony_id} exists already in {path}: remove that file first, or choose another --colony-id", path = path.display())]
    Exists {
        /// Which colony.
        colony_id: String,
        /// Its file.
        path: PathBuf,
    },
}
