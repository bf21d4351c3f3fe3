//! CSV: columns by header name, quoted fields, empty means null, a broken record is rejected and the next one read.
//!
//! | file | owns |
//! |---|---|
//! | `header` | position and content of the header |
//! | `fields` | a record as fields |
//!
//! **Where a record ends.** A quote that is open at the end of a line belongs to a multi-line value, or is stray. It is
//! accepted if no line after it is a complete row, the quote closes properly and the record has as many fields as the
//! header, all within [`RECORD_BYTES_MAX`]. Otherwise only its line is rejected, and the next line is read normally.
//!
//! **Where a file ends.** A last record without a line break may be half written. It is taken, and the position stays
//! before it: when the file has grown it is read again and replaces what was made of it, or takes it back where the
//! whole record is no row.

mod fields;
mod header;

use super::chunk::Collector;
use super::input::Input;
use super::lines::{Line, LineEnd, Lines};
use super::position::{FilePosition, Tail};
use crate::record::LINE_BYTES_MAX;
use crate::record::decode::looks_like_row;
use crate::record::fields::{Cell, Field, Record};
use fields::Fields;
pub(super) use header::is_header;
use header::{Columns, Header};
use model::check::Fault;
use model::reject::{RAW_CHARS_MAX, RejectReason};
use model::time::{MINUTE_MS, TimeMs};
use std::collections::VecDeque;

/// Longest record of several lines, in bytes: above the longest acceptable row.
pub(crate) const RECORD_BYTES_MAX: u64 = 1024 * 1024;
/// Longest unfinished record that is taken while its file may still be written, in bytes.
const TAIL_BYTES_MAX: usize = 64 * 1024;
/// How much of each field of an unfinished record is remembered with the position, in bytes: what identifies a row is
/// shorter, and a file that has grown has only more behind it.
const REMEMBERED_BYTES_MAX: usize = 4 * 1024;
/// How long after its last change a file is assumed to be complete.
const QUIET_MS: i64 = MINUTE_MS;

/// What a file as a whole must have.
pub(crate) type Require<'a> = &'a dyn Fn(&dyn Fn(Field) -> bool) -> Result<(), String>;

pub(crate) struct CsvReader {
    lines: Lines,
    /// Lines that were examined but not yet consumed.
    ahead: VecDeque<Line>,
    header: Header,
    fields: Fields,
    /// For lines examined separately.
    single: Fields,
    position: FilePosition,
    /// The last field of the record before, for judging an unfinished one.
    last_field: Vec<u8>,
}

/// Why a CSV file cannot be read at all.
pub(crate) enum CsvFault {
    /// Reading failed.
    Io(std::io::Error),
    /// The header is not usable; the words say why.
    Header(String),
}

/// The lines of one record.
struct Extent {
    first: Line,
    lines: u64,
    bytes: u64,
    ends: Ending,
}

/// How sure the end of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// A line break, or a closing quote.
    Sure,
    /// The end of the file.
    Unfinished,
    /// Its quote is not closed before the end of the file.
    OpenToEnd,
    /// Its quote does not close, or closes in the middle of other records.
    Stray,
    /// Its line is too long.
    TooLong,
}

impl CsvReader {
    /// Reads the header and moves to `from`.
    pub(crate) fn open(input: &Input, from: FilePosition, require: Require<'_>) -> Result<CsvReader, CsvFault> {
        let mut lines = Lines::new(input.reader(0), true);
        let header = Header::find(&mut lines, require)?;
        let (mut position, mut ahead) = (from, VecDeque::new());
        if position.bytes == 0 {
            (position.bytes, position.lines) = (header.bytes, header.lines);
        } else {
            lines = Lines::new(input.reader(position.bytes), true);
            if let Some(line) = position.after_break(input, &mut lines).map_err(CsvFault::Io)? {
                ahead.push_back(line);
            }
        }
        let (fields, single) = (Fields::new(header.delimiter), Fields::new(header.delimiter));
        Ok(CsvReader { lines, ahead, header, fields, single, position, last_field: Vec::new() })
    }

