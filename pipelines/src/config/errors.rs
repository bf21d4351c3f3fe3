//! Errors of a configuration: all of them at once, each with file, line and column.

use super::node::Place;
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigError {
    /// Where, unless the file as a whole is meant.
    pub place: Option<Place>,
    /// The error and what to do.
    pub message: String,
    /// Nothing is wrong with the text: a variable that it names is not set here.
    pub is_unset: bool,
}

impl ConfigError {
    /// An error at a place.
    pub(super) fn at(place: Place, message: impl Into<String>) -> ConfigError {
        ConfigError { place: Some(place), message: message.into(), is_unset: false }
    }
}

/// Everything that is wrong with a configuration, in the order of the text.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors {
    /// The file.
    pub origin: PathBuf,
    /// The errors; at least one.
    pub errors: Vec<ConfigError>,
    /// Settings of the command line. Errors in them have line 0 and their number, from 1, as column.
    pub overrides: Vec<String>,
    /// Set if the file could not be read at all.
    #[source]
    pub cause: Option<std::io::Error>,
}

impl ConfigErrors {
    pub(super) fn new(origin: &Path, errors: Vec<ConfigError>) -> ConfigErrors {
        ConfigErrors { origin: origin.to_owned(), errors, overrides: Vec::new(), cause: None }.in_order()
    }

    /// In the order of the text, each once.
    pub(super) fn in_order(mut self) -> ConfigErrors {
        self.errors.sort();
        self.errors.dedup();
        self
    }

    pub(super) fn with_overrides(self, overrides: &[String]) -> ConfigErrors {
        ConfigErrors { overrides: overrides.to_vec(), ..self }
    }

    pub(super) fn of_file(origin: &Path, message: String) -> ConfigErrors {
        ConfigErrors::new(origin, vec![ConfigError { place: None, message, is_unset: false }])
    }

    pub(super) fn unreadable(origin: &Path, cause: std::io::Error) -> ConfigErrors {
        let message = match cause.kind() {
            std::io::ErrorKind::NotFound => "no such file".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission to read it is missing".to_owned(),
            _ => "cannot be read".to_owned(),
        };
        ConfigErrors { cause: Some(cause), ..ConfigErrors::of_file(origin, message) }
    }

    /// Whether the file does not exist.
    pub fn is_missing_file(&self) -> bool {
        self.cause.as_ref().is_some_and(|cause| cause.kind() == std::io::ErrorKind::NotFound)
    }

    /// One line per error: `reef.toml:12:5: unknown key …`, `--set correlation.max_lagg=6h: unknown key …`.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let origin = self.origin.display();
        self.errors.iter().map(move |error| match error.place {
            Some(Place { line: 0, column }) => {
                let setting = self.overrides.get(column.wrapping_sub(1)).map_or("", String::as_str);
                format!("--set {setting}: {}", error.message)
            }
            Some(Place { line, column }) => format!("{origin}:{line}:{column}: {}", error.message),
            None => format!("{origin}: {}", error.message),
        })
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines().enumerate() {
            write!(f, "{}{line}", if index > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}
