//! The configuration of a files source, and the fixed list of files that its globs stand for.

use super::position::Fingerprint;
use crate::error::SourceError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which records a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// Metric summaries.
    Metrics,
    /// Events.
    Events,
}

/// How a file is encoded; told by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object per line.
    Ndjson,
}

impl FileFormat {
    /// The format that a path's extension names: `parquet`, `csv`, `ndjson`, `jsonl` or `json`.
    pub fn of_path(path: &Path) -> Option<FileFormat> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "parquet" => Some(FileFormat::Parquet),
            "csv" => Some(FileFormat::Csv),
            "ndjson" | "jsonl" | "json" => Some(FileFormat::Ndjson),
            _ => None,
        }
    }

    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            FileFormat::Parquet => "parquet",
            FileFormat::Csv => "CSV",
            FileFormat::Ndjson => "NDJSON",
        }
    }
}

/// `[[sources]] kind = "files"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesConfig {
    /// Globs of metric files.
    pub metrics: Vec<String>,
    /// Globs of event files.
    pub events: Vec<String>,
    /// What relative globs are relative to: the folder of the config file.
    pub base_dir: PathBuf,
}

/// One file that a glob stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputFile {
    pub kind: FileKind,
    pub format: FileFormat,
    /// Where to open it.
    pub path: PathBuf,
    /// How the config names it: the partition of its position.
    pub partition: String,
    pub fingerprint: Fingerprint,
}

impl FilesConfig {
    /// Everything that is wrong with the configuration and can be seen without touching the disk.
    pub fn validate(&self) -> Result<(), Vec<SourceError>> {
        let mut problems = Vec::new();
        if self.metrics.is_empty() && self.events.is_empty() {
            problems.push(pattern_error("files", "names no input: give `metrics`, `events` or both"));
        }
        for pattern in self.metrics.iter().chain(&self.events) {
            if let Err(cause) = glob::Pattern::new(pattern) {
                problems
                    .push(pattern_error(pattern, &format!("is not a glob: {} at character {}", cause.msg, cause.pos)));
            } else if FileFormat::of_path(Path::new(pattern)).is_none() {
                let hint = "has no known extension; end it with .parquet, .csv, .ndjson, .jsonl or .json";
                problems.push(pattern_error(pattern, hint));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The files behind the globs, now: metrics and events, each sorted by path. The list does not change afterwards.
    pub(crate) fn expand(&self) -> Result<(Vec<InputFile>, Vec<InputFile>), SourceError> {
        if let Err(mut problems) = self.validate() {
            return Err(problems.swap_remove(0));
        }
        let metrics = self.expand_kind(FileKind::Metrics, &self.metrics)?;
        let events = self.expand_kind(FileKind::Events, &self.events)?;
        if let Some(both) = metrics.keys().find(|path| events.contains_key(*path)) {
            let problem = "is listed as metrics and as events; list it once";
            return Err(pattern_error(&both.display().to_string(), problem));
        }
        Ok((metrics.into_values().collect(), events.into_values().collect()))
    }

    fn expand_kind(&self, kind: FileKind, patterns: &[String]) -> Result<BTreeMap<PathBuf, InputFile>, SourceError> {
        let mut files = BTreeMap::new();
        for pattern in patterns {
            let base = glob::Pattern::escape(&self.base_dir.to_string_lossy());
            let absolute = Path::new(&base).join(pattern);
            let looked = absolute.to_string_lossy().into_owned();
            let paths = glob::glob(&looked)
                .map_err(|cause| pattern_error(pattern, &format!("is not a glob: {}", cause.msg)))?;
            let before = files.len();
            for path in paths {
                let path = path.map_err(|cause| SourceError::File {
                    path: cause.path().to_owned(),
                    cause: std::io::Error::new(cause.error().kind(), cause.error().to_string()),
                })?;
                if path.is_dir() {
                    continue;
                }
                let Some(format) = FileFormat::of_path(&path) else { continue };
                let fingerprint = Fingerprint::of(&path)?;
                let partition = path.strip_prefix(&self.base_dir).unwrap_or(&path).to_string_lossy().into_owned();
                files.insert(path.clone(), InputFile { kind, format, path, partition, fingerprint });
            }
            if files.len() == before && !files.keys().any(|path| matches(&looked, path)) {
                return Err(pattern_error(pattern, &format!("matches no file; looked at {}", self.shown(pattern))));
            }
        }
        Ok(files)
    }

    /// The absolute form of a pattern, for people.
    fn shown(&self, pattern: &str) -> String {
        let joined = self.base_dir.join(pattern);
        std::path::absolute(&joined).unwrap_or(joined).display().to_string()
    }
}

fn matches(pattern: &str, path: &Path) -> bool {
    glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_path(path))
}

fn pattern_error(pattern: &str, problem: &str) -> SourceError {
    SourceError::Pattern { pattern: pattern.to_owned(), problem: problem.to_owned() }
}
