//! How far a file has been read, and whether it is still the same file.

use crate::error::SourceError;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What tells a changed file from an unchanged one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub len_bytes: u64,
    pub modified_ns: u64,
}

impl Fingerprint {
    pub(crate) fn of(path: &Path) -> Result<Fingerprint, SourceError> {
        let file_error = |cause| SourceError::File { path: path.to_owned(), cause };
        let metadata = std::fs::metadata(path).map_err(file_error)?;
        let modified = metadata.modified().map_err(file_error)?;
        let since_1970 = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Fingerprint { len_bytes: metadata.len(), modified_ns: since_1970.as_nanos() as u64 })
    }
}

/// Where to go on in a file. The stored form is JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePosition {
    /// Records done: lines of NDJSON (blank ones too), records of CSV, rows of parquet.
    pub rows: u64,
    /// Lines done, for the place of a reject; equal to `rows` except in CSV, whose records may span lines.
    pub lines: u64,
    /// Bytes done; the length of the file once everything has been read.
    pub bytes: u64,
    /// The file that these numbers are about.
    pub file: Fingerprint,
}

impl FilePosition {
    /// The start of a file.
    pub(crate) fn start(file: Fingerprint) -> FilePosition {
        FilePosition { file, ..FilePosition::default() }
    }

    /// The stored position when it is about this very file, else the start: a changed file is read again from the
    /// start (rows that have not changed are repeats, which change nothing downstream).
    pub(crate) fn resume(stored: Option<&String>, file: Fingerprint) -> FilePosition {
        stored
            .and_then(|text| serde_json::from_str::<FilePosition>(text).ok())
            .filter(|position| position.file == file && position.bytes <= file.len_bytes)
            .unwrap_or_else(|| FilePosition::start(file))
    }

    /// Whether everything has been read.
    pub(crate) fn is_done(&self) -> bool {
        self.bytes >= self.file.len_bytes
    }

    /// The stored form.
    pub(crate) fn to_text(self) -> String {
        format!(
            r#"{{"rows":{},"lines":{},"bytes":{},"file":{{"len_bytes":{},"modified_ns":{}}}}}"#,
            self.rows, self.lines, self.bytes, self.file.len_bytes, self.file.modified_ns
        )
    }
}
