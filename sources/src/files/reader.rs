//! One open file of any format: an iterator of chunks. The files source and `coral colony import` both read with it.

use super::chunk::{Chunk, Collector};
use super::config::{FileFormat, FileKind, InputFile};
use super::csv::{CsvFault, CsvReader};
use super::ndjson::NdjsonReader;
use super::parquet::ParquetReader;
use super::position::{FilePosition, Fingerprint};
use super::record::Field;
use crate::error::SourceError;
use model::clock::SharedClock;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Opens a file from its start; `kind` says which records it holds, the extension how they are encoded.
///
/// ```no_run
/// use coral_sources::files::{FileKind, open};
/// use model::clock::SystemClock;
/// for chunk in open("events.ndjson".as_ref(), FileKind::Events, &SystemClock::shared())? {
///     let chunk = chunk?;
///     assert!(chunk.rows.events.len() + chunk.rejects.len() <= 8_192);
/// }
/// # Ok::<(), coral_sources::SourceError>(())
/// ```
pub fn open(path: &Path, kind: FileKind, clock: &SharedClock) -> Result<FileReader, SourceError> {
    let format = FileFormat::of_path(path).ok_or_else(|| SourceError::Pattern {
        pattern: path.display().to_string(),
        problem: "has no known extension; it must end in .parquet, .csv, .ndjson, .jsonl or .json".to_owned(),
    })?;
    let fingerprint = Fingerprint::of(path)?;
    let file = InputFile { kind, format, path: path.to_owned(), partition: path.display().to_string(), fingerprint };
    FileReader::open(&file, FilePosition::start(fingerprint), clock)
}

/// An open file: gives chunks of at most 8,192 records until the end.
pub struct FileReader {
    path: PathBuf,
    format: Format,
    collector: Collector,
    position: FilePosition,
    is_finished: bool,
}

enum Format {
    Parquet(ParquetReader),
    Csv(Box<CsvReader>),
    Ndjson(NdjsonReader),
}

impl FileReader {
    pub(crate) fn open(input: &InputFile, from: FilePosition, clock: &SharedClock) -> Result<FileReader, SourceError> {
        let path = &input.path;
        let file_error = |cause| SourceError::File { path: path.clone(), cause };
        let format_error = |problem| SourceError::Format { path: path.clone(), format: input.format.name(), problem };
        let file = File::open(path).map_err(file_error)?;
        let require = |has: &dyn Fn(Field) -> bool| required_columns(input.kind, has);
        let format = match input.format {
            FileFormat::Ndjson => Format::Ndjson(NdjsonReader::open(file, from).map_err(file_error)?),
            FileFormat::Parquet => Format::Parquet(ParquetReader::open(file, from, require).map_err(format_error)?),
            FileFormat::Csv => match CsvReader::open(file, from, require) {
                Ok(reader) => Format::Csv(Box::new(reader)),
                Err(CsvFault::Io(cause)) => return Err(file_error(cause)),
                Err(CsvFault::Header(problem)) => return Err(format_error(problem)),
            },
        };
        let collector = Collector::new("files", &input.partition, input.kind, clock.clone());
        Ok(FileReader { path: path.clone(), format, collector, position: from, is_finished: false })
    }

    /// Length of the file in bytes, as it was when it was opened.
    pub fn bytes_in_all(&self) -> u64 {
        self.position.file.len_bytes
    }

    /// The next chunk. The last one may be empty: it carries the position of the end.
    fn read(&mut self) -> Result<Chunk, SourceError> {
        let file_error = |cause| SourceError::File { path: self.path.clone(), cause };
        let position = match &mut self.format {
            Format::Ndjson(reader) => reader.fill(&mut self.collector).map_err(file_error)?,
            Format::Csv(reader) => reader.fill(&mut self.collector).map_err(file_error)?,
            Format::Parquet(reader) => reader.fill(&mut self.collector).map_err(|problem| SourceError::Format {
                path: self.path.clone(),
                format: FileFormat::Parquet.name(),
                problem,
            })?,
        };
        self.position = position;
        Ok(self.collector.finish(position))
    }
}

impl Iterator for FileReader {
    type Item = Result<Chunk, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_finished {
            return None;
        }
        let chunk = self.read();
        self.is_finished = chunk.is_err() || self.position.is_done();
        Some(chunk)
    }
}

/// What a file as a whole must have: the identity columns of its kind, and for metrics at least one statistic.
fn required_columns(kind: FileKind, has: &dyn Fn(Field) -> bool) -> Result<(), String> {
    let required: &[Field] = match kind {
        FileKind::Metrics => &[Field::ColonyId, Field::ServiceId, Field::MetricName, Field::Timestamp],
        FileKind::Events => &[Field::ColonyId, Field::EventId, Field::Timestamp, Field::EventType, Field::ServiceId],
    };
    let missing: Vec<&str> = required.iter().filter(|field| !has(**field)).map(|field| field.name()).collect();
    if !missing.is_empty() {
        return Err(format!("required columns are missing: {}", missing.join(", ")));
    }
    if kind == FileKind::Metrics && !Field::STATISTICS.into_iter().any(has) {
        return Err("it has none of the columns p50, p95, p99, mean, max".to_owned());
    }
    Ok(())
}
