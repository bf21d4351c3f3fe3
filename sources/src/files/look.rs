//! Checks each file before a run: whether it opens and has its columns, and its first records.

use super::config::{FileFormat, FilesConfig, InputFile};
use super::position::FilePosition;
use super::reader::FileReader;
use crate::error::SourceError;
use crate::record::RowKind;
use model::clock::SharedClock;
use model::reject::Reject;
use std::path::PathBuf;

/// What a file of the configuration looks like from its first records.
#[derive(Debug)]
pub struct FileLook {
    /// The file as the configuration names it.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// Which records it is to hold.
    pub kind: RowKind,
    /// How it is encoded.
    pub format: FileFormat,
    /// Its size.
    pub len_bytes: u64,
    /// Good records among the first ones.
    pub good_rows: usize,
    /// Refused records among the first ones.
    pub rejects: Vec<Reject>,
    /// Why a run could not read it: it does not open, is another format, lacks columns, breaks at once.
    pub problem: Option<SourceError>,
}

impl FilesConfig {
    /// Opens every file that the globs match and reads its first records (one chunk). Nothing is changed.
    ///
    /// # Errors
    /// A pattern without a readable file, as for [`FilesConfig::build`]; errors of a single file are in its
    /// [`FileLook::problem`].
    pub fn look(&self, clock: &SharedClock) -> Result<Vec<FileLook>, SourceError> {
        let (metrics, events) = self.expand()?;
        Ok(metrics.into_iter().chain(events).map(|file| FileLook::at(file, clock)).collect())
    }
}

impl FileLook {
    fn at(file: InputFile, clock: &SharedClock) -> FileLook {
        let mut look = FileLook {
            name: file.partition.clone(),
            path: file.path.clone(),
            kind: file.kind,
            format: file.format,
            len_bytes: file.fingerprint.len_bytes,
            good_rows: 0,
            rejects: Vec::new(),
            problem: None,
        };
        let first = FileReader::open(&file, FilePosition::start(file.fingerprint), clock)
            .and_then(|mut reader| reader.next().transpose());
        match first {
            Ok(Some(chunk)) => (look.good_rows, look.rejects) = (chunk.rows.len(), chunk.rejects),
            Ok(None) => {}
            Err(problem) => look.problem = Some(problem),
        }
        look
    }
}
