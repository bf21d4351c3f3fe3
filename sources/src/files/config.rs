//! The configuration of a files source, and the fixed list of files that its globs match.

use super::fingerprint::Fingerprint;
use crate::error::SourceError;
use crate::record::RowKind;
use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Encoding of a file, determined by its extension.
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
    /// The format that a path's extension names: `parquet`, `csv`, `tsv`, `ndjson`, `jsonl` or `json`.
    pub fn of_path(path: &Path) -> Option<FileFormat> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "parquet" => Some(FileFormat::Parquet),
            "csv" | "tsv" => Some(FileFormat::Csv),
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
    /// Minimum version of the rows of a glob, if stated: these rows win over rows of lower versions, whatever their
    /// values.
    pub versions: BTreeMap<String, u64>,
}

/// One file that a glob matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputFile {
    pub kind: RowKind,
    pub format: FileFormat,
    /// Where to open it.
    pub path: PathBuf,
    /// How the config names it: the partition of its position.
    pub partition: String,
    pub fingerprint: Fingerprint,
    /// Minimum version of its rows.
    pub version: u64,
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
                problems.push(pattern_error(pattern, unknown_extension(pattern)));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The files that the globs match now: metrics and events, each sorted by path. The list does not change
    /// afterwards. A file matched by several patterns or links is listed once.
    pub(crate) fn expand(&self) -> Result<(Vec<InputFile>, Vec<InputFile>), SourceError> {
        if let Err(mut problems) = self.validate() {
            return Err(problems.swap_remove(0));
        }
        let metrics = self.expand_kind(RowKind::Metrics, &self.metrics)?;
        let events = self.expand_kind(RowKind::Events, &self.events)?;
        if let Some(both) = metrics.keys().find(|path| events.contains_key(*path)) {
            let problem = "is listed as metrics and as events; list it once";
            return Err(pattern_error(&both.display().to_string(), problem));
        }
        let sorted = |files: BTreeMap<PathBuf, InputFile>| {
            let mut files: Vec<InputFile> = files.into_values().collect();
            files.sort_by(|one, other| one.path.cmp(&other.path));
            files
        };
        Ok((sorted(metrics), sorted(events)))
    }

    /// The files of one kind, by where they really are.
    fn expand_kind(&self, kind: RowKind, patterns: &[String]) -> Result<BTreeMap<PathBuf, InputFile>, SourceError> {
        let mut files: BTreeMap<PathBuf, InputFile> = BTreeMap::new();
        for pattern in patterns {
            let (paths, is_name) = self.paths_of(pattern)?;
            let version = self.versions.get(pattern).copied().unwrap_or_default();
            let (mut found, mut folder) = (0, None);
            for path in paths {
                let metadata = std::fs::metadata(&path);
                match metadata.as_ref().map(|metadata| metadata.file_type()) {
                    Ok(kind) if kind.is_dir() => folder = Some(path),
                    Ok(kind) if !kind.is_file() => return Err(pattern_error(pattern, &not_a_file(&path, kind))),
                    Err(cause) if is_name => {
                        let cause = std::io::Error::new(cause.kind(), cause.to_string());
                        return Err(SourceError::File { path, cause });
                    }
                    // a dead link, for example: reported when it is opened
                    _ => {
                        let Some(format) = FileFormat::of_path(&path) else { continue };
                        found += 1;
                        let fingerprint = Fingerprint::of(&path).unwrap_or_default();
                        let partition = self.partition_of(&path);
                        let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
                        let mut input = InputFile { kind, format, path, partition, fingerprint, version };
                        if let Some(known) = files.get(&real) {
                            input.version = input.version.max(known.version);
                            if known.path <= input.path {
                                input = InputFile { version: input.version, ..known.clone() };
                            }
                        }
                        files.insert(real, input);
                    }
                }
            }
            if found == 0 {
                let problem = match folder {
                    Some(folder) => {
                        let example = Path::new(pattern).join("*.ndjson");
                        format!(
                            "is a folder ({}); name the files in it: {:?}",
                            folder.display(),
                            example.display().to_string()
                        )
                    }
                    None => format!("matches no file; searched {}", self.shown(pattern)),
                };
                return Err(pattern_error(pattern, &problem));
            }
        }
        Ok(files)
    }

    /// What a pattern matches, and whether it is the name of a single file: a file of exactly this name takes
    /// precedence over `*`, `?` and `[ ]` as wildcards.
    fn paths_of(&self, pattern: &str) -> Result<(Vec<PathBuf>, bool), SourceError> {
        let literal = self.base_dir.join(pattern);
        let has_wildcards = pattern.contains(['*', '?', '[']);
        match literal.symlink_metadata() {
            Ok(_) => return Ok((vec![literal], !has_wildcards)),
            // its folder may not be searched: whether there is such a file is unknown
            Err(cause) if cause.kind() == std::io::ErrorKind::PermissionDenied && !has_wildcards => {
                return Err(SourceError::File { path: literal, cause });
            }
            Err(_) => {}
        }
        let base = glob::Pattern::escape(&self.base_dir.to_string_lossy());
        let looked = Path::new(&base).join(pattern).to_string_lossy().into_owned();
        let paths =
            glob::glob(&looked).map_err(|cause| pattern_error(pattern, &format!("is not a glob: {}", cause.msg)))?;
        let paths: Result<Vec<PathBuf>, glob::GlobError> = paths.collect();
        let paths = paths.map_err(|cause| SourceError::File {
            path: cause.path().to_owned(),
            cause: std::io::Error::new(cause.error().kind(), cause.error().to_string()),
        })?;
        Ok((paths, !has_wildcards))
    }

    /// The name of a file in positions and messages: relative to the configuration if it is below it, for any form of
    /// the pattern.
    fn partition_of(&self, path: &Path) -> String {
        let plain = |path: &Path| -> PathBuf {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            absolute.components().collect()
        };
        let (path, base) = (plain(path), plain(&self.base_dir));
        path.strip_prefix(&base).unwrap_or(&path).to_string_lossy().into_owned()
    }

    /// The absolute form of a pattern, for people.
    fn shown(&self, pattern: &str) -> String {
        let joined = self.base_dir.join(pattern);
        std::path::absolute(&joined).unwrap_or(joined).display().to_string()
    }
}

fn unknown_extension(pattern: &str) -> &'static str {
    let extension = Path::new(pattern).extension().and_then(|it| it.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "gz" | "zst" | "bz2" | "xz" | "lz4" | "zip" | "z" => {
            "is a compressed file, which is not read; decompress it first (for example gunzip for .gz)"
        }
        "xlsx" | "xls" | "ods" => "is a spreadsheet, which is not read; save it as .csv",
        _ => "has no known extension; end it with .parquet, .csv, .tsv, .ndjson, .jsonl or .json",
    }
}

fn not_a_file(path: &Path, kind: std::fs::FileType) -> String {
    let what = if kind.is_fifo() {
        "a pipe (FIFO)"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    format!(
        "names {what} ({}); only files can be read again from where they were left: write it into a file first",
        path.display()
    )
}

fn pattern_error(pattern: &str, problem: &str) -> SourceError {
    SourceError::Pattern { pattern: pattern.to_owned(), problem: problem.to_owned() }
}