    /// Reads up to one chunk of records; returns the position.
    pub(crate) fn fill(&mut self, out: &mut Collector) -> std::io::Result<FilePosition> {
        while !out.is_full() {
            let Some(extent) = self.next_record(out)? else {
                self.position.is_done = true;
                break;
            };
            let before = self.position.tail.take();
            if let Some(place) = before.as_ref().and_then(|tail| tail.refused.clone()) {
                out.settle(place);
            }
            let is_open_end = matches!(extent.ends, Ending::Unfinished | Ending::OpenToEnd);
            let tail = self.take_record(&extent, before.as_ref(), out);
            if is_open_end {
                self.position.tail = tail;
                self.position.is_done = true;
                break;
            }
            self.position.rows += 1;
            self.position.lines += extent.lines;
            self.position.bytes += extent.bytes;
        }
        Ok(self.position.clone())
    }

    fn next_line(&mut self) -> std::io::Result<Option<Line>> {
        if let Some(line) = self.ahead.pop_front() {
            return Ok(Some(line));
        }
        let mut line = Line::default();
        Ok(self.lines.read(&mut line)?.then_some(line))
    }

    /// Finds where the next record ends; its fields are in `self.fields` unless it is broken.
    fn next_record(&mut self, out: &Collector) -> std::io::Result<Option<Extent>> {
        let delimiter = self.header.delimiter;
        let first = loop {
            match self.next_line()? {
                None => return Ok(None),
                // spreadsheets leave lines of separators
                Some(blank) if blank.text.iter().all(|byte| byte.is_ascii_whitespace() || *byte == delimiter) => {
                    self.position.lines += 1;
                    self.position.bytes += blank.bytes;
                }
                Some(line) => break line,
            }
        };
        let (mut lines, mut bytes) = (1, first.bytes);
        if first.is_cut() {
            return Ok(Some(Extent { first, lines, bytes, ends: Ending::TooLong }));
        }
        self.fields.begin();
        self.fields.push(&first.text);
        let mut end = first.end;
        let mut looked = 0;
        while self.fields.is_open() {
            if self.ahead.len() == looked {
                let mut line = Line::default();
                if !self.lines.read(&mut line)? {
                    return Ok(Some(Extent { first, lines, bytes, ends: Ending::OpenToEnd }));
                }
                self.ahead.push_back(line);
            }
            let line = &self.ahead[looked];
            looked += 1;
            let is_stray = bytes + line.bytes > RECORD_BYTES_MAX || {
                self.single.read(&line.text);
                let record = CsvRecord { fields: &self.single, columns: &self.header.columns };
                !self.single.is_open() && self.fits(&self.single) && looks_like_row(out.kind(), &record, out.now())
            };
            self.fields.push(end.bytes());
            self.fields.push(&line.text);
            end = line.end;
            if is_stray || self.fields.is_odd() {
                let (lines, bytes) = (1, first.bytes);
                return Ok(Some(Extent { first, lines, bytes, ends: Ending::Stray }));
            }
            lines += 1;
            bytes += line.bytes;
        }
        self.ahead.drain(..looked);
        let is_closed = self.fields.finish();
        let ends = if is_closed || end != LineEnd::Input { Ending::Sure } else { Ending::Unfinished };
        Ok(Some(Extent { first, lines, bytes, ends }))
    }

    /// Whether a record has as many fields as the header. Empty ones behind them are what spreadsheets leave.
    fn fits(&self, fields: &Fields) -> bool {
        let known = self.header.len;
        fields.len() == known || fields.len() > known && (known..fields.len()).all(|at| fields.get(at).is_empty())
    }

