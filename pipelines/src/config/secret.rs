//! Where a secret comes from: the configuration, an environment variable, or a file.

pub use model::secret::Secret;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// Written in the configuration.
    Inline(Secret),
    /// An environment variable.
    Env(String),
    /// A file (the configuration's folder is already joined); one trailing line break is removed.
    File(PathBuf),
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is unset or empty.
    #[error("environment variable {0} is not set")]
    Unset(String),
    /// The file could not be read.
    #[error("cannot read the secret in {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
}

impl SecretSource {
    /// Reads the secret.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        match self {
            SecretSource::Inline(secret) => Ok(secret.clone()),
            SecretSource::Env(name) => from_env(name),
            SecretSource::File(path) => from_file(path),
        }
    }
}

/// Reads a secret from an environment variable.
pub fn from_env(name: &str) -> Result<Secret, SecretError> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
        _ => Err(SecretError::Unset(name.to_owned())),
    }
}

fn from_file(path: &Path) -> Result<Secret, SecretError> {
    let text = std::fs::read_to_string(path).map_err(|cause| SecretError::File { path: path.to_owned(), cause })?;
    Ok(Secret::new(text.strip_suffix('\n').unwrap_or(&text).trim_end_matches('\r')))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_form_of_output_shows_it() {
        let source = SecretSource::Inline(Secret::new("hunter2"));
        let SecretSource::Inline(secret) = &source else { panic!("inline") };
        for text in [format!("{source:?}"), format!("{secret}"), serde_json::to_string(&source).unwrap()] {
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("<redacted>"), "{text}");
        }
        assert_eq!(source.resolve().unwrap().reveal(), "hunter2");
    }

    #[test]
    fn files_lose_one_line_break_and_missing_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hunter2\n").unwrap();
        assert_eq!(SecretSource::File(path).resolve().unwrap().reveal(), "hunter2");
        let missing = SecretSource::File(folder.path().join("none")).resolve().unwrap_err();
        assert!(missing.to_string().contains("none"), "{missing}");
        let unset = SecretSource::Env("CORAL_TEST_SECRET_THAT_NOBODY_SETS".to_owned()).resolve().unwrap_err();
        assert_eq!(unset.to_string(), "environment variable CORAL_TEST_SECRET_THAT_NOBODY_SETS is not set");
    }
}
