//! Fingerprint: detects a changed file before it is opened.

use crate::error::SourceError;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Detects a changed file before it is opened.
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
