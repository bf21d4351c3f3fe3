//! CSV: columns by header name, quoted fields, empty means null, a broken record refused and the next one read.

use super::chunk::{CHUNK_ROWS_MAX, Collector};
use super::decode::metadata_from_text;
use super::position::FilePosition;
use super::record::{Cell, Field, Record};
use ::csv::{ByteRecord, Position, Reader, ReaderBuilder};
use model::check::Fault;
use model::reject::{RAW_CHARS_MAX, RejectReason};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest record, in bytes. A quote that is never closed would otherwise swallow the rest of the file.
pub(crate) const RECORD_BYTES_MAX: u64 = 4 * 1024 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;
const TOO_LONG: &str = "record too long";

/// Which column of the file holds which field.
type Columns = [Option<usize>; Field::ALL.len()];

pub(crate) struct CsvReader {
    reader: Reader<Guard>,
    budget: Arc<AtomicU64>,
    columns: Columns,
    header_len: usize,
    record: ByteRecord,
    position: FilePosition,
}

/// Why a CSV file cannot be read at all.
pub(crate) enum CsvFault {
    /// Reading failed.
    Io(std::io::Error),
    /// The header is not usable; the words say why.
    Header(String),
}

impl CsvReader {
    /// Reads the header and moves to `from`. `require` says what is missing from a set of columns, if anything.
    pub(crate) fn open(
        file: File,
        from: FilePosition,
        require: impl Fn(&dyn Fn(Field) -> bool) -> Result<(), String>,
    ) -> Result<CsvReader, CsvFault> {
        let budget = Arc::new(AtomicU64::new(RECORD_BYTES_MAX));
        let guard = Guard { file, left: from.file.len_bytes, budget: budget.clone(), is_crlf: None };
        let mut reader = ReaderBuilder::new().flexible(true).buffer_capacity(BUFFER_BYTES).from_reader(guard);
        let header = match reader.byte_headers() {
            Ok(header) => header.clone(),
            Err(cause) => return Err(into_fault(cause)),
        };
        let mut columns: Columns = [None; Field::ALL.len()];
        for field in Field::ALL {
            columns[field as usize] =
                header.iter().position(|name| name.trim_ascii().eq_ignore_ascii_case(field.name().as_bytes()));
        }
        require(&|field| columns[field as usize].is_some()).map_err(CsvFault::Header)?;
        let mut opened =
            CsvReader { reader, budget, columns, header_len: header.len(), record: ByteRecord::new(), position: from };
        if from.bytes > 0 {
            opened.seek(from.bytes, from.lines, from.rows).map_err(into_fault)?;
        }
        Ok(opened)
    }

