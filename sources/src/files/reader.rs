//! One open file of any format: an iterator of chunks. The files source and `coral colony import` both read with it.

use super::chunk::{Chunk, Collector};
use super::config::{FileFormat, InputFile};
use super::content::Content;
use super::csv::{CsvFault, CsvReader};
use super::fingerprint::Fingerprint;
use super::input::Input;
use super::ndjson::{self, NdjsonReader};
use super::parquet::ParquetReader;
use super::position::FilePosition;
use crate::error::SourceError;
use crate::guard::guarded;
use crate::record::RowKind;
use crate::record::fields::Field;
use crate::record::magic::known_by;
use model::clock::SharedClock;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens a file from its start; `kind` is the kind of its records, the extension determines their encoding.
///
/// ```no_run
/// use coral_sources::RowKind;
/// use coral_sources::files::open;
/// use model::clock::SystemClock;
/// for chunk in open("events.ndjson".as_ref(), RowKind::Events, &SystemClock::shared())? {
///     let chunk = chunk?;
///     assert!(chunk.rows.events.len() + chunk.rejects.len() <= 8_192);
/// }
/// # Ok::<(), coral_sources::SourceError>(())
/// ```
pub fn open(path: &Path, kind: RowKind, clock: &SharedClock) -> Result<FileReader, SourceError> {
    let format = FileFormat::of_path(path).ok_or_else(|| SourceError::Pattern {
        pattern: path.display().to_string(),
        problem: "has no known extension; it must end in .parquet, .csv, .ndjson, .jsonl or .json".to_owned(),
    })?;
    let fingerprint = Fingerprint::of(path)?;
    let partition = path.display().to_string();
    let file = InputFile { kind, format, path: path.to_owned(), partition, fingerprint, version: 0 };
    FileReader::open(&file, FilePosition::start(fingerprint), clock)
}

/// Whether a file holds metrics or events: its columns say so, or the names in its first records.
///
/// # Errors
/// It cannot be read, or has neither.
pub fn kind_of(path: &Path, clock: &SharedClock) -> Result<RowKind, SourceError> {
    match open(path, RowKind::Metrics, clock) {
        Ok(reader) if matches!(reader.format, Format::Ndjson(_)) => {
            let kind = ndjson::kind_of(&reader.input);
            kind.map_err(|cause| SourceError::File { path: path.to_owned(), cause })?.ok_or_else(|| {
                SourceError::Format {
                    path: path.to_owned(),
                    format: FileFormat::Ndjson.name(),
                    problem: "no record of it is a JSON object".to_owned(),
                }
            })
        }
        Ok(_) => Ok(RowKind::Metrics),
        Err(as_metrics @ SourceError::Format { .. }) => match open(path, RowKind::Events, clock) {
            Ok(_) => Ok(RowKind::Events),
            // if it is neither, the missing metric columns are the best message
            Err(_) => Err(as_metrics),
        },
        Err(error) => Err(error),
    }
}

/// An open file: gives chunks of bounded size until the end.
pub struct FileReader {
    path: PathBuf,
    input: Input,
    format: Format,
    collector: Collector,
    position: FilePosition,
    is_finished: bool,
}

enum Format {
    Parquet(Box<ParquetReader>),
    Csv(Box<CsvReader>),
    Ndjson(Box<NdjsonReader>),
}

impl FileReader {
    pub(crate) fn open(input: &InputFile, from: FilePosition, clock: &SharedClock) -> Result<FileReader, SourceError> {
        let (path, format) = (&input.path, input.format);
        let file = File::open(path).map_err(|cause| SourceError::File { path: path.clone(), cause })?;
        let bytes = Input { file: Arc::new(file), len_bytes: from.file.len_bytes };
        let opened = guarded(|| {
            #[cfg(test)]
            planted(path, "panics-when-opened");
            first_look(&bytes, format).and_then(|()| Format::open(format, input.kind, &bytes, from.clone()))
        });
        let format = in_file(path, format, opened)?;
        let collector = Collector::new("files", input, clock.clone());
        Ok(FileReader { path: path.clone(), input: bytes, format, collector, position: from, is_finished: false })
    }

    /// Length of the file in bytes when it was opened.
    pub fn bytes_in_all(&self) -> u64 {
        self.position.file.len_bytes
    }

    /// Whether the last chunk has been given.
    pub(crate) fn is_at_end(&self) -> bool {
        self.is_finished
    }

    /// The next chunk. The last one may be empty: it carries the position of the end.
    fn read(&mut self) -> Result<Chunk, SourceError> {
        let (format, collector) = (&mut self.format, &mut self.collector);
        let filled = guarded(|| {
            #[cfg(test)]
            planted(&self.path, "panics-when-read");
            format.fill(collector)
        });
        let mut position = in_file(&self.path, self.format.name(), filled)?;
        let is_whole = self.format.is_whole();
        let about = if is_whole { position.file.len_bytes } else { position.bytes };
        // where this fails, the file was cut while it was read: the next run sees another file
        position.content = Content::of(&self.input.file, about, position.is_done && !is_whole).ok();
        self.position = position.clone();
        Ok(self.collector.finish(position))
    }
}