    /// Accepts or rejects a record; the result is remembered if the record is the unfinished end of the file.
    fn take_record(&mut self, extent: &Extent, before: Option<&Tail>, out: &mut Collector) -> Option<Tail> {
        let place = format!(":{}", self.position.lines + 1);
        let head = &extent.first.text[..extent.first.text.len().min(4 * RAW_CHARS_MAX)];
        let shown = || String::from_utf8_lossy(head).into_owned();
        let mut tail = Tail { bytes: extent.bytes, ..Tail::default() };
        let fault = match extent.ends {
            Ending::TooLong => {
                let detail = format!("the line has {} bytes, the limit is {LINE_BYTES_MAX}", extent.bytes);
                Some((RejectReason::Oversized, detail))
            }
            Ending::Stray => {
                let detail = "a quote in it is not closed before the next record begins";
                Some((RejectReason::Malformed, detail.to_owned()))
            }
            Ending::OpenToEnd => {
                let lines = extent.lines;
                let detail =
                    format!("a quote in it is not closed before the end of the file ({lines} lines, none a row)");
                Some((RejectReason::Malformed, detail))
            }
            Ending::Sure | Ending::Unfinished => self.fault(),
        };
        if fault.is_none() && extent.ends == Ending::Unfinished && !self.may_be_whole(out.now()) {
            let note =
                "the last record of a file has no line break yet and may be half written: it is taken once it has one";
            out.note(note);
            // what was made of it before stays to be replaced
            let (row, version) = before.map(|tail| (tail.row.clone(), tail.version)).unwrap_or_default();
            return Some(Tail { row, version, waits: true, ..tail });
        }
        let is_taken = match fault {
            Some(fault) => {
                out.refuse(None, fault, &place, &shown());
                false
            }
            None => {
                let record = CsvRecord { fields: &self.fields, columns: &self.header.columns };
                out.take(&record, || place.clone(), shown)
            }
        };
        let earlier = before.and_then(|tail| tail.row.clone());
        if let Some(row) = &earlier {
            self.single.read(row.as_bytes());
            let earlier = CsvRecord { fields: &self.single, columns: &self.header.columns };
            tail.version = out.replace_row(is_taken, &earlier, before.map_or(0, |tail| tail.version));
        }
        if is_taken {
            self.last_field.clear();
            self.last_field.extend_from_slice(self.fields.get(self.header.len - 1));
            tail.row = (extent.ends == Ending::Unfinished).then(|| self.fields.to_text(REMEMBERED_BYTES_MAX));
        } else {
            tail.refused = Some(out.place(&place));
            tail.row = earlier;
        }
        Some(tail)
    }

    /// Errors of the fields themselves.
    fn fault(&self) -> Option<Fault> {
        let detail = format!("{} fields, the header has {}", self.fields.len(), self.header.len);
        (!self.fits(&self.fields)).then_some((RejectReason::Malformed, detail))
    }

    /// Whether an unfinished record may be read. One that is cut within its identity would become a different row,
    /// which nothing replaces later.
    fn may_be_whole(&self, now: TimeMs) -> bool {
        let last = self.header.len - 1;
        let field = self.fields.get(last);
        let modified = TimeMs((self.position.file.modified_ns / 1_000_000) as i64);
        let column = Field::ALL.into_iter().find(|field| self.header.columns[*field as usize] == Some(last));
        if now - modified > QUIET_MS || self.fields.len() > self.header.len {
            return true;
        }
        let is_short = self.fields.iter().map(<[u8]>::len).sum::<usize>() <= TAIL_BYTES_MAX;
        is_short
            && match column {
                Some(Field::Timestamp) => field.len() == self.last_field.len(),
                Some(column) if column.is_identity() => field == self.last_field,
                _ => true,
            }
    }
}

struct CsvRecord<'a> {
    fields: &'a Fields,
    columns: &'a Columns,
}

impl Record for CsvRecord<'_> {
    fn cell(&self, field: Field) -> Cell<'_> {
        let bytes = self.columns[field as usize].map(|column| self.fields.get(column)).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok("") => Cell::Missing,
            Ok(text) => Cell::Text(text),
            Err(_) => Cell::Unusable("not UTF-8 text"),
        }
    }
}
