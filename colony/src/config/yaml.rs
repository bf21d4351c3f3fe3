//! Reading a YAML file into nested mappings of text, with path and key in every error.
//!
//! Unknown keys are ignored: other programs store theirs in the same files.

use super::error::ConfigError;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use std::path::{Path, PathBuf};

/// A YAML file whose top is a mapping.
pub(super) struct YamlFile {
    path: PathBuf,
    text: String,
}

impl YamlFile {
    /// Reads the file; `None` when there is none.
    pub(super) fn read(path: &Path) -> Result<Option<YamlFile>, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(YamlFile { path: path.to_owned(), text })),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(ConfigError::Io { doing: "read", path: path.to_owned(), cause }),
        }
    }

    /// A text that is to become the file at `path`.
    pub(super) fn of(path: &Path, text: &str) -> YamlFile {
        YamlFile { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether two texts say the same, apart from the value of one key at the top.
    pub(super) fn differs_only_in(key: &str, before: &str, after: &str) -> bool {
        let (Ok(before), Ok(after)) = (Yaml::load_from_str(before), Yaml::load_from_str(after)) else { return false };
        // a file of remarks only has no document
        let rest = |documents: &[Yaml<'_>]| documents.iter().skip(1).map(|it| format!("{it:?}")).collect::<Vec<_>>();
        others(before.first(), key) == others(after.first(), key) && rest(&before) == rest(&after)
    }

    /// Parses the text and hands the top mapping to `take`.
    pub(super) fn parse<T>(&self, take: impl FnOnce(Keys<'_>) -> Result<T, ConfigError>) -> Result<T, ConfigError> {
        let syntax = |problem: String| ConfigError::Syntax { path: self.path.clone(), problem };
        let documents = Yaml::load_from_str(&self.text).map_err(|error| syntax(error.to_string()))?;
        let top = documents.first();
        if let Some(top) = top
            && !is_mapping_or_empty(top)
        {
            return Err(syntax("the file must be a list of `key: value` lines".to_owned()));
        }
        take(Keys { file: self, prefix: "", node: top })
    }
}

/// The entries of a mapping in their order, without one key.
fn others<'a>(node: Option<&'a Yaml<'a>>, key: &str) -> Vec<(&'a Yaml<'a>, &'a Yaml<'a>)> {
    let Some(Yaml::Mapping(entries)) = node else { return Vec::new() };
    let is_other = |name: &Yaml<'_>| !matches!(name, Yaml::Value(Scalar::String(name)) if **name == *key);
    entries.iter().filter(|(name, _)| is_other(name)).collect()
}

fn is_mapping_or_empty(node: &Yaml<'_>) -> bool {
    matches!(node, Yaml::Mapping(_) | Yaml::Value(Scalar::Null))
}

/// One mapping of the file.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    file: &'a YamlFile,
    prefix: &'a str,
    node: Option<&'a Yaml<'a>>,
}

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Yaml<'a>> {
        self.node?.as_mapping_get(key).filter(|node| !matches!(node, Yaml::Value(Scalar::Null)))
    }

    /// An error about a key of this mapping.
    pub(super) fn error(&self, key: &str, problem: impl Into<String>) -> ConfigError {
        ConfigError::Key { path: self.file.path.clone(), key: format!("{}{key}", self.prefix), problem: problem.into() }
    }

    /// The text of a key; numbers and booleans count as the text they were written as.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(Yaml::Value(Scalar::String(text))) => Ok(Some(text.to_string())),
            Some(Yaml::Value(Scalar::Integer(number))) => Ok(Some(number.to_string())),
            Some(Yaml::Value(Scalar::Boolean(value))) => Ok(Some(value.to_string())),
            Some(_) => Err(self.error(key, "must be text; put it in quotes")),
        }
    }

    /// As `text`, but the key is required.
    pub(super) fn required(&self, key: &str) -> Result<String, ConfigError> {
        self.text(key)?.filter(|text| !text.is_empty()).ok_or_else(|| self.error(key, "is missing"))
    }

    /// A list of texts, or one text; empty when absent.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let Some(Yaml::Sequence(items)) = self.get(key) else { return Ok(self.text(key)?.into_iter().collect()) };
        let text = |item: &Yaml<'_>| match item {
            Yaml::Value(Scalar::String(text)) => Ok(text.to_string()),
            _ => Err(self.error(key, "must be a list of texts; put each in quotes")),
        };
        items.iter().map(text).collect()
    }

    /// Refuses keys that are not among `known`.
    pub(super) fn allow(&self, known: &[&str]) -> Result<(), ConfigError> {
        let Some(Yaml::Mapping(entries)) = self.node else { return Ok(()) };
        for key in entries.keys() {
            let name = match key {
                Yaml::Value(Scalar::String(name)) => name.to_string(),
                _ => String::new(),
            };
            if !known.contains(&name.as_str()) {
                return Err(self.error(&name, format!("is not known; known keys: {}", known.join(", "))));
            }
        }
        Ok(())
    }

    /// A mapping inside this one, if it is written, even without keys.
    pub(super) fn optional_section(&self, key: &str, prefix: &'a str) -> Result<Option<Keys<'a>>, ConfigError> {
        let is_written = self.node.is_some_and(|node| node.as_mapping_get(key).is_some());
        is_written.then(|| self.section(key, prefix)).transpose()
    }

    /// A mapping inside this one; an absent one has no keys.
    pub(super) fn section(&self, key: &str, prefix: &'a str) -> Result<Keys<'a>, ConfigError> {
        let node = self.get(key);
        if node.is_some_and(|node| !is_mapping_or_empty(node)) {
            return Err(self.error(key, "must have keys, indented below it"));
        }
        Ok(Keys { file: self.file, prefix, node })
    }
}