impl Format {
    fn open(format: FileFormat, kind: RowKind, input: &Input, from: FilePosition) -> Result<Format, ReadFault> {
        let require = |has: &dyn Fn(Field) -> bool| required_columns(kind, has);
        Ok(match format {
            FileFormat::Ndjson => Format::Ndjson(Box::new(NdjsonReader::open(input, from).map_err(ReadFault::Io)?)),
            FileFormat::Parquet => {
                Format::Parquet(Box::new(ParquetReader::open(input, from, require).map_err(ReadFault::Format)?))
            }
            FileFormat::Csv => match CsvReader::open(input, from, &require) {
                Ok(reader) => Format::Csv(Box::new(reader)),
                Err(CsvFault::Io(cause)) => return Err(ReadFault::Io(cause)),
                Err(CsvFault::Header(problem)) => return Err(ReadFault::Format(problem)),
            },
        })
    }

    fn fill(&mut self, out: &mut Collector) -> Result<FilePosition, ReadFault> {
        match self {
            Format::Ndjson(reader) => reader.fill(out).map_err(ReadFault::Io),
            Format::Csv(reader) => reader.fill(out).map_err(ReadFault::Io),
            Format::Parquet(reader) => reader.fill(out).map_err(ReadFault::Format),
        }
    }

    fn name(&self) -> FileFormat {
        match self {
            Format::Parquet(_) => FileFormat::Parquet,
            Format::Csv(_) => FileFormat::Csv,
            Format::Ndjson(_) => FileFormat::Ndjson,
        }
    }

    /// Whether the file means something only as a whole: nothing can be appended to it.
    fn is_whole(&self) -> bool {
        matches!(self, Format::Parquet(_))
    }
}

/// Panics for a file that a test has named so, as a library does on some damage.
#[cfg(test)]
fn planted(path: &Path, stem: &str) {
    assert!(path.file_stem().is_none_or(|found| found != stem), "a planted panic");
}

/// Why a file cannot be read, or not on.
enum ReadFault {
    Io(std::io::Error),
    Format(String),
}

/// Names the file in a fault. A panic of a library is a fault of the file that it was reading.
fn in_file<T>(path: &Path, format: FileFormat, read: Result<Result<T, ReadFault>, String>) -> Result<T, SourceError> {
    let format_error = |problem| SourceError::Format { path: path.to_owned(), format: format.name(), problem };
    match read {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(ReadFault::Io(cause))) => Err(SourceError::File { path: path.to_owned(), cause }),
        Ok(Err(ReadFault::Format(problem))) => Err(format_error(problem)),
        Err(panic) => Err(format_error(format!("it is damaged in a way that its reader does not survive ({panic})"))),
    }
}

impl Iterator for FileReader {
    type Item = Result<Chunk, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_finished {
            return None;
        }
        let chunk = self.read();
        self.is_finished = chunk.is_err() || self.position.is_done;
        Some(chunk)
    }
}

/// How much of a file is examined before it is read.
const FIRST_LOOK_BYTES: u64 = 4 * 1024;

/// Names a file that is something else than its extension says.
fn first_look(input: &Input, format: FileFormat) -> Result<(), ReadFault> {
    let mut start = Vec::new();
    input.reader(0).take(FIRST_LOOK_BYTES).read_to_end(&mut start).map_err(ReadFault::Io)?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
    let problem = match format {
        FileFormat::Parquet if start.is_empty() => Some("it is empty".to_owned()),
        FileFormat::Parquet if start.starts_with(b"PAR1") => {
            let mut end = [0; 4];
            let from = input.len_bytes.saturating_sub(4);
            input.reader(from).read_exact(&mut end).map_err(ReadFault::Io)?;
            let is_whole = input.len_bytes >= 12 && (end == *b"PAR1" || end == *b"PARE");
            (!is_whole).then(|| "its end is missing: it was truncated, or is still being written".to_owned())
        }
        FileFormat::Parquet => Some(match known_by(&start) {
            Some(what) => format!("it is {what}"),
            None => format!("it does not begin as one but with {:?}: is its extension right?", shown(&start)),
        }),
        _ => known_by(&start).map(|what| format!("it is {what}")),
    };
    let problem = problem.or_else(|| match format {
        FileFormat::Csv if matches!(text.first(), Some(b'{' | b'[')) => {
            Some(format!("it holds JSON ({:?}): let its name end with .ndjson", shown(text)))
        }
        FileFormat::Ndjson if !matches!(text.first(), Some(b'{' | b'[')) && super::csv::is_header(text) => {
            Some(format!("its first line is a header of CSV ({:?}): let its name end with .csv", shown(text)))
        }
        _ => None,
    });
    problem.map_or(Ok(()), |problem| Err(ReadFault::Format(problem)))
}

/// The first characters of a first line.
fn shown(text: &[u8]) -> String {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line).trim_end().chars().take(60).collect()
}

/// What a file as a whole must have: the identity columns of its kind, and for metrics at least one statistic.
fn required_columns(kind: RowKind, has: &dyn Fn(Field) -> bool) -> Result<(), String> {
    let required: &[Field] = match kind {
        RowKind::Metrics => &[Field::ColonyId, Field::ServiceId, Field::MetricName, Field::Timestamp],
        RowKind::Events => &[Field::ColonyId, Field::EventId, Field::Timestamp, Field::EventType, Field::ServiceId],
    };
    let missing: Vec<&str> = required.iter().filter(|field| !has(**field)).map(|field| field.name()).collect();
    if !missing.is_empty() {
        return Err(format!("required columns are missing: {}", missing.join(", ")));
    }
    if kind == RowKind::Metrics && !Field::STATISTICS.into_iter().any(has) {
        return Err("it has none of the columns p50, p95, p99, mean, max".to_owned());
    }
    Ok(())
}