    /// Reads up to a chunk's worth of records; returns where it stands.
    pub(crate) fn fill(&mut self, out: &mut Collector) -> std::io::Result<FilePosition> {
        while out.len() < CHUNK_ROWS_MAX {
            let start = self.reader.position().clone();
            self.budget.store(RECORD_BYTES_MAX, Ordering::Relaxed);
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => self.take_record(out),
                Ok(false) => {
                    self.position.bytes = self.position.file.len_bytes;
                    break;
                }
                Err(cause) if is_too_long(&cause) => self.skip_line(&start, out)?,
                Err(cause) => return Err(into_io(cause)),
            }
            self.position.rows += 1;
            self.position.bytes = self.reader.position().byte();
            self.position.lines = self.reader.position().line();
        }
        Ok(self.position)
    }

    fn take_record(&mut self, out: &mut Collector) {
        let line = self.line_of(self.record.position());
        let place = || format!(":{line}");
        let raw = || {
            let fields: Vec<_> = self.record.iter().map(String::from_utf8_lossy).collect();
            fields.join(",").chars().take(RAW_CHARS_MAX).collect()
        };
        let fault = if self.record.len() != self.header_len {
            format!("{} fields, the header has {}", self.record.len(), self.header_len)
        } else if self.record.iter().any(|field| std::str::from_utf8(field).is_err()) {
            "not UTF-8 text".to_owned()
        } else {
            out.take(&CsvRecord { record: &self.record, columns: &self.columns }, place, raw);
            return;
        };
        out.refuse(None, (RejectReason::Malformed, fault), &place(), &raw());
    }

    /// The line on which a record starts. The parser ends a record at CR and counts lines at LF, so where lines end in
    /// CR LF it is one line behind.
    fn line_of(&self, start: Option<&Position>) -> u64 {
        start.map_or(0, Position::line) + u64::from(self.reader.get_ref().is_crlf == Some(true))
    }

    /// Refuses the record that starts at `start` and goes on at the line after its first.
    fn skip_line(&mut self, start: &Position, out: &mut Collector) -> std::io::Result<()> {
        let guard = self.reader.get_mut();
        guard.seek(SeekFrom::Start(start.byte()))?;
        // the guard's own budget is spent; the skipping reader below is bounded by its buffer
        self.budget.store(u64::MAX, Ordering::Relaxed);
        let mut lines = BufReader::with_capacity(BUFFER_BYTES, self.reader.get_mut());
        let mut head = Vec::new();
        let mut skipped = 0;
        loop {
            let available = lines.fill_buf()?;
            if available.is_empty() {
                break;
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(available.len(), |at| at + 1);
            if head.len() < 4 * RAW_CHARS_MAX {
                head.extend_from_slice(&available[..used.min(4 * RAW_CHARS_MAX)]);
            }
            // the LF of the CR LF before the record
            let is_leftover = skipped == 0 && end == Some(0);
            lines.consume(used);
            skipped += used as u64;
            if end.is_some() && !is_leftover {
                break;
            }
        }
        let detail = format!("the record has more than {RECORD_BYTES_MAX} bytes; is a quote not closed?");
        let place = format!(":{}", self.line_of(Some(start)));
        let raw = String::from_utf8_lossy(&head).trim().to_owned();
        out.refuse(None, (RejectReason::Oversized, detail), &place, &raw);
        self.seek(start.byte() + skipped, start.line() + 1, start.record() + 1).map_err(into_io)
    }

    fn seek(&mut self, byte: u64, line: u64, record: u64) -> Result<(), ::csv::Error> {
        let mut position = Position::new();
        position.set_byte(byte).set_line(line.max(1)).set_record(record);
        self.reader.seek_raw(SeekFrom::Start(byte), position)
    }
}

fn is_too_long(cause: &::csv::Error) -> bool {
    matches!(cause.kind(), ::csv::ErrorKind::Io(io) if io.to_string() == TOO_LONG)
}

fn into_io(cause: ::csv::Error) -> std::io::Error {
    match cause.into_kind() {
        ::csv::ErrorKind::Io(io) => io,
        other => std::io::Error::other(format!("{other:?}")),
    }
}

fn into_fault(cause: ::csv::Error) -> CsvFault {
    if is_too_long(&cause) {
        return CsvFault::Header(format!("the header has more than {RECORD_BYTES_MAX} bytes"));
    }
    CsvFault::Io(into_io(cause))
}

/// A file that stops at its length as first seen, and that refuses to feed one record without end.
struct Guard {
    file: File,
    left: u64,
    budget: Arc<AtomicU64>,
    /// Whether the first line ends in CR LF.
    is_crlf: Option<bool>,
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let budget = self.budget.load(Ordering::Relaxed);
        if budget == 0 && self.left > 0 {
            return Err(std::io::Error::other(TOO_LONG));
        }
        let room = (buffer.len() as u64).min(budget).min(self.left) as usize;
        let read = self.file.read(&mut buffer[..room])?;
        self.left -= read as u64;
        self.budget.store(budget - read as u64, Ordering::Relaxed);
        if self.is_crlf.is_none() {
            let first_end = buffer[..read].iter().position(|byte| *byte == b'\n');
            self.is_crlf = first_end.map(|end| end > 0 && buffer[end - 1] == b'\r');
        }
        Ok(read)
    }
}

impl Seek for Guard {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let before = self.file.stream_position()?;
        let after = self.file.seek(to)?;
        self.left = (self.left + before).saturating_sub(after);
        Ok(after)
    }
}

struct CsvRecord<'a> {
    record: &'a ByteRecord,
    columns: &'a Columns,
}

impl Record for CsvRecord<'_> {
    fn cell(&self, field: Field) -> Cell<'_> {
        let bytes = self.columns[field as usize].and_then(|column| self.record.get(column)).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok("") => Cell::Missing,
            Ok(text) => Cell::Text(text),
            Err(_) => Cell::Unusable("not UTF-8 text"),
        }
    }

    fn metadata(&self) -> Result<BTreeMap<String, String>, Fault> {
        match self.cell(Field::Metadata) {
            Cell::Text(json) => metadata_from_text(json),
            _ => Ok(BTreeMap::new()),
        }
    }
}
